"""Who was deleted too long ago to be restored is removed for good, with all that hangs on it.

Nothing is kept of them, as it is of who was erased: whoever writes from the same number later is a
new contact. A legal hold, or an erasure that was asked for, keeps them, and who was merged into
them.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit.database import Transaction
from shared_events.contacts.contact import ContactPurged

from crm_contacts.contacts import repository
from crm_contacts.contacts.repository import Ref
from crm_contacts.erasures.repository import TABLES

_AT_ONCE = 100
_HELD = """
EXISTS (SELECT FROM legal_holds WHERE tenant_id = {who}.tenant_id AND contact_id = {who}.id)
OR EXISTS (SELECT FROM erasures WHERE tenant_id = {who}.tenant_id AND contact_id = {who}.id)
"""
# Who is held is passed by here already, or they would be all that is ever looked at.
_DUE = f"""
SELECT c.tenant_id, c.id AS contact_id, everybody.ids FROM contacts c CROSS JOIN LATERAL (
    WITH RECURSIVE merged(tenant_id, id) AS (
        SELECT c.tenant_id, c.id
        UNION SELECT c.tenant_id, m.id FROM merged CROSS JOIN LATERAL (SELECT id FROM contacts
            WHERE tenant_id = c.tenant_id AND merged_into = merged.id OFFSET 0) AS m)
    SELECT array_agg(id) AS ids, bool_or({_HELD.format(who="merged")}) AS held FROM merged
) AS everybody
WHERE c.deleted_at < $1 AND c.merged_into IS NULL AND c.erased_at IS NULL AND NOT everybody.held
ORDER BY c.deleted_at LIMIT $2
"""  # noqa: S608 - our own text
_HELD_AMONG = f"""
SELECT k.tenant_id, k.id FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
WHERE {_HELD.format(who="k")}
"""  # noqa: S608 - our own text
# Each contact's rows are looked up by themselves, whatever the planner believes of a young table.
_REMOVE = """
DELETE FROM {table} WHERE tenant_id = ANY($1::text[]) AND ctid = ANY(ARRAY(
    SELECT r.ctid FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
    CROSS JOIN LATERAL (SELECT ctid FROM {table}
        WHERE tenant_id = k.tenant_id AND {column} = k.id OFFSET 0) AS r))
"""
_LEADS_TO_A_CONTACT = (
    *((table, "contact_id") for table in (*TABLES, "contact_identities")),
    *(("contact_merges", column) for column in ("winner_id", "loser_id")),
)


async def purge(tx: Transaction, *, kept: timedelta) -> bool:
    """Remove contacts, of all tenants, that were deleted longer ago, and tell of each.

    Returns whether there may be more.
    """
    limit = datetime.now(UTC) - kept
    due = {
        (row["tenant_id"], row["contact_id"]): list(row["ids"])
        for row in await tx.fetch(_DUE, limit, _AT_ONCE)
    }
    if not due:
        return False
    await tx.act_for(*sorted({tenant_id for tenant_id, _ in due}))
    gone = await _final(tx, due, limit)
    removed = sorted((tenant_id, one) for (tenant_id, _), ids in gone.items() for one in ids)
    keys = [tenant_id for tenant_id, _ in removed], [one for _, one in removed]
    for table, column in (*_LEADS_TO_A_CONTACT, ("contacts", "id")):
        await tx.execute(_REMOVE.format(table=table, column=column), *keys)
    for (tenant_id, contact_id), ids in gone.items():
        merged = [one for one in ids if one != contact_id]
        told = ContactPurged(contact_id=contact_id, merged=merged)
        tx.outbox.add(told, contact_id, tenant_id=tenant_id)
    return len(due) == _AT_ONCE


async def _final(
    tx: Transaction, due: dict[Ref, list[UUID]], limit: datetime
) -> dict[Ref, list[UUID]]:
    """Those that are still due once all of them are locked: nobody restored or held one."""
    everybody = [(tenant_id, one) for (tenant_id, _), ids in due.items() for one in ids]
    locked = await repository.find_for_update(tx, everybody)
    held: defaultdict[str, set[UUID]] = defaultdict(set)
    keys = [tenant_id for tenant_id, _ in everybody], [one for _, one in everybody]
    for row in await tx.fetch(_HELD_AMONG, *keys):
        held[row["tenant_id"]].add(row["id"])
    return {
        ref: ids
        for ref, ids in due.items()
        if (contact := locked.get(ref)) is not None
        and contact.deleted_at is not None
        and contact.deleted_at < limit
        and contact.erased_at is None
        and held[ref[0]].isdisjoint(ids)
    }
