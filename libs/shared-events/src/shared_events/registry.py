"""Every event and request there is, collected from the noun modules of the services' packages."""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any, cast

from shared_events.envelope import Data, Envelope, EventData
from shared_events.requests import Request
from shared_events.services import SERVICES, ServiceName


def _nouns(service: ServiceName) -> Iterator[ModuleType]:
    package = import_module(service.contract)
    for module in iter_modules(package.__path__):
        yield import_module(f"{service.contract}.{module.name}")


def _declared_in(module: ModuleType) -> Iterator[type[Any]]:
    for member in vars(module).values():
        if isinstance(member, type) and member.__module__ == module.__name__:
            yield member


_DECLARED = {
    service: [member for module in _nouns(service) for member in _declared_in(module)]
    for service in SERVICES
}

EVENTS: dict[ServiceName, tuple[type[EventData], ...]] = {
    service: tuple(m for m in members if issubclass(m, EventData) and "event_type" in vars(m))
    for service, members in _DECLARED.items()
}
"""The events each service publishes."""

REQUESTS: dict[ServiceName, tuple[type[Request[Any]], ...]] = {
    service: tuple(m for m in members if issubclass(m, Request) and "key" in vars(m))
    for service, members in _DECLARED.items()
}
"""The requests each service answers over the bus."""

BY_TYPE: dict[tuple[str, str], type[EventData]] = {
    (event.event_type, event.event_version): event for events in EVENTS.values() for event in events
}
BY_KEY: dict[str, type[Request[Any]]] = {
    request.key: request for requests in REQUESTS.values() for request in requests
}
PUBLIC = tuple(event for event in BY_TYPE.values() if event.public)
"""Offered to customers as webhooks; the list in `GET /event-types`."""

MANY = frozenset(key for key, event in BY_TYPE.items() if event.many)
"""Of these a bulk tells thousands: they may travel together."""


class UnknownEventError(LookupError):
    """No class is registered for this event type and version."""


def publisher_of(event: type[EventData]) -> ServiceName:
    """The one service that publishes this event type."""
    return next(service for service, events in EVENTS.items() if event in events)


def parse(data_type: type[Data], body: bytes) -> Envelope[Data]:
    """Decode the body of a known event; raises pydantic's ValidationError when it does not fit."""
    envelope_of = cast(type[Envelope[Data]], Envelope.__class_getitem__(data_type))
    return envelope_of.model_validate_json(body)


def parse_any(event_type: str, event_version: str, body: bytes) -> Envelope[Any]:
    """Decode an event by its headers; raises UnknownEventError or ValidationError."""
    try:
        data_type = BY_TYPE[event_type, event_version]
    except KeyError:
        raise UnknownEventError(f"{event_type} version {event_version}") from None
    return parse(data_type, body)
