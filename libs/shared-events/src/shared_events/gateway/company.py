"""How a company works: what it set for all its people."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from shared_events.envelope import Contract, EventData

AgentsSee = Literal["all", "own"]
AutoAssignment = Literal["off", "round_robin", "least_busy"]
SessionsPerAgent = Annotated[int, Field(ge=1, le=1000)]
EventRetentionDays = Annotated[int, Field(ge=1, le=365)]
Word = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=30)]
Words = Annotated[list[Word], Field(max_length=20)]


class CompanySettings(Contract):
    """How a company works.

    `agents_see`: which sessions, with all that is said in them, who has the role `agent` sees:
    `all`, or `own`, which are those the agent has and those nobody has. `auto_assignment`: how
    active sessions that nobody has come to active agents by themselves, the oldest first: not at
    all, to one agent after the other (`round_robin`), or to who has the fewest (`least_busy`);
    nobody is given more than `sessions_per_agent` that way. `opt_out_words`: who writes one of
    them, and nothing else, wants no more messages on that channel; `opt_in_words` take it back.
    Case and accents do not matter; without words nothing happens by itself. `require_two_factor`:
    who has no second factor may do nothing but set one up. Events, in the feed and as webhook
    deliveries, are kept for `event_retention_days`; null is as long as the installation keeps them.
    """

    agents_see: AgentsSee
    auto_assignment: AutoAssignment
    sessions_per_agent: SessionsPerAgent
    opt_out_words: Words = Field(default_factory=list)
    opt_in_words: Words = Field(default_factory=list)
    require_two_factor: bool = False
    event_retention_days: EventRetentionDays | None = None
    version: int
    updated_at: datetime


class SettingsUpdated(EventData, type="settings.updated", aggregate="company"):
    """A company changed how it works."""

    settings: CompanySettings
