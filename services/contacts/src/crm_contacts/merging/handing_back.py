"""SQL of what goes back when a merge is undone: rows that went over and are still the winner's."""

from uuid import UUID

from service_kit.database import Transaction

from crm_contacts.merging.models import ContactMerge
from crm_contacts.merging.repository import MERGES

UNDO_DAYS = 30
"""What merges are undone by tells of people: it is kept as long as they can be, and no longer."""

_RECORD = """
SELECT * FROM contact_merges
WHERE tenant_id = $1 AND loser_id = $2 AND winner_id = $3
    AND merged_at > now() - make_interval(days => $4)
ORDER BY merged_at DESC LIMIT 1
"""
_FORGET = "DELETE FROM contact_merges WHERE tenant_id = $1 AND id = $2"
_PURGED_AT_ONCE = 500
_PURGE = """
DELETE FROM contact_merges WHERE id = ANY(ARRAY(
    SELECT id FROM contact_merges WHERE merged_at < now() - make_interval(days => $1)
    ORDER BY merged_at LIMIT $2))
"""
_GIVE = """
UPDATE {table} SET contact_id = $3 WHERE tenant_id = $1 AND contact_id = $2 AND id = ANY($4::uuid[])
"""
_STAYS = """
UPDATE contact_pipeline_statuses SET contact_id = $3,
    left_at = CASE WHEN id IS DISTINCT FROM $5 THEN left_at WHEN $6 THEN NULL
        ELSE coalesce(left_at, greatest(entered_at, now())) END
WHERE tenant_id = $1 AND contact_id = $2 AND id = ANY($4::uuid[])
"""
_OFF_LISTS = """
DELETE FROM contact_list_members
WHERE tenant_id = $1 AND contact_id = $2 AND list_id = ANY($3::uuid[])
"""
_OTHER_PLACE = """
SELECT EXISTS (SELECT 1 FROM contact_pipeline_statuses WHERE tenant_id = $1 AND contact_id = $2
    AND left_at IS NULL AND id <> ALL($3::uuid[]))
"""
_PLACE = """
SELECT EXISTS (SELECT 1 FROM pipeline_statuses WHERE tenant_id = $1 AND pipeline_id = $2
    AND id = $3)
"""


async def record(tx: Transaction, winner_id: UUID, loser_id: UUID) -> ContactMerge | None:
    """What the newest merge of the two is undone by, unless it is too old for that."""
    return await MERGES.first(tx, _RECORD, tx.tenant_id, loser_id, winner_id, UNDO_DAYS)


async def forget(tx: Transaction, merge: ContactMerge) -> None:
    """Remove what the merge is undone by: it is undone."""
    await tx.execute(_FORGET, merge.tenant_id, merge.id)


async def purge(tx: Transaction) -> bool:
    """Remove what merges that can be undone no more were undone by; whether there may be more."""
    return await tx.execute(_PURGE, UNDO_DAYS, _PURGED_AT_ONCE) == _PURGED_AT_ONCE


async def rows(tx: Transaction, merge: ContactMerge, *, reopen: bool) -> None:
    """Give back notes, trackings, stays and places on lists.

    The stay that was open at the merge is open again if the loser comes back to that place
    (`reopen`), and ends else.
    """
    between = merge.tenant_id, merge.winner_id, merge.loser_id
    for table in ("notes", "trackings"):
        await tx.execute(_GIVE.format(table=table), *between, _ids(merge, table))
    open_stay = merge.stood["open_stay"] and UUID(merge.stood["open_stay"])
    await tx.execute(_STAYS, *between, _ids(merge, "contact_pipeline_statuses"), open_stay, reopen)
    await tx.execute(
        _OFF_LISTS, merge.tenant_id, merge.winner_id, _ids(merge, "contact_list_members")
    )


async def has_place_of_its_own(tx: Transaction, merge: ContactMerge) -> bool:
    """Whether the winner is at a place in a pipeline that it came to since."""
    came = _ids(merge, "contact_pipeline_statuses")
    return bool(await tx.fetchval(_OTHER_PLACE, merge.tenant_id, merge.winner_id, came))


async def place_exists(tx: Transaction, pipeline_id: UUID, status_id: UUID) -> bool:
    """Whether the pipeline still has that status."""
    return bool(await tx.fetchval(_PLACE, tx.tenant_id, pipeline_id, status_id))


def _ids(merge: ContactMerge, table: str) -> list[UUID]:
    return [UUID(one) for one in merge.moved.get(table, ())]
