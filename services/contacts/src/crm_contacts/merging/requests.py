"""The requests about merging (`shared_events.contacts.merge`)."""

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.contacts import contact as contract
from shared_events.contacts.merge import MergeContacts, UnmergeContacts

from crm_contacts.merging import parting, service


async def merge(tx: Transaction, request: MergeContacts, call: Call) -> contract.Contact:
    """Make one of two contacts; the winner, as it is now."""
    return await service.merge(tx, request.contact_id, request.loser_id, call.expected_version)


async def unmerge(tx: Transaction, request: UnmergeContacts, call: Call) -> contract.Contact:
    """Make two of a contact and one that was merged into it; the latter, as it is now."""
    return await parting.unmerge(tx, request.contact_id, request.loser_id, call.expected_version)
