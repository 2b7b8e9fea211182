"""Tables of sessions and of who had them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_messaging.sessions.waiting import first_response_seconds
from crm_messaging.tables import Base


class Session(Base, table=True):
    """An interval of a conversation; at most one of a contact on a channel is active.

    A group's has the group as its contact, by the rule of identity, and its `conversation_id`; a
    person's conversation follows from contact and channel, and changes when people are merged.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        Index("idx_sessions_contact", "contact_id", text("started_at DESC")),
        Index("idx_sessions_agent", "assigned_agent_id", "status"),
        Index("idx_sessions_tenant", "tenant_id", "started_at", "id"),
        Index("idx_sessions_listed_contact", "tenant_id", "contact_id", "started_at", "id"),
        Index(
            "idx_sessions_listed_agent",
            *("tenant_id", "assigned_agent_id", "started_at", "id"),
            postgresql_where=text("assigned_agent_id IS NOT NULL"),
        ),
        Index(
            "idx_sessions_listed_active",
            *("tenant_id", "started_at", "id"),
            postgresql_where=text("status = 'active'"),
        ),
        Index(
            "idx_sessions_one_active",
            "tenant_id",
            "channel_id",
            "contact_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        # For reports. What is not there while a session goes on is written once.
        Index(
            "idx_sessions_ended",
            *("tenant_id", "ended_at"),
            postgresql_where=text("ended_at IS NOT NULL"),
        ),
        Index(
            "idx_sessions_answered",
            *("tenant_id", "first_outbound_at"),
            postgresql_where=text("first_outbound_at IS NOT NULL"),
        ),
        # Who has how many of those that go on.
        Index(
            "idx_sessions_held",
            *("tenant_id", "assigned_agent_id"),
            postgresql_where=text("status = 'active' AND assigned_agent_id IS NOT NULL"),
        ),
        # Who is nobody's, the oldest first.
        Index(
            "idx_sessions_unassigned",
            *("tenant_id", "started_at", "id"),
            postgresql_where=text("status = 'active' AND assigned_agent_id IS NULL"),
        ),
        Index("idx_sessions_sweep", "started_at", postgresql_where=text("status = 'active'")),
        # Not on last_interaction_at: each message moves it, and would then write every index.
        Index("idx_sessions_due", "check_at", postgresql_where=text("status = 'active'")),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    contact_id: UUID
    channel_id: UUID
    conversation_id: UUID | None = None
    project_id: str = Field(max_length=255)
    status: str = Field(max_length=50)
    assigned_agent_id: UUID | None = None
    started_at: datetime = columns.moment()
    ended_at: datetime | None = columns.maybe_moment()
    end_reason: str | None = Field(default=None, max_length=50)
    last_interaction_at: datetime = columns.moment()
    timeout_seconds: int
    total_messages: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    custom_fields: dict[str, Any] = columns.document()
    chat_id: str | None = Field(max_length=255)
    opened_by: str = Field(max_length=20)
    check_at: datetime = columns.stamped()
    """When the sweep looks at it next; a new one has its turn at once."""
    workflow_started_at: datetime | None = columns.maybe_moment()
    """Read by the release before only, and so are the indexes _sweep, _contact and _agent."""
    first_inbound_at: datetime | None = columns.maybe_moment()
    first_outbound_at: datetime | None = columns.maybe_moment()
    waiting_since: datetime | None = columns.maybe_moment()
    """The customer's first message that nobody has answered yet (`sessions/waiting.py`)."""
    reopen_count: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()

    @property
    def first_response_seconds(self) -> int | None:
        """How long the customer waited for a first answer, where that can be said."""
        return first_response_seconds(self.opened_by, self.first_inbound_at, self.first_outbound_at)


class SessionAssignment(Base, table=True):
    """A session given to an agent, or to nobody; never changed."""

    __tablename__ = "session_assignments"
    __table_args__ = (
        Index("idx_session_assignments_session", "tenant_id", "session_id", "assigned_at", "id"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    session_id: UUID
    agent_id: UUID | None = None
    previous_agent_id: UUID | None = None
    assigned_by: UUID | None = None
    reason: str = Field(
        default="requested", max_length=50, sa_column_kwargs={"server_default": text("'requested'")}
    )
    assigned_at: datetime = columns.stamped()
