"""The request for a timeline (`shared_events.contacts.timeline`)."""

from datetime import datetime
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.contacts.timeline import ListTimeline, TimelineEntry
from shared_events.requests import Page
from sqlalchemy import Uuid, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from crm_contacts.contacts import repository as contacts
from crm_contacts.merging import repository as merging
from crm_contacts.timeline.models import ContactEvent

_ENTRIES = Rows(ContactEvent)
_C = _ENTRIES.table.c
_IDS = ARRAY(Uuid)
_LATEST_FIRST = Order(
    "contact_events",
    [(_C.occurred_at, datetime), (_C.id, UUID)],
    tenant=_C.tenant_id,
    descending=True,
)


async def list_of_contact(
    tx: Transaction, request: ListTimeline, call: Call
) -> Page[TimelineEntry]:
    """What happened to a contact, the latest first; raises NotFoundError and MalformedError.

    What happened to those who were merged into it happened to it; those entries stay theirs, for
    some are yet to come.
    """
    await contacts.get_live(tx, request.contact_id)
    everybody = await merging.everybody(tx, request.contact_id)
    statement = select(ContactEvent).where(_C.contact_id == any_(literal(everybody, _IDS)))
    if call.principal.own_only:  # nobody here knows whose they are
        statement = statement.where(_C.category != "session")
    if request.category is not None:
        statement = statement.where(_C.category == request.category)
    return await _LATEST_FIRST.page(tx, statement, request, _ENTRIES, _to_entry)


def _to_entry(entry: ContactEvent) -> TimelineEntry:
    return TimelineEntry.model_validate(entry.model_dump(exclude={"tenant_id", "created_at"}))
