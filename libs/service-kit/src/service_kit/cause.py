"""Why a change happens."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Cause:
    """The request id that began the chain, the event before, the trace."""

    correlation_id: str | None = None
    causation_id: UUID | None = None
    trace_context: Mapping[str, str] = field(default_factory=dict)
