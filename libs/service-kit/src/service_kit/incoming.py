"""From a delivery to what a handler is given, and which handler that is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from pydantic import ValidationError
from shared_events import registry, topology
from shared_events.envelope import Data, Envelope, EventData

from service_kit import tracing
from service_kit.bundles import Message
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.errors import PoisonError, UnknownEventError
from service_kit.settings import ConfigurationError

Body = TypeVar("Body")


@dataclass(frozen=True, slots=True)
class Incoming(Generic[Body]):
    """One message to apply. `cause` is what events that follow from it should carry."""

    id: UUID
    tenant_id: str
    body: Body
    headers: Mapping[str, Any]
    cause: Cause


class Event(Incoming[Envelope[Data]], Generic[Data]):
    """A domain event to apply."""

    @property
    def data(self) -> Data:
        """What the event says."""
        return self.body.data


EventHandler = Callable[[Transaction, Sequence[Event[Data]]], Awaitable[None]]
"""Applies events of one type, in order, in the given transaction.

They are of one tenant, the transaction's, unless it was registered to take many `together`: then
each event says whose it is, and what is written must say it too.
"""

Handler = Callable[[Transaction, Sequence[Incoming[Body]]], Awaitable[None]]
"""As `EventHandler`, for whatever arrives."""

Reader = Callable[[Message], Incoming[Body]]
"""Reads a delivery; raises PoisonError."""


@dataclass(frozen=True, slots=True)
class Handling:
    """A handler, and whether it takes many companies' messages together."""

    handler: Callable[[Transaction, Sequence[Any]], Awaitable[None]]
    together: bool = False


@dataclass(frozen=True, slots=True)
class Read:
    """A delivery and who takes it; without a handler it is acknowledged without effect."""

    incoming: Incoming[Any]
    handling: Handling | None


Decoder = Callable[[Message], Read]


class EventDecoder:
    """Reads the events of one queue and knows the handler of each type."""

    def __init__(self, queue: topology.EventQueue) -> None:
        self._queue = queue
        self._handlers: dict[type[EventData], Handling | None] = {}

    def on(
        self,
        data_type: type[Data],
        handler: EventHandler[Data] | None,
        *,
        together: bool = False,
    ) -> None:
        """Give a type its handler, or None to say that this queue's consumer ignores it."""
        if data_type in self._handlers:
            raise ConfigurationError(
                [f"{self._queue.name}: {data_type.event_type} has two handlers"]
            )
        self._handlers[data_type] = handler and Handling(handler, together)

    def check(self) -> None:
        """Raise ConfigurationError for a type that reaches the queue and has no handler.

        Acknowledging it in silence would lose it; and one that has a handler and never comes would
        be missed by nobody.
        """
        bound = topology.events_of(self._queue)
        problems = [
            f"{self._queue.name}: {event.event_type} is bound, but nobody handles or ignores it"
            for event in bound
            if event not in self._handlers
        ] + [
            f"{self._queue.name}: {event.event_type} is handled, but not bound"
            for event in self._handlers
            if event not in bound
        ]
        if problems:
            raise ConfigurationError(problems)

    @property
    def types(self) -> tuple[type[EventData], ...]:
        """The types that have a handler."""
        return tuple(t for t, handler in self._handlers.items() if handler is not None)

    def __call__(self, message: Message) -> Read:
        """Read one delivery; raises PoisonError, and UnknownEventError."""
        if "event_type" not in message.headers:
            raise PoisonError("unknown_event", "it has no type")
        event_type = str(message.headers["event_type"])
        version = str(message.headers.get("event_version"))
        data_type = registry.BY_TYPE.get((event_type, version))
        if data_type is None:
            known = any(known_type == event_type for known_type, _ in registry.BY_TYPE)
            reason = "unsupported_version" if known else "unknown_event"
            raise UnknownEventError(reason, f"{event_type} version {version}")
        try:
            envelope: Envelope[Any] = registry.parse(data_type, message.body)
        except ValidationError as error:
            raise PoisonError("invalid_event", _brief(error)) from None
        cause = Cause(envelope.correlation_id, envelope.event_id, tracing.accepted(message.headers))
        event = Event(envelope.event_id, envelope.tenant_id, envelope, message.headers, cause)
        return Read(event, self._handlers.get(data_type))


def taken_by(handler: Handler[Body], read: Reader[Body], *, together: bool = False) -> Decoder:
    """One reader and one handler for whatever arrives."""
    handling = Handling(handler, together)
    return lambda message: Read(read(message), handling)


def read_bytes(message: Message) -> Incoming[bytes]:
    """An event as the bytes it came in, known from its headers alone."""
    try:
        event_id = UUID(str(message.headers["event_id"]))
        tenant_id = str(message.headers["tenant_id"])
    except (KeyError, ValueError) as error:
        raise PoisonError("invalid_headers", str(error)) from None
    cause = Cause(message.correlation_id, event_id, tracing.accepted(message.headers))
    return Incoming(event_id, tenant_id, message.body, message.headers, cause)


def _brief(error: ValidationError) -> str:
    """Where a message is wrong, without the values in it: those may be personal."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False)
    )[:500]
