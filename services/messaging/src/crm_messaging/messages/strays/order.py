"""Where strays belong among the messages of their conversation. Nothing here does I/O."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Numbered:
    """A message with a place; `seq` is that of its conversation."""

    id: UUID
    conversation_id: UUID
    seq: int
    created_at: datetime
    placed_at: datetime


@dataclass(frozen=True, slots=True)
class Stray:
    """A message without a conversation; `seq` is that of its session."""

    id: UUID
    session_id: UUID
    channel_id: UUID
    contact_id: UUID
    chat_id: str
    seq: int
    direction: str
    sent_at: datetime | None
    created_at: datetime


Message = Numbered | Stray


def in_order(behind: Sequence[Numbered], strays: Sequence[Stray]) -> list[Message]:
    """Strays of one conversation among those numbered since the first of them, all in order.

    They are in the order they were stored in, which is what `seq` means
    (docs/adr/0019-conversations.md). Neither the numbered ones nor the strays of one session pass
    each other: their numbers were given under a lock, while the clocks of two machines differ.
    """
    timed = [(at, False, each.seq, each) for at, each in _stored(behind)]
    sessions: dict[UUID, list[Stray]] = {}
    for stray in strays:
        sessions.setdefault(stray.session_id, []).append(stray)
    for said in sessions.values():
        timed += [(at, True, each.seq, each) for at, each in _stored(said)]
    return [each for *_, each in sorted(timed, key=lambda entry: entry[:3])]


def _stored(messages: Iterable[Message]) -> Iterator[tuple[datetime, Message]]:
    """Each with a time that is not before that of one in front of it."""
    latest: datetime | None = None
    for each in sorted(messages, key=attrgetter("seq")):
        latest = max(latest or each.created_at, each.created_at)
        yield latest, each
