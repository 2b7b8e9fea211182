"""Journeys: where a message is, hop by hop, as far as each service knows (docs/architecture.md)."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import Contract

MOST_MESSAGES = 20
"""Whose journeys are asked for at a time."""
MessageIds = Annotated[list[UUID], Field(min_length=1, max_length=MOST_MESSAGES)]


class MessageHop(Contract):
    """Something that became of a message on its way: `service` did `what`, an event or a step.

    `at` is missing where nobody wrote the time down. `detail` says more, in words that depend on
    `what`: docs/architecture.md has the table.
    """

    service: bounds.Word
    what: bounds.ErrorCode
    at: datetime | None
    detail: dict[str, Any] = Field(default_factory=dict)


class Wait(Contract):
    """What a message waits for now, and in whose hands it is.

    `next_at` is when it is looked at again by itself, `reason` what went wrong the last time.
    """

    service: bounds.Word
    what: bounds.Word
    since: datetime
    next_at: datetime | None = None
    reason: bounds.Reason | None = None


class Leg(Contract):
    """What one service knows of a message's way."""

    message_id: UUID
    hops: list[MessageHop]
    waiting_for: Wait | None = None


class Legs(Contract):
    """What one service knows of the ways of messages; those it knows nothing of are left out."""

    data: list[Leg]
