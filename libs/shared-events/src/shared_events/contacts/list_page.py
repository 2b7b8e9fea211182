"""Who is on a list, told to the bulk send that asked for it (docs/adr/0031)."""

from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import EventData
from shared_events.jobs import Failure

PAGE_CONTACTS = 500


class ContactListRead(EventData, type="list.page_read", aggregate="bulk_send"):
    """A page of a list, from `cursor` on; the last has no `next_cursor`.

    With `failure` there is none: the list is gone, or its filter takes too long.
    """

    bulk_send_id: UUID
    cursor: bounds.Cursor | None = None
    contact_ids: list[UUID] = Field(default_factory=list, max_length=PAGE_CONTACTS)
    next_cursor: bounds.Cursor | None = None
    failure: Failure | None = None
