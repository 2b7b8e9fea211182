"""What leads to a contact, moved to another one: a statement a table, whatever the number of rows.

Each looks a contact's rows up by themselves, so that no plan reads a young table whole
(docs/adr/0017-many-companies-together.md).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape
from shared_events.identity import IdentityKind

from crm_contacts.merging.models import ContactMerge

MERGES = Rows(ContactMerge)

Pair = tuple[str, UUID, UUID]
"""Whose contacts, the winner and the loser."""

_PAIRS = "unnest($1::text[], $2::uuid[], $3::uuid[]) AS p(tenant_id, winner_id, loser_id)"
# Lists come before contacts in the order of locks; those of a list's members need its row.
_LOCK_LISTS = f"""
SELECT l.id FROM (SELECT DISTINCT p.tenant_id, m.list_id FROM {_PAIRS}
    CROSS JOIN LATERAL (SELECT list_id FROM contact_list_members
        WHERE tenant_id = p.tenant_id AND contact_id = p.loser_id OFFSET 0) AS m
    ORDER BY 1, 2) AS k
CROSS JOIN LATERAL (SELECT id FROM contact_lists
    WHERE tenant_id = k.tenant_id AND id = k.list_id LIMIT 1 FOR KEY SHARE) AS l
"""  # noqa: S608 - our own text
_TO_LISTS = f"""
INSERT INTO contact_list_members (tenant_id, list_id, contact_id, added_by, added_at)
SELECT p.tenant_id, m.list_id, p.winner_id, m.added_by, m.added_at FROM {_PAIRS}
CROSS JOIN LATERAL (SELECT * FROM contact_list_members
    WHERE tenant_id = p.tenant_id AND contact_id = p.loser_id OFFSET 0) AS m
ORDER BY m.list_id, p.winner_id
ON CONFLICT DO NOTHING
RETURNING tenant_id, contact_id, list_id
"""  # noqa: S608 - our own text
_MOVE = """
WITH moved AS MATERIALIZED (
    SELECT p.tenant_id, p.winner_id, p.loser_id, r.* FROM {pairs}
    CROSS JOIN LATERAL (SELECT id, {is_open} AS is_open FROM {table}
        WHERE tenant_id = p.tenant_id AND contact_id = p.loser_id OFFSET 0) AS r)
UPDATE {table} t SET contact_id = moved.winner_id{also} FROM moved
WHERE t.id = moved.id AND t.tenant_id = moved.tenant_id
RETURNING t.tenant_id, moved.loser_id, t.id, moved.is_open
"""
# A contact is at one place: where the winner is at one, the loser leaves its own.
_LEFT = """, left_at = CASE WHEN t.left_at IS NULL AND EXISTS (
    SELECT 1 FROM contact_pipeline_statuses o WHERE o.tenant_id = t.tenant_id
        AND o.contact_id = moved.winner_id AND o.left_at IS NULL)
    THEN greatest(t.entered_at, now()) ELSE t.left_at END"""
_MOVES = {
    table: _MOVE.format(pairs=_PAIRS, table=table, also=also, is_open=is_open)
    for table, also, is_open in (
        ("notes", "", "false"),
        ("trackings", "", "false"),
        ("contact_pipeline_statuses", _LEFT, "left_at IS NULL"),
    )
}
_IDENTITIES = f"""
WITH moved AS MATERIALIZED (
    SELECT p.winner_id, p.loser_id, r.* FROM {_PAIRS}
    CROSS JOIN LATERAL (SELECT contact_id, kind, canonical, tenant_id AS of
        FROM contact_identities WHERE contact_id = p.loser_id OFFSET 0) AS r
    WHERE r.of = p.tenant_id)
UPDATE contact_identities i SET contact_id = moved.winner_id FROM moved
WHERE i.tenant_id = moved.of AND i.kind = moved.kind AND i.canonical = moved.canonical
RETURNING i.tenant_id, moved.loser_id, i.kind, i.value, i.proved
"""  # noqa: S608 - our own text
_EVERYBODY = """
WITH RECURSIVE merged(id) AS (
    SELECT $2::uuid
    UNION SELECT c.id FROM merged CROSS JOIN LATERAL (SELECT id FROM contacts
        WHERE tenant_id = $1 AND merged_into = merged.id OFFSET 0) AS c)
SELECT id FROM merged
"""


@dataclass(frozen=True, slots=True)
class Moved:
    """An identity that was the loser's and is the winner's now."""

    tenant_id: str
    loser_id: UUID
    kind: IdentityKind
    value: str
    proved: bool


@dataclass(slots=True)
class Gone:
    """What went over from one loser: ids of rows by table, and of the stay that was open."""

    identities: list[Moved] = field(default_factory=list)
    rows: dict[str, list[UUID]] = field(default_factory=lambda: defaultdict(list))
    open_stay: UUID | None = None


_MOVED = Shape(Moved)


async def lock_lists(tx: Transaction, pairs: Sequence[Pair]) -> None:
    """Keep the lists that losers are on from going away; before anybody's own lock is taken."""
    await tx.fetch(_LOCK_LISTS, *_arrays(pairs))


async def move(tx: Transaction, pairs: Sequence[Pair]) -> dict[tuple[str, UUID], Gone]:
    """Make all that leads to the losers lead to their winners; what went over, by the loser.

    The caller holds the locks of all of them. The loser stays on its lists as well: who is not
    shown is not seen there.
    """
    arrays = _arrays(pairs)
    gone: dict[tuple[str, UUID], Gone] = defaultdict(Gone)
    for table, statement in _MOVES.items():
        for row in await tx.fetch(statement, *arrays):
            of = gone[row["tenant_id"], row["loser_id"]]
            of.rows[table].append(row["id"])
            if row["is_open"]:
                of.open_stay = row["id"]
    losers = {(tenant_id, winner_id): loser_id for tenant_id, winner_id, loser_id in pairs}
    for row in await tx.fetch(_TO_LISTS, *arrays):
        of = gone[row["tenant_id"], losers[row["tenant_id"], row["contact_id"]]]
        of.rows["contact_list_members"].append(row["list_id"])
    for moved in await _MOVED.find(tx, _IDENTITIES, *arrays):
        gone[moved.tenant_id, moved.loser_id].identities.append(moved)
    return gone


async def everybody(tx: Transaction, contact_id: UUID) -> list[UUID]:
    """The contact, and all that were merged into it: what was written of them is about it."""
    return [row["id"] for row in await tx.fetch(_EVERYBODY, tx.tenant_id, contact_id)]


def _arrays(pairs: Sequence[Pair]) -> tuple[list[str], list[UUID], list[UUID]]:
    return (
        [tenant_id for tenant_id, _, _ in pairs],
        [winner_id for _, winner_id, _ in pairs],
        [loser_id for _, _, loser_id in pairs],
    )
