"""Reports: how much was said, and how long customers waited."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract
from shared_events.requests import Moment, Query


class ConversationFigures(Contract):
    """What happened, each thing counted when it did.

    A first response is that to a session which a customer opened, a resolution the time from start
    to end of one that was closed; median and 90th percentile, in seconds.
    """

    messages_in: int = 0
    messages_out: int = 0
    sessions_started: int = 0
    sessions_closed: int = 0
    sessions_expired: int = 0
    first_responses: int = 0
    first_response_median_seconds: float | None = None
    first_response_p90_seconds: float | None = None
    resolution_median_seconds: float | None = None
    resolution_p90_seconds: float | None = None


class ConversationReportRow(ConversationFigures):
    """The figures of a channel, of an agent (null: of nobody), or of a day, such as `2026-01-31`.

    `name` is the channel's or the agent's.
    """

    channel_id: UUID | None = None
    agent_id: UUID | None = None
    day: Annotated[str, StringConstraints(max_length=10)] | None = None
    name: bounds.Name | None = None


class ConversationReport(Contract):
    """Days are in their order, each of them there; channels and agents the busiest first."""

    starts_at: datetime
    ends_at: datetime
    by: Literal["agent", "channel", "day"]
    timezone: bounds.TimeZone
    total: ConversationFigures
    data: list[ConversationReportRow]


class GetConversationReport(Query[ConversationReport], key="messaging.report.conversations"):
    """How much was said from `from` until before `to`, and how long customers waited.

    At most 92 days; the last 30 unless said otherwise. Days begin at midnight in `timezone`. What
    an agent wrote is the agent's; other messages, and sessions, are of who has the session.
    """

    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None
    by: Literal["agent", "channel", "day"] = "day"
    channel_id: UUID | None = None
    agent_id: UUID | None = None
    timezone: bounds.TimeZone = "UTC"
