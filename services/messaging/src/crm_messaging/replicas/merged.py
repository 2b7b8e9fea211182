"""Contacts that were merged into others: an id that was told once leads to whoever it is by now.

Who is about to say something as a contact keeps it from being merged until the commit, by a lock
that only merging minds: it is what a foreign key would take. So what is on its way to a contact
that is being merged lands with the winner, whichever of the two comes first.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Shape

from crm_messaging.replicas.models import ContactRef
from crm_messaging.replicas.repository import CONTACTS, ContactKey

_HOLD = """
SELECT c.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, contact_id)
CROSS JOIN LATERAL (SELECT * FROM contact_refs
    WHERE tenant_id = k.tenant_id AND contact_id = k.contact_id LIMIT 1 FOR {lock}) AS c
"""
_FOR_TALKING = _HOLD.format(lock="KEY SHARE")
_FOR_MERGING = _HOLD.format(lock="UPDATE")
_END_OF = """(
    WITH RECURSIVE way(id, place) AS (
        SELECT {0}.contact_id, 0
        UNION ALL SELECT c.merged_into, way.place + 1 FROM way CROSS JOIN LATERAL (
            SELECT merged_into FROM contact_refs
            WHERE tenant_id = {0}.tenant_id AND contact_id = way.id LIMIT 1) AS c
        WHERE c.merged_into IS NOT NULL)
    SELECT id FROM way ORDER BY place DESC LIMIT 1)"""
_ENDS = f"""
SELECT k.tenant_id, k.contact_id, ends.id FROM unnest($1::text[], $2::uuid[])
    AS k(tenant_id, contact_id)
CROSS JOIN LATERAL {_END_OF.format("k")} AS ends
WHERE ends.id <> k.contact_id
"""  # noqa: S608 - our own text
AUTHOR = f"CASE WHEN s.conversation_id IS NULL THEN s.contact_id ELSE {_END_OF.format('m')} END"
"""Whose a message `m` of a session `s` is by now: its session's, but in a group its author's."""
_EVERYBODY = """
WITH RECURSIVE merged(id) AS (
    SELECT $2::uuid
    UNION SELECT c.contact_id FROM merged CROSS JOIN LATERAL (SELECT contact_id FROM contact_refs
        WHERE tenant_id = $1 AND merged_into = merged.id OFFSET 0) AS c)
SELECT id FROM merged
"""


@dataclass(frozen=True, slots=True)
class _End:
    tenant_id: str
    contact_id: UUID
    id: UUID


_END = Shape(_End)


async def current(tx: Transaction, contacts: Iterable[ContactKey]) -> dict[ContactKey, ContactRef]:
    """Who these contacts are by now, of those that were told of; nobody merges them meanwhile."""
    wanted = set(contacts)
    found = await _hold(tx, _FOR_TALKING, wanted)
    while missing := {into for row in found.values() if (into := _into(row))} - found.keys():
        found |= await _hold(tx, _FOR_TALKING, missing)
    return {key: _end_of(found, key) for key in wanted if key in found}


async def hold(tx: Transaction, contacts: Iterable[ContactKey]) -> dict[ContactKey, ContactRef]:
    """These contacts, nobody saying anything as one of them until the transaction ends."""
    return await _hold(tx, _FOR_MERGING, contacts)


async def ends(tx: Transaction, contacts: Iterable[ContactKey]) -> dict[ContactKey, UUID]:
    """Who the contacts among these that were merged are by now; nobody is locked."""
    found = await _END.find(tx, _ENDS, *_arrays(contacts))
    return {(end.tenant_id, end.contact_id): end.id for end in found}


async def everybody(tx: Transaction, contact_id: UUID) -> list[UUID]:
    """The contact, and all that were merged into it: messages are of who they came from."""
    return [row["id"] for row in await tx.fetch(_EVERYBODY, tx.tenant_id, contact_id)]


async def _hold(
    tx: Transaction, statement: str, contacts: Iterable[ContactKey]
) -> dict[ContactKey, ContactRef]:
    rows = await CONTACTS.find(tx, statement, *_arrays(contacts))
    return {(row.tenant_id, row.contact_id): row for row in rows}


def _into(row: ContactRef) -> ContactKey | None:
    return (row.tenant_id, row.merged_into) if row.merged_into else None


def _end_of(found: dict[ContactKey, ContactRef], key: ContactKey) -> ContactRef:
    row = found[key]
    while (into := _into(row)) is not None and into in found:
        row = found[into]
    return row


def _arrays(contacts: Iterable[ContactKey]) -> tuple[list[str], list[UUID]]:
    wanted = sorted(set(contacts))
    return [tenant_id for tenant_id, _ in wanted], [contact_id for _, contact_id in wanted]
