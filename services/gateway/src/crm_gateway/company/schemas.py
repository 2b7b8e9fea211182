"""What the settings routes take and give."""

from pydantic import ConfigDict
from shared_events.gateway.company import (
    AgentsSee,
    AutoAssignment,
    CompanySettings,
    SessionsPerAgent,
)
from shared_events.requests import Command, Query


class GetSettings(Query[CompanySettings], key="gateway.settings.get"):
    """How the company works."""


class UpdateSettings(Command[CompanySettings], key="gateway.settings.update"):
    """Change how the company works, at once and for everybody; what is left out stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "agents_see": "own",
                "auto_assignment": "least_busy",
                "sessions_per_agent": 20,
            }
        }
    )

    agents_see: AgentsSee | None = None
    auto_assignment: AutoAssignment | None = None
    sessions_per_agent: SessionsPerAgent | None = None
