"""Erasures, legal holds, and what a contact leaves behind in this schema."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.rows import Rows
from shared_events.contacts import erasure as contract
from shared_events.contacts.erasure import ErasedBy

from crm_contacts.contacts.models import ContactIdentity
from crm_contacts.erasures.models import Erasure, LegalHold

ERASURES, HOLDS = Rows(Erasure), Rows(LegalHold)
_IDENTITIES = Rows(ContactIdentity)
_GET = "SELECT * FROM erasures WHERE id = $1 AND tenant_id = $2"
_LOCK = """
SELECT e.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL (SELECT * FROM erasures
    WHERE tenant_id = k.tenant_id AND id = k.id LIMIT 1 FOR UPDATE) AS e
"""
_OF_CONTACT = "SELECT * FROM erasures WHERE tenant_id = $1 AND contact_id = $2"
_HOLD = "SELECT * FROM legal_holds WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[]) LIMIT 1"
_OF = "WHERE tenant_id = $1 AND contact_id = $2"
TABLES = (
    *("notes", "trackings", "contact_events", "contact_list_members"),
    *("contact_pipeline_statuses", "contact_opt_outs"),
)
LEFT_BEHIND = """
DELETE FROM {table} WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""
MERGES_LEFT_BEHIND = """
DELETE FROM contact_merges WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM contact_merges WHERE tenant_id = $1
        AND (winner_id = ANY($3::uuid[]) OR loser_id = ANY($3::uuid[])) LIMIT $2))
"""
_MERGES = """
DELETE FROM contact_merges WHERE tenant_id = $1
    AND (winner_id = ANY($2::uuid[]) OR loser_id = ANY($2::uuid[]))
"""
# The row stays, for its id must not become anybody's again; nothing in it tells of the person.
_EMPTY = """
UPDATE contacts SET name = '', phone = NULL, email = NULL, profile_picture_url = NULL,
    tags = '{}', custom_fields = '{}', pipeline_id = NULL, pipeline_status_id = NULL,
    language = NULL, timezone = NULL, push_name = NULL, first_interaction_at = NULL,
    last_interaction_at = NULL, search_text = '', sort_name = '', tag_keys = '{}',
    deleted_at = coalesce(deleted_at, $3), erased_at = $3, updated_at = $3, version = version + 1
WHERE tenant_id = $1 AND id = ANY($2::uuid[])
"""
_STRANGERS = """
SELECT k.id FROM unnest($2::uuid[]) AS k(id)
WHERE NOT EXISTS (SELECT 1 FROM contacts WHERE tenant_id = $1 AND id = k.id)
"""
# No index knows whom a file is about: those of all jobs that have ended go, but for archives about
# others.
JOB_PARTS = """
DELETE FROM job_parts WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT p.ctid FROM jobs j CROSS JOIN LATERAL (
        SELECT ctid FROM job_parts WHERE tenant_id = $1 AND job_id = j.id LIMIT $2) AS p
    WHERE j.tenant_id = $1 AND j.created_at < $3 AND j.state IN ('completed', 'cancelled', 'failed')
        AND (j.kind <> 'subject_export' OR (j.options ->> 'contact_id')::uuid = ANY($4::uuid[]))
    LIMIT $2))
"""
JOBS = """
UPDATE jobs SET cursor = NULL WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM jobs WHERE tenant_id = $1 AND created_at < $3 AND cursor IS NOT NULL
        AND state IN ('completed', 'cancelled', 'failed') LIMIT $2))
"""


async def get(tx: Transaction, erasure_id: UUID, *, lock: bool = False) -> Erasure:
    """One erasure, locked if asked for; NotFoundError."""
    statement = f"{_GET} FOR UPDATE" if lock else _GET
    found = await ERASURES.first(tx, statement, erasure_id, tx.tenant_id)
    if found is None:
        raise NotFoundError("erasure")
    return found


async def lock_many(
    tx: Transaction, wanted: Collection[tuple[str, UUID]]
) -> dict[tuple[str, UUID], Erasure]:
    """These erasures, by tenant and id, locked in their order."""
    ordered = sorted(set(wanted))
    rows = await ERASURES.find(tx, _LOCK, [t for t, _ in ordered], [id_ for _, id_ in ordered])
    return {(row.tenant_id, row.id): row for row in rows}


async def of_contact(tx: Transaction, contact_id: UUID) -> Erasure | None:
    """The contact's erasure; there is one at most."""
    return await ERASURES.first(tx, _OF_CONTACT, tx.tenant_id, contact_id)


async def hold(tx: Transaction, *contact_ids: UUID) -> LegalHold | None:
    """What keeps one of these contacts from being erased, if anything does."""
    return await HOLDS.first(tx, _HOLD, tx.tenant_id, contact_ids)


async def lift(tx: Transaction, contact_id: UUID) -> int:
    """Remove the hold; returns how many there were."""
    return await tx.execute(f"DELETE FROM legal_holds {_OF}", tx.tenant_id, contact_id)  # noqa: S608


async def identities_of(tx: Transaction, contact_id: UUID) -> list[ContactIdentity]:
    """All that lead to the contact."""
    statement = f"SELECT * FROM contact_identities {_OF} ORDER BY kind, canonical"  # noqa: S608
    return await _IDENTITIES.find(tx, statement, tx.tenant_id, contact_id)


async def strangers(tx: Transaction, contact_ids: Collection[UUID]) -> list[UUID]:
    """Those of the ids that are no contact's here."""
    return [row["id"] for row in await tx.fetch(_STRANGERS, tx.tenant_id, list(contact_ids))]


async def empty(tx: Transaction, contact_ids: Collection[UUID], at: datetime) -> dict[str, int]:
    """Erase all that is here about contacts whose locks are held; how many rows of each table."""
    ids = list(contact_ids)
    erased = {}
    for table in (*TABLES, "contact_identities"):
        erased[table] = await tx.execute(
            f"DELETE FROM {table} WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[])",  # noqa: S608
            tx.tenant_id,
            ids,
        )
    erased["contact_merges"] = await tx.execute(_MERGES, tx.tenant_id, ids)
    erased["contacts"] = await tx.execute(_EMPTY, tx.tenant_id, ids, at)
    return {table: count for table, count in erased.items() if count}


def to_resource(row: Erasure) -> contract.Erasure:
    """An erasure as customers see it."""
    fields = contract.Erasure.model_fields.keys() - {"services"}
    return contract.Erasure(
        **{name: getattr(row, name) for name in fields},
        services=[ErasedBy(name=name, **told) for name, told in sorted(row.services.items())],
    )
