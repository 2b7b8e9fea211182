"""What every service says of an erasure it carried out (docs/adr/0022)."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.envelope import EventData

Counts = Annotated[dict[bounds.ErrorCode, int], Field(max_length=64)]
"""How many rows of each table, and how many messages of queues."""


class ErasureReport(EventData, aggregate="contact"):
    """A service holds nothing of the person any more. Each service has a type of its own.

    `aggregates` are those whose events are of that person alone, and do not say so.
    """

    erasure_id: UUID
    contact_id: UUID
    erased: Counts = Field(default_factory=dict)
    aggregates: list[UUID] = Field(default_factory=list, max_length=1000)
