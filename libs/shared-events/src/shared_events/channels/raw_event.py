"""Raw events: what WAHA told that became nothing else, kept for a while."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import Command, ListQuery, Moment, Query

RawOutcome = Literal["ignored", "unhandled", "unreadable"]
"""Nobody's conversation; a kind that means nothing here; or not to be made sense of."""
Reason = Annotated[str, StringConstraints(max_length=1000)]


class RawEvent(Contract):
    """An event of WAHA's that was kept, and why. `replayed_at` is when it became more than that.

    `body` is as it came, bytes that are no text replaced; lists leave it out.
    """

    id: UUID
    channel_id: UUID
    event: Annotated[str, StringConstraints(max_length=100)]
    outcome: RawOutcome
    reason: bounds.Reason
    received_at: datetime
    replayed_at: datetime | None = None
    body: str | None = None


class ListRawEvents(ListQuery[RawEvent], key="channels.raw.list"):
    """What was kept of a channel, newest first."""

    channel_id: UUID
    outcome: RawOutcome | None = None
    reason: Reason | None = None
    replayed: bool | None = None


class GetRawEvent(Query[RawEvent], key="channels.raw.get"):
    """Read what was kept, with its body."""

    channel_id: UUID
    event_id: UUID


class ReplayRawEvent(Command[RawEvent], key="channels.raw.replay"):
    """Read a kept event anew, as if it came now. What is known of it already is not doubled.

    One that still means nothing stays kept; one that was replayed is answered as it is.
    """

    channel_id: UUID
    event_id: UUID


class Replayed(Contract):
    """How many kept events became more than that, how many stay; `next_from` where more wait."""

    replayed: int
    kept: int
    next_from: datetime | None = None


class ReplayRawEvents(Command[Replayed], key="channels.raw.replay_range"):
    """Read anew what was kept from one moment until before another, oldest first, some at a time.

    Go on from `next_from`, which looks at the last ones again: they are not doubled.
    """

    channel_id: UUID
    received_from: Moment
    received_before: Moment
    outcome: RawOutcome | None = None
    limit: int = Field(default=200, ge=1, le=200)
