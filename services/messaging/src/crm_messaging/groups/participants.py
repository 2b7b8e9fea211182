"""Participants of groups within one transaction; the locks of their conversations are held."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events.messaging.conversation import ConversationParticipantsChanged, Member

from crm_messaging.groups.models import ConversationParticipant
from crm_messaging.groups.seats import Seat, Told, seated

PARTICIPANTS = Rows(ConversationParticipant)
_AT_ONCE = 100

# One look into an index for each name somebody was shown by (docs/adr/0017).
_KNOWN = """
SELECT p.* FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, conversation_id, name)
CROSS JOIN LATERAL (SELECT * FROM conversation_participants
    WHERE conversation_id = k.conversation_id AND participant = k.name
        AND tenant_id = k.tenant_id LIMIT 1) AS p
UNION
SELECT p.* FROM unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, conversation_id, name)
CROSS JOIN LATERAL (SELECT * FROM conversation_participants
    WHERE conversation_id = k.conversation_id AND lid = k.name
        AND tenant_id = k.tenant_id LIMIT 1) AS p
"""
_REMOVE = """
DELETE FROM conversation_participants AS p
USING unnest($1::text[], $2::uuid[], $3::text[]) AS k(tenant_id, conversation_id, participant)
WHERE p.conversation_id = k.conversation_id AND p.participant = k.participant
    AND p.tenant_id = k.tenant_id
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Where it was told: what events show of a group."""

    tenant_id: str
    conversation_id: UUID
    channel_id: UUID


@dataclass(slots=True)
class _Room:
    """The seats of one group, by every name somebody has there."""

    seats: dict[str, Seat] = field(default_factory=dict)
    changed: dict[str, Seat] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    cause: Cause | None = None

    def known(self, seat: Seat) -> None:
        for name in (seat.participant, seat.lid):
            if name:
                self.seats[name] = seat

    def take(self, told: Told, cause: Cause) -> None:
        found = {seat.participant: seat for n in told.names if (seat := self.seats.get(n))}
        before = list(found.values())
        seat = seated(before, told)
        if before == [seat]:
            return
        gone = found.keys() - {seat.participant}
        self.removed = (self.removed | gone) - {seat.participant}
        for name in gone:
            self.changed.pop(name, None)
        self.changed[seat.participant] = seat
        self.known(seat)
        self.cause = cause


async def note(tx: Transaction, told: Sequence[tuple[Group, Told, Cause]]) -> None:
    """Seat people where they were seen, and say what changed, a hundred of a group at a time."""
    rooms = {group: _Room() for group, _, _ in told}
    names = {(g.tenant_id, g.conversation_id, name) for g, one, _ in told for name in one.names}
    await _look(tx, names, rooms)
    for group, one, cause in told:
        rooms[group].take(one, cause)
    removed = sorted(
        (g.tenant_id, g.conversation_id, name) for g, room in rooms.items() for name in room.removed
    )
    if removed:
        await tx.execute(_REMOVE, *map(list, zip(*removed, strict=True)))
    rows = [
        _row(group, seat)
        for group, room in sorted(rooms.items(), key=lambda one: one[0].conversation_id)
        for _, seat in sorted(room.changed.items())
    ]
    if rows:
        await PARTICIPANTS.upsert(tx, rows)
    for group, room in rooms.items():
        _tell(tx, group, room)


async def other_names(
    tx: Transaction, people: set[tuple[str, UUID, str]]
) -> dict[tuple[str, UUID, str], str]:
    """The other name, phone's or hidden, of those who have two; by tenant, group and one name."""
    tenants, conversations, names = map(list, zip(*sorted(people), strict=True))
    return {
        (row.tenant_id, row.conversation_id, one): other
        for row in await PARTICIPANTS.find(tx, _KNOWN, tenants, conversations, names)
        if row.lid is not None
        for one, other in ((row.participant, row.lid), (row.lid, row.participant))
    }


async def _look(
    tx: Transaction, keys: set[tuple[str, UUID, str]], rooms: dict[Group, _Room]
) -> None:
    by_id = {(group.tenant_id, group.conversation_id): room for group, room in rooms.items()}
    tenants, conversations, names = map(list, zip(*sorted(keys), strict=True))
    for row in await PARTICIPANTS.find(tx, _KNOWN, tenants, conversations, names):
        by_id[row.tenant_id, row.conversation_id].known(
            Seat(row.participant, row.lid, row.role, row.joined_at, row.left_at, row.changed_at)
        )


def _row(group: Group, seat: Seat) -> ConversationParticipant:
    return ConversationParticipant.model_construct(
        conversation_id=group.conversation_id,
        participant=seat.participant,
        tenant_id=group.tenant_id,
        lid=seat.lid,
        role=seat.role,
        joined_at=seat.joined_at,
        left_at=seat.left_at,
        changed_at=seat.changed_at,
    )


def _tell(tx: Transaction, group: Group, room: _Room) -> None:
    members = [
        Member(
            participant=seat.participant,
            lid=seat.lid,
            role=seat.role,
            joined_at=seat.joined_at,
            left_at=seat.left_at,
        )
        for seat in room.changed.values()
    ]
    for start in range(0, len(members), _AT_ONCE):
        event = ConversationParticipantsChanged(
            conversation_id=group.conversation_id,
            channel_id=group.channel_id,
            participants=members[start : start + _AT_ONCE],
        )
        tx.outbox.add(event, group.conversation_id, tenant_id=group.tenant_id, cause=room.cause)
