"""The requests about opt-outs (`shared_events.contacts.opt_out`)."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from shared_events.contacts import opt_out as contract
from shared_events.contacts.opt_out import (
    ContactOptedIn,
    ContactOptedOut,
    ListOptOuts,
    PutOptOut,
    RemoveOptOut,
)
from shared_events.requests import Nothing, Page

from crm_contacts.contacts import repository as contacts
from crm_contacts.opt_outs import repository
from crm_contacts.opt_outs.models import ContactOptOut


async def list_of_contact(
    tx: Transaction, request: ListOptOuts, call: Call
) -> Page[contract.OptOut]:
    """Where a contact wants no messages; raises as `contacts.live` does, and MalformedError."""
    del call
    await contacts.get_live(tx, request.contact_id)
    return await repository.page(tx, request)


async def put(tx: Transaction, request: PutOptOut, call: Call) -> contract.OptOut:
    """Note an opt-out, and tell of it; one that says the same already stays as it is.

    Raises as `contacts.live` does.
    """
    await contacts.get_live(tx, request.contact_id, keep=True)
    source = request.source or ("api" if call.user_id is None else "agent")
    before = await repository.lock(tx, request.contact_id, request.channel_id)
    if before is not None and (before.reason, before.source) == (request.reason, source):
        return repository.to_resource(before)
    row = ContactOptOut(
        tenant_id=tx.tenant_id,
        contact_id=request.contact_id,
        channel_id=repository.key_of(request.channel_id),
        reason=request.reason,
        source=source,
        opted_out_by=call.user_id,
        opted_out_at=datetime.now(UTC),
    )
    await repository.OPT_OUTS.upsert(tx, [row])
    noted = repository.to_resource(row)
    tx.outbox.add(ContactOptedOut(opt_out=noted), request.contact_id)
    return noted


async def remove(tx: Transaction, request: RemoveOptOut, call: Call) -> Nothing:
    """Remove an opt-out, and tell of it; raises as `contacts.live`, and NotFoundError."""
    del call
    await contacts.get_live(tx, request.contact_id, keep=True)
    if not await repository.remove(tx, request.contact_id, request.channel_id):
        raise NotFoundError("opt_out")
    told = ContactOptedIn(contact_id=request.contact_id, channel_id=request.channel_id)
    tx.outbox.add(told, request.contact_id)
    return Nothing()
