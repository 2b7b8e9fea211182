"""The requests about merging (`shared_events.contacts.merge`)."""

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.contacts import contact as contract
from shared_events.contacts.merge import MergeContacts

from crm_contacts.merging import service


async def merge(tx: Transaction, request: MergeContacts, call: Call) -> contract.Contact:
    """Make one of two contacts; the winner, as it is now."""
    return await service.merge(tx, request.contact_id, request.loser_id, call.expected_version)
