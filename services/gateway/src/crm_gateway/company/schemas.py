"""What the settings routes take and give."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict
from shared_events.envelope import Contract
from shared_events.requests import Command, Query

AgentsSee = Literal["all", "own"]


class CompanySettings(Contract):
    """How a company works.

    `agents_see`: which sessions, with all that is said in them, who has the role `agent` sees:
    `all`, or `own`, which are those the agent has and those nobody has.
    """

    agents_see: AgentsSee
    version: int
    updated_at: datetime


class GetSettings(Query[CompanySettings], key="gateway.settings.get"):
    """How the company works."""


class UpdateSettings(Command[CompanySettings], key="gateway.settings.update"):
    """Change how the company works, at once and for everybody; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"example": {"agents_see": "own"}})

    agents_see: AgentsSee | None = None
