"""The envelope of every domain event (docs/architecture.md, "Events")."""

from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared_events.bounds import CorrelationId, TenantId


class Contract(BaseModel):
    """Base of everything that crosses the bus: immutable; unknown fields are tolerated on read.

    Tolerance is what lets a producer add an optional field before its consumers know it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


class EventData(Contract):
    """What one event type says, named where the class is declared and nowhere else:

        class NoteAdded(EventData, type="note.added", aggregate="contact", public=True):
            \"\"\"An agent wrote a note.\"\"\"

    `type` is two words, `^[a-z]+\\.[a-z_]+$`, and is also the routing key. `aggregate` names what
    `Envelope.aggregate_id` identifies; events of one aggregate are published in the order they
    were written. `public` events are offered to customers as webhooks, with the first line of the
    docstring as their description. Of `many` a bulk tells thousands, and they may travel together
    (docs/adr/0041). A class that only gathers fields names no type.
    """

    event_type: ClassVar[str]
    event_version: ClassVar[str] = "1"
    aggregate_type: ClassVar[str]
    public: ClassVar[bool] = False
    many: ClassVar[bool] = False

    def __init_subclass__(
        cls,
        *,
        type: str | None = None,  # noqa: A002 - the word customers know it by
        version: str = "1",
        aggregate: str | None = None,
        public: bool = False,
        many: bool = False,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        if aggregate is not None:
            cls.aggregate_type = aggregate
        if type is not None:
            cls.event_type = type
            cls.event_version = version
            cls.public = public
            cls.many = many

    @classmethod
    def description(cls) -> str:
        """What customers and operators read of it: the docstring's first line."""
        return (cls.__doc__ or "").partition("\n")[0].rstrip(".")


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
    tenant_id: TenantId
    occurred_at: datetime
    correlation_id: CorrelationId | None = None
    causation_id: UUID | None = None
    data: Data
