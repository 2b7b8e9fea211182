"""The table of mails that wait to be sent."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_gateway.tables import Base


class WaitingMail(Base, table=True):
    """A letter that is to be sent, and is deleted once it is.

    What it says and to whom is sealed: it holds what opens an account. `next_attempt_at` is also
    until when whoever took it has it. It replaces an older one to the user of the same `topic`.
    """

    __tablename__ = "mails"
    __table_args__ = (
        Index("idx_mails_user", "tenant_id", "user_id"),
        Index("idx_mails_next", "next_attempt_at"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    user_id: UUID = Field(foreign_key="gateway.users.id")
    topic: str = Field(
        default="account", max_length=100, sa_column_kwargs={"server_default": text("'account'")}
    )
    sealed: str = columns.text()
    attempts: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    next_attempt_at: datetime = columns.stamped()
    expires_at: datetime = columns.moment()
    created_at: datetime = columns.stamped()
