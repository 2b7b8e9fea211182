"""The requests about trackings (`shared_events.contacts.tracking`)."""

from datetime import UTC, datetime
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.ids import uuid7
from service_kit.paging import Order
from shared_events.contacts import tracking as contract
from shared_events.contacts.tracking import CreateTracking, ListTrackings, TrackingCreated
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.contacts import repository as contacts
from crm_contacts.contacts.documents import check_document
from crm_contacts.trackings.models import Tracking
from crm_contacts.trackings.repository import TRACKINGS, to_resource, to_resources

_C = TRACKINGS.table.c
_LATEST_FIRST = Order("trackings", [(_C.id, UUID)], tenant=_C.tenant_id, descending=True)
_OF_CLICK = "SELECT * FROM trackings WHERE tenant_id = $1 AND click_id = $2"
_ONE_CLICK = "(tenant_id, click_id) WHERE click_id IS NOT NULL"


async def create(tx: Transaction, request: CreateTracking, call: Call) -> contract.Tracking:
    """Note where a contact came from, and tell of it.

    Raises NotFoundError, InvalidError for data too deep or too large, and ConflictError
    `click_tracked` for a click on record: forms are sent twice, and advertisers bill by clicks.
    """
    del call
    await contacts.get_live(tx, request.contact_id, keep=True)
    check_document(request.conversion_data, "conversion_data")
    row = Tracking(
        **request.model_dump(), id=uuid7(), tenant_id=tx.tenant_id, created_at=datetime.now(UTC)
    )
    if not await TRACKINGS.insert(tx, [row], unless=_ONE_CLICK):
        known = await TRACKINGS.first(tx, _OF_CLICK, tx.tenant_id, row.click_id)
        known_id = str(known.id) if known else None
        raise ConflictError("click_tracked", "This click is on record.", existing_id=known_id)
    noted = to_resource(row)
    tx.outbox.add(TrackingCreated(tracking=noted), row.contact_id)
    return noted


async def list_of_contact(
    tx: Transaction, request: ListTrackings, call: Call
) -> Page[contract.Tracking]:
    """Where a contact came from, the latest first; raises NotFoundError and MalformedError."""
    del call
    await contacts.get_live(tx, request.contact_id)
    statement = select(Tracking).where(_C.contact_id == request.contact_id)
    rows, next_cursor = await _LATEST_FIRST.found(tx, statement, request, TRACKINGS)
    return Page(
        data=await to_resources(tx, rows),
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )
