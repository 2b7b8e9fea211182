"""Who is in a group, as it is told bit by bit. Nothing here does I/O.

Somebody is told of by phone, by hidden id or by both, and is one person all the same. What is told
later counts, by the time of telling; the hidden id beside a phone is learned from whatever shows
both.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared_events.identity import WhatsAppId


@dataclass(frozen=True, slots=True)
class Seat:
    """What is known of somebody in a group; `participant` names it, `lid` is beside a phone."""

    participant: str
    lid: str | None
    role: str | None
    joined_at: datetime
    left_at: datetime | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """Somebody was seen in a group, or gone from it; `role` is None where it was not told."""

    identities: Sequence[WhatsAppId]
    at: datetime
    role: str | None = None
    left: bool = False

    @property
    def names(self) -> list[str]:
        """How they are recorded, strongest first: in the one form that aliases share."""
        return [WhatsAppId(who.kind, who.canonical).chat_id for who in self.identities]

    @property
    def lid(self) -> str | None:
        """The hidden id beside a phone."""
        return next((n for n in self.names[1:] if n.endswith("@lid")), None)


def seated(before: Sequence[Seat], told: Told) -> Seat:
    """Where somebody is after that; `before` are the seats they were known by, mostly one.

    The very seat of before where nothing is new.
    """
    seat = _one(before)
    if seat is None:
        left_at = told.at if told.left else None
        return Seat(told.names[0], told.lid, told.role, told.at, left_at, told.at)
    if told.identities[0].kind == "phone":
        hidden = seat.participant if seat.participant.endswith("@lid") else seat.lid
        seat = replace(seat, participant=told.names[0], lid=told.lid or hidden)
    if told.at < seat.changed_at:
        return seat
    if told.left:
        return seat if seat.left_at else replace(seat, left_at=told.at, changed_at=told.at)
    if seat.left_at:
        seat = replace(seat, left_at=None, joined_at=told.at, changed_at=told.at)
    if told.role not in (None, seat.role):
        seat = replace(seat, role=told.role, changed_at=told.at)
    return seat


def _one(seats: Sequence[Seat]) -> Seat | None:
    """One of what turns out to be two seats of one person: the newest, there since the oldest."""
    if len(seats) < 2:
        return seats[0] if seats else None
    newest = max(seats, key=lambda seat: seat.changed_at)
    role = newest.role or next((seat.role for seat in seats if seat.role), None)
    return replace(newest, role=role, joined_at=min(seat.joined_at for seat in seats))
