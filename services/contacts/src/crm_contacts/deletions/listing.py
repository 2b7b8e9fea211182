"""Finding deleted contacts while they can be restored."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from shared_events.contacts.contact import DeletedContact, ListDeletedContacts
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.contacts import repository
from crm_contacts.contacts.models import Contact

_C = repository.CONTACTS.table.c
_LATEST_FIRST = Order(
    "deleted",
    [(_C.deleted_at, datetime), (_C.id, UUID)],
    tenant=_C.tenant_id,
    descending=True,
)


class Deleted:
    """Those that were deleted by request; a deletion can be taken back for `kept`."""

    def __init__(self, kept: timedelta) -> None:
        self._kept = kept

    async def page(
        self, tx: Transaction, request: ListDeletedContacts, call: Call
    ) -> Page[DeletedContact]:
        """One page, the latest deleted first; raises MalformedError."""
        del call
        statement = select(Contact).where(
            _C.deleted_at > datetime.now(UTC) - self._kept,
            _C.merged_into.is_(None),
            _C.erased_at.is_(None),
        )
        found, next_cursor = await _LATEST_FIRST.found(tx, statement, request, repository.CONTACTS)
        shown = await repository.to_resources(tx, found)
        return Page(
            data=[
                DeletedContact(
                    **contact.model_dump(),
                    deleted_at=row.deleted_at,
                    restorable_until=row.deleted_at + self._kept,
                )
                for row, contact in zip(found, shown, strict=True)
                if row.deleted_at is not None
            ],
            has_more=next_cursor is not None,
            next_cursor=next_cursor,
        )
