"""The envelope of every domain event (design section 3)."""

from datetime import datetime
from typing import ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Base of everything that crosses the bus: immutable; unknown fields are tolerated on read.

    Tolerance is what lets a producer add an optional field before its consumers know it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Contract):
    """What one event type says. Subclasses name their type once, here and nowhere else.

    `event_type` is two words, `^[a-z]+\\.[a-z_]+$`, and is also the routing key.
    `aggregate_type` names what `Envelope.aggregate_id` identifies; events of one aggregate are
    published in the order they were written.
    """

    event_type: ClassVar[str]
    event_version: ClassVar[str] = "1"
    aggregate_type: ClassVar[str]
    description: ClassVar[str]


Data = TypeVar("Data", bound=EventData)


class Envelope(Contract, Generic[Data]):
    """One event as it travels.

    `aggregate_seq` grows within an aggregate (it is the producer's outbox sequence, so it has
    gaps); `causation_id` is the event this one follows from; `correlation_id` is the request id
    that started the chain and is shown to customers.
    """

    event_id: UUID
    event_type: str
    event_version: str
    aggregate_id: UUID
    aggregate_type: str
    aggregate_seq: int
    tenant_id: str
    occurred_at: datetime
    correlation_id: str | None = None
    causation_id: UUID | None = None
    data: Data
