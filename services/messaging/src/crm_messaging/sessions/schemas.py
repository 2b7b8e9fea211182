"""What the session workflow and its activity tell each other: ids, counts and times, no texts."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

SESSION_QUEUE = "session-queue"
CLOSE_SESSION_IF_IDLE = "close_session_if_idle"
INACTIVITY = "inactivity"
CANCELLED = "cancelled"
CLOSED = "closed"
"""The reason of a close that gave none."""


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Watch(_Told):
    """A session to watch. `total_messages` says whether anything came since; times are UTC."""

    session_id: UUID
    tenant_id: str
    last_interaction_at: datetime
    timeout_seconds: int
    total_messages: int


class Ending(_Told):
    """Ask to end a session. With `seen`, only if it still has exactly that many messages."""

    session_id: UUID
    tenant_id: str
    reason: str
    seen: int | None = None


class Outcome(_Told):
    """What became of it. `active` holds the session as it is now, when it goes on."""

    ended: bool
    active: Watch | None = None


def workflow_id(session_id: UUID) -> str:
    """The one workflow of a session."""
    return f"session-{session_id}"
