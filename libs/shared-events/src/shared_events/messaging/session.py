"""Sessions: conversations from their first message to their end."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.messaging.summaries import ChannelSummary, ContactSummary
from shared_events.requests import BatchQuery, Command, ListQuery, Query

SessionStatus = Literal["active", "closed", "expired"]
AssignmentReason = Literal["requested", "agent_deactivated", "round_robin", "least_busy"]
"""Why a session came to an agent, or to nobody: somebody wanted it, the agent has left, or it came
by itself, as the company has it (`auto_assignment`)."""


class Session(Contract):
    """A conversation: opened by the first message, ended by an agent or by silence.

    `waiting_since` is the customer's first message that nobody has answered. Who opened the
    session waited `first_response_seconds` for a first answer; null where the company wrote first.
    A group's has its `conversation_id`, and the group itself for its contact.
    """

    id: UUID
    contact_id: UUID
    channel_id: UUID
    conversation_id: UUID | None = None
    project_id: bounds.TenantId
    status: SessionStatus
    assigned_agent_id: UUID | None = None
    started_at: datetime
    ended_at: datetime | None = None
    end_reason: bounds.Word | None = None
    last_interaction_at: datetime
    timeout_seconds: int
    total_messages: int
    first_response_seconds: int | None = None
    waiting_since: datetime | None = None
    reopen_count: int = 0
    version: int
    created_at: datetime
    updated_at: datetime


class SessionSummary(Contract):
    """The conversation a message belongs to."""

    id: UUID
    status: SessionStatus


class GetSession(Query[Session], key="messaging.session.get"):
    """Read one session."""

    session_id: UUID


class GetSessions(BatchQuery[Session], key="messaging.session.get_many"):
    """Read several sessions, such as the lists of others name."""


class ListSessions(ListQuery[Session], key="messaging.session.list"):
    """Find sessions, newest first. `assigned_agent_id` also takes `none` and `me`."""

    status: SessionStatus | None = None
    contact_id: UUID | None = None
    channel_id: UUID | None = None
    assigned_agent_id: UUID | Literal["none", "me"] | None = None


class ListContactSessions(ListSessions, key="messaging.session.list_of_contact"):
    """The sessions of one contact; an unknown contact is not found."""

    contact_id: UUID


class AssignSession(Command[Session], key="messaging.session.assign"):
    """Give a session to an agent, or to nobody (null). The same agent again changes nothing.

    With `expected_assignee_id` (null for nobody) only if that is who has it now.
    """

    session_id: UUID
    agent_id: UUID | None
    expected_assignee_id: UUID | None = None


class SessionAssignment(Contract):
    """A session came from one agent, or nobody, to another; `assigned_by` is who saw to it.

    Nobody did where `reason` is another than `requested`.
    """

    id: UUID
    session_id: UUID
    agent_id: UUID | None = None
    previous_agent_id: UUID | None = None
    assigned_by: UUID | None = None
    reason: AssignmentReason = "requested"
    assigned_at: datetime


class ListSessionAssignments(
    ListQuery[SessionAssignment], key="messaging.session.list_assignments"
):
    """Who had a session, newest first."""

    session_id: UUID


class CloseSession(Command[Session], key="messaging.session.close"):
    """End a session. One that has ended already is answered unchanged, without an event."""

    session_id: UUID
    reason: str = Field(default="resolved", min_length=1, max_length=50)
    note: str | None = Field(default=None, max_length=4096)


class ReopenSession(Command[Session], key="messaging.session.reopen"):
    """Let a session that ended go on. One that is active is answered unchanged, without an event.

    Refused while the contact has another active session on the channel.
    """

    session_id: UUID


class SessionEvent(EventData, aggregate="session"):
    """What every session event says."""

    session: Session
    contact: ContactSummary
    channel: ChannelSummary


class SessionStarted(SessionEvent, type="session.started", public=True):
    """A conversation started with its first message."""


class SessionAssigned(SessionEvent, type="session.assigned", public=True):
    """A conversation was assigned to another agent, or to none."""

    previous_agent_id: UUID | None = None
    reason: AssignmentReason = "requested"


class SessionClosed(SessionEvent, type="session.closed", public=True):
    """A conversation was closed. Exactly one terminal event each time a session is open."""


class SessionExpired(SessionEvent, type="session.expired", public=True):
    """A conversation expired after silence. Exactly one terminal event each time it is open."""


class SessionReopened(SessionEvent, type="session.reopened", public=True):
    """A session that had ended goes on."""
