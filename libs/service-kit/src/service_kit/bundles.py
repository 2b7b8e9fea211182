"""Several events as one message of the bus (docs/adr/0041).

What a bulk does is told of event by event, and a message costs the relay, the broker and each of
its consumers more than what is in it. So events alike travel together, as far as one partition is
theirs, and are events again before anybody handles them.
"""

from collections import defaultdict
from collections.abc import Awaitable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
from aio_pika import IncomingMessage
from asyncpg import Record
from shared_events.registry import MANY
from shared_events.slots import SLOT, owners, slot_of

from service_kit.batch import Records
from service_kit.errors import PoisonError

BUNDLE = "bundle"
"""The header that says how many events a message is."""
MOST_EVENTS = 25
"""Of some 30 kB at most each, which is a contact with all that it can hold."""

Together = Sequence[Record]
"""Events, as rows of the outbox, that travel as one message."""


class Message(Protocol):
    """What consumers look at of a message, which may be one of several in a bundle."""

    @property
    def body(self) -> bytes:
        """The event's envelope."""
        ...

    @property
    def headers(self) -> Mapping[str, Any]:
        """Of the event alone."""
        ...

    @property
    def message_id(self) -> str | None:
        """Of the event alone."""
        ...

    @property
    def correlation_id(self) -> str | None:
        """The request it began with."""
        ...

    def reject(self, requeue: bool = False) -> Awaitable[None]:
        """Have the broker move it to the dead letters."""
        ...


@dataclass(frozen=True, slots=True)
class _Bundled:
    """One event of a bundle, as if it had come alone."""

    body: bytes
    headers: Mapping[str, Any]
    message_id: str | None
    correlation_id: str | None
    bundle: IncomingMessage

    async def reject(self, requeue: bool = False) -> None:
        """The whole bundle: what of it has been applied is dropped when it comes again."""
        await self.bundle.reject(requeue=requeue)


def bundled(lanes: Iterable[Sequence[Together]], partitions: int) -> Iterator[Sequence[Together]]:
    """The lanes of a batch, those that are a single event of many being put together.

    What is put together is alike in kind and cause, and of one partition (so that one message is
    the order of all), and keeps its order.
    """
    owned = owners(partitions)
    alike: dict[tuple[object, ...], list[Record]] = defaultdict(list)
    for lane in lanes:
        (row, *_), *further = lane
        kind = row["event_type"], row["event_version"]
        if further or kind not in MANY:
            yield lane
            continue
        cause = row["tenant_id"], row["correlation_id"], orjson.dumps(row["trace_context"])
        alike[*kind, *cause, owned[slot_of(row["aggregate_id"])][-1]].append(row)
    for rows in alike.values():
        for start in range(0, len(rows), MOST_EVENTS):
            yield [rows[start : start + MOST_EVENTS]]


def body_of(envelopes: Sequence[bytes]) -> bytes:
    """The body of a bundle: a line each, since JSON that is written densely has none."""
    return b"\n".join(envelopes)


def opened(message: IncomingMessage) -> Sequence[Message]:
    """The events of a message, in their order; raises PoisonError where it is not what it says."""
    count = message.headers.get(BUNDLE)
    if count is None:
        return [message]
    lines = message.body.split(b"\n")
    if len(lines) != count:
        raise PoisonError("invalid_bundle", f"{len(lines)} events, not {count!r}")
    return [_event(message, line) for line in lines]


def _event(message: IncomingMessage, line: bytes) -> _Bundled:
    try:
        envelope = orjson.loads(line)
        event_id, aggregate_id = str(envelope["event_id"]), str(envelope["aggregate_id"])
    except (ValueError, KeyError, TypeError) as error:
        raise PoisonError("invalid_bundle", type(error).__name__) from None
    shared = {name: value for name, value in message.headers.items() if name != BUNDLE}
    its = {"event_id": event_id, "aggregate_id": aggregate_id, SLOT: slot_of(aggregate_id)}
    return _Bundled(line, {**shared, **its}, event_id, message.correlation_id, message)


@dataclass(slots=True)
class Letter:
    """A message that is in hand, and how many of its events wait aside.

    `batch` is what it came in, and can be kept by; None where messages come one by one.
    """

    message: IncomingMessage
    batch: Records | None
    _aside: int = 0
    _in_hand: bool = True

    @property
    def events(self) -> int:
        """How many it says it is."""
        count = self.message.headers.get(BUNDLE, 1)
        return count if isinstance(count, int) else 1

    def keep(self) -> None:
        """One of its events is settled later."""
        self._aside += 1
        if self.batch is not None:
            self.batch.keep(self.message)

    async def settle(self) -> None:
        """One of those is; with the last one the message is acknowledged."""
        self._aside -= 1
        if self.batch is not None and not self._aside and not self._in_hand:
            await self.batch.settle(self.message)

    def leave(self) -> None:
        """What does not wait is done: without any that does it is settled with its batch."""
        self._in_hand = False
        if self.batch is not None and not self._aside:
            self.batch.release(self.message)
