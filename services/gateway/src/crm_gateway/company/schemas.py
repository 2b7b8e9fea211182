"""What the settings routes take and give."""

from pydantic import ConfigDict
from shared_events.gateway.company import (
    AgentsSee,
    AutoAssignment,
    CompanySettings,
    EventRetentionDays,
    SessionsPerAgent,
    Words,
)
from shared_events.requests import Command, Query


class GetSettings(Query[CompanySettings], key="gateway.settings.get"):
    """How the company works."""


class UpdateSettings(Command[CompanySettings], key="gateway.settings.update"):
    """Change how the company works, at once and for everybody; what is left out stays.

    Who turns `require_two_factor` on must have a second factor: 409 `two_factor_not_enabled`.
    Null stays as well, but for `event_retention_days`.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "agents_see": "own",
                "auto_assignment": "least_busy",
                "sessions_per_agent": 20,
                "opt_out_words": ["STOP", "PARAR", "SAIR", "CANCELAR"],
                "opt_in_words": ["START", "VOLTAR"],
                "require_two_factor": True,
                "event_retention_days": 90,
            }
        }
    )

    agents_see: AgentsSee | None = None
    auto_assignment: AutoAssignment | None = None
    sessions_per_agent: SessionsPerAgent | None = None
    opt_out_words: Words | None = None
    opt_in_words: Words | None = None
    require_two_factor: bool | None = None
    event_retention_days: EventRetentionDays | None = None
