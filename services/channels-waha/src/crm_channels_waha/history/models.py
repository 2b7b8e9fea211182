"""The tables of imports of history."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from service_kit.jobs.models import JobColumns, due_index
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_channels_waha.tables import Base


class HistoryImportRow(JobColumns, Base, table=True):
    """An import of a channel's history, and how far it is.

    `phone` is the number it was asked of: what another number said is not its history. What was
    said since `until` comes by itself. `chats_offset` is where the list of chats goes on, and
    `empty_pages` how many pages in a row had nothing. One that is `recovered` nobody asked for: it
    reads what was missed.
    """

    __tablename__ = "history_imports"
    __table_args__ = (
        Index(
            "idx_history_imports_one",
            "tenant_id",
            "channel_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running', 'paused')"),
        ),
        due_index("history_imports"),
    )

    channel_id: UUID
    phone: str | None = Field(default=None, max_length=50)
    days: int | None = None
    messages_per_chat: int | None = None
    notify: bool
    recovered: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    since: datetime | None = columns.maybe_moment()
    until: datetime = columns.moment()
    messages: int = 0
    chats_offset: int = 0
    empty_pages: int = 0


class HistoryChat(Base, table=True):
    """A chat of an import, and where it goes on; there are none when the import has ended.

    `place` is the order in which chats are read, `position` the offset of the next page, `attempts`
    how often WAHA failed on that page alone.
    """

    __tablename__ = "history_chats"
    __table_args__ = (
        Index(
            "idx_history_chats_left",
            *("tenant_id", "import_id", "place"),
            postgresql_where=text("NOT finished"),
        ),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    import_id: UUID = Field(primary_key=True)
    chat_id: str = Field(primary_key=True, max_length=255)
    place: int
    position: int = 0
    empty_pages: int = 0
    attempts: int = 0
    finished: bool = False
