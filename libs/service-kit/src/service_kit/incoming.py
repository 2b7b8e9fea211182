"""From a delivery to what a handler is given, and which handler that is."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from aio_pika.abc import AbstractIncomingMessage
from pydantic import ValidationError
from shared_events import registry
from shared_events.envelope import Data, Envelope, EventData

from service_kit.database import Transaction
from service_kit.errors import PoisonError
from service_kit.outbox import Cause
from service_kit.tracing import trace_headers

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


Handler = Callable[[Transaction, Sequence[Any]], Awaitable[None]]
"""Applies messages of one type and tenant, in order, in the given transaction."""

Decoder = Callable[[AbstractIncomingMessage], tuple[Incoming[Any], Handler | None]]
"""Reads a delivery; raises PoisonError. No handler: acknowledged without effect."""


def by_event_type(handlers: Mapping[type[EventData], Handler]) -> Decoder:
    """Decode domain events and pick their handler; a type without one is skipped."""
    wanted = {(t.event_type, t.event_version): (t, h) for t, h in handlers.items()}
    types = {t.event_type for t in handlers}

    def decode(message: AbstractIncomingMessage) -> tuple[Incoming[Any], Handler | None]:
        event_type = str(message.headers.get("event_type"))
        version = str(message.headers.get("event_version"))
        found = wanted.get((event_type, version))
        if found is None and event_type in types:
            raise PoisonError("unsupported_version", f"{event_type} version {version}")
        data_type, handler = found if found else (None, None)
        try:
            envelope: Envelope[Any] = (
                registry.parse(data_type, message.body)
                if data_type
                else registry.parse_any(event_type, version, message.body)
            )
        except registry.UnknownEventError as error:
            raise PoisonError("unknown_event", str(error)) from None
        except ValidationError as error:
            raise PoisonError("invalid_event", _brief(error)) from None
        cause = Cause(envelope.correlation_id, envelope.event_id, trace_headers(message.headers))
        event = Event(envelope.event_id, envelope.tenant_id, envelope, message.headers, cause)
        return event, handler

    return decode


def every_event(handler: Handler) -> Decoder:
    """Hand over every event as the bytes it came in, read from its headers alone."""

    def decode(message: AbstractIncomingMessage) -> tuple[Incoming[Any], Handler | None]:
        try:
            event_id = UUID(str(message.headers["event_id"]))
            tenant_id = str(message.headers["tenant_id"])
        except (KeyError, ValueError) as error:
            raise PoisonError("invalid_headers", str(error)) from None
        cause = Cause(message.correlation_id, event_id, trace_headers(message.headers))
        return Incoming(event_id, tenant_id, message.body, message.headers, cause), handler

    return decode


def _brief(error: ValidationError) -> str:
    """Where a message is wrong, without the values in it: those may be personal."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False)
    )[:500]
