"""The tables of bulk sends."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from service_kit.jobs.models import JobColumns, due_index, finished_index
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_messaging.tables import Base


class BulkSendRow(JobColumns, Base, table=True):
    """A bulk send, and how far it is.

    `content` is what each message says, as it was asked for. While contacts is asked who is on the
    list, `asked` is true and `cursor` the page that was asked for; `total` is known once all were
    told.
    """

    __tablename__ = "bulk_sends"
    __table_args__ = (
        Index("idx_bulk_sends_tenant", "tenant_id", "state"),
        due_index("bulk_sends"),
        finished_index("bulk_sends"),
    )

    channel_id: UUID
    list_id: UUID | None = None
    content: dict[str, Any] = columns.document()
    content_type: str = Field(max_length=50)
    send_at: datetime | None = columns.maybe_moment()
    asked: bool = False
    cursor: str | None = columns.maybe_text()
    created_by: UUID | None = None


class BulkRecipientRow(Base, table=True):
    """A contact of a bulk send, in its turn.

    `state`: `pending`, `queued` (the channel has the message), `over`. The message's id follows
    from the bulk send and the person, so that nobody gets it twice, whatever is done again.
    """

    __tablename__ = "bulk_recipients"
    __table_args__ = (
        Index("uq_bulk_recipients_contact", "bulk_send_id", "contact_id", unique=True),
        Index(
            "uq_bulk_recipients_message",
            "message_id",
            unique=True,
            postgresql_where=text("message_id IS NOT NULL"),
        ),
        Index(
            "idx_bulk_recipients_open",
            *("tenant_id", "bulk_send_id", "state", "position"),
            postgresql_where=text("state <> 'over'"),
        ),
        Index("idx_bulk_recipients_contact", "tenant_id", "contact_id"),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    bulk_send_id: UUID = Field(primary_key=True)
    position: int = Field(primary_key=True)
    contact_id: UUID
    state: str = Field(
        default="pending", max_length=20, sa_column_kwargs={"server_default": text("'pending'")}
    )
    message_id: UUID | None = None
    code: str | None = Field(default=None, max_length=100)
    detail: str | None = columns.maybe_text()
