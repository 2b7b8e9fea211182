"""What each service may do on the bus: its own, and no more (docs/adr/0016).

RabbitMQ asks for `configure` to declare or delete, `write` to publish to an exchange or to bind to
a queue, `read` to consume, get or purge a queue, or to bind from an exchange. What is published to
a topic exchange, and what is bound from one, is asked of the key as well. Patterns are anchored
regular expressions. Source: https://www.rabbitmq.com/docs/access-control
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shared_events import topology
from shared_events.notices import FEED_NOTICES
from shared_events.registry import EVENTS, REQUESTS
from shared_events.services import GATEWAY, WEBHOOKS, ServiceName

_NOTHING = "^$"
_PARTITION = r"(\.\d+)?"
"""A queue may be split into numbered ones; all have its dead letters."""
_SPREAD = r"\.slots|\.slotless"
"""The exchanges that lead to them."""


@dataclass(frozen=True, slots=True)
class TopicRights:
    """The keys that may be published to an exchange, and bound from it."""

    exchange: str
    write: str
    read: str


@dataclass(frozen=True, slots=True)
class Rights:
    """The patterns of one user in one virtual host."""

    configure: str
    write: str
    read: str
    topics: tuple[TopicRights, ...]


def rights_of(service: ServiceName) -> Rights:
    """What a service needs for what it tells, hears, asks and answers."""
    queues = tuple(topology.queues_of(service))
    told = {topology.event_exchange(event.event_type).name for event in EVENTS[service]}
    heard = {queue.exchange.name for queue in queues}
    dead = {queue.exchange.dead_letters.name for queue in queues}
    own = [*_own(service, queues)]
    writes, reads = told | dead, heard | dead
    if REQUESTS[service]:
        writes.add(topology.CRM_REPLIES.name)
        reads.add(topology.CRM_REQUESTS.name)
    if service is GATEWAY:
        writes |= {topology.CRM_REQUESTS.name, topology.WAHA_EVENTS.name}
        reads |= {topology.CRM_REPLIES.name, FEED_NOTICES.name}
    if service is WEBHOOKS:
        writes.add(FEED_NOTICES.name)
    return Rights(
        configure=_any(own),
        write=_any([*own, *_exactly(writes)]),
        read=_any([*own, *_exactly(reads)]),
        topics=tuple(_topics(service, queues)),
    )


def _own(service: ServiceName, queues: Iterable[topology.EventQueue]) -> Iterable[str]:
    """The names of what only this service declares."""
    noun = re.escape(service.noun)
    for name in _names(queues):
        yield rf"{name}({_PARTITION}(\.dlq)?|{_SPREAD})"
    if service is GATEWAY:
        yield r"(replies|notices)\..+"
        yield rf"{noun}\.(returns|retry\.\d+ms)"
    else:
        yield rf"{noun}\.(queries|commands|returns|retry\.\d+ms)"


def _topics(service: ServiceName, queues: Iterable[topology.EventQueue]) -> Iterable[TopicRights]:
    for exchange in topology.EXCHANGES:
        mine = [queue for queue in queues if queue.exchange is exchange]
        # What is told to an exchange may be told to those it feeds as well: they get it anyway, and
        # the release before may tell it there while an update rolls.
        told = _exactly(
            event.event_type
            for event in EVENTS[service]
            if (first := topology.event_exchange(event.event_type)) is exchange
            or first in [source for source, _ in exchange.sources]
        )
        heard = [_covered(key) for key in sorted({key for queue in mine for key in queue.keys})]
        may_tell_all = service is GATEWAY and exchange is topology.WAHA_EVENTS
        yield TopicRights(
            exchange.name, write=".*" if may_tell_all else _any(told), read=_any(heard)
        )
        letters = _any(f"{name}{_PARTITION}" for name in _names(mine))
        yield TopicRights(exchange.dead_letters.name, write=letters, read=letters)
    yield TopicRights(
        topology.CRM_REQUESTS.name,
        write=".*" if service is GATEWAY else _NOTHING,
        read=rf"^{re.escape(service.noun)}\..+$",
    )


def _names(queues: Iterable[topology.EventQueue]) -> list[str]:
    """As patterns, those of one split queue once."""
    return _exactly(re.sub(rf"{_PARTITION}$", "", queue.name) for queue in queues)


def _exactly(names: Iterable[str]) -> list[str]:
    return [re.escape(name) for name in sorted(set(names))]


def _covered(key: str) -> str:
    """A binding's key and whatever it covers: code of before may bind those one by one."""
    return re.escape(key).replace(r"\*", r"(\*|[^.]+)").replace(r"\#", ".*")


def _any(patterns: Iterable[str]) -> str:
    """A pattern for whole names that fit one of these."""
    joined = "|".join(patterns)
    return f"^({joined})$" if joined else _NOTHING
