"""SQL of messaging's part of subject exports."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape
from shared_events.jobs import FilePart

from crm_messaging.subject_exports.models import SubjectExport, SubjectExportPart

_EXPORTS = Rows(SubjectExport)
_PARTS = Rows(SubjectExportPart)
_PURGED_AT_ONCE = 500
_LEASE_SECONDS = 15.0

# Claimed by moving its next turn: whoever dies with it costs a wait, nothing else; and what waits
# longest is next, so that a long one keeps no other waiting.
_CLAIM = """
UPDATE subject_exports SET due_at = now() + make_interval(secs => $1)
WHERE (tenant_id, export_id) = (
    SELECT tenant_id, export_id FROM subject_exports
    WHERE file IS NOT NULL AND due_at <= now() AND expires_at > now()
    ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, export_id, correlation_id, causation_id
"""
_LOCK = "SELECT * FROM subject_exports WHERE tenant_id = $1 AND export_id = $2 FOR UPDATE"
_PART_AT = """
SELECT position, content FROM subject_export_parts
WHERE tenant_id = $1 AND export_id = $2 AND file = $3 AND position >= $4 ORDER BY position LIMIT 2
"""
_KNOWN = "SELECT true FROM subject_exports WHERE tenant_id = $1 AND export_id = $2"
_PURGE = """
DELETE FROM {table} WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE expires_at < now() ORDER BY expires_at LIMIT $1))
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose export, and what asked for it."""

    tenant_id: str
    export_id: UUID
    correlation_id: str | None
    causation_id: UUID | None


_CLAIMS = Shape(Claim)


async def add(tx: Transaction, exports: Iterable[SubjectExport]) -> None:
    """Note exports that were told of; one that is known stays as it is."""
    await _EXPORTS.insert(tx, exports, unless="(tenant_id, export_id)")


async def claim(tx: Transaction) -> Claim | None:
    """The export, of all tenants', that has waited longest; it is the caller's for a while."""
    return await _CLAIMS.first(tx, _CLAIM, _LEASE_SECONDS)


async def lock(tx: Transaction, export_id: UUID) -> SubjectExport | None:
    """An export, nobody else gathering for it until the commit."""
    return await _EXPORTS.first(tx, _LOCK, tx.tenant_id, export_id)


async def save(tx: Transaction, export: SubjectExport, parts: Iterable[SubjectExportPart]) -> None:
    """Write how far an export is, and what it came to; its lock is held."""
    await _PARTS.insert(tx, parts)
    await _EXPORTS.update(tx, [export])


async def is_known(tx: Transaction, export_id: UUID) -> bool:
    """Whether there is such an export."""
    return bool(await tx.fetchval(_KNOWN, tx.tenant_id, export_id))


async def read(tx: Transaction, export_id: UUID, file: str, cursor: int) -> FilePart:
    """The first piece at this position or behind it, as text, and where the next one is."""
    found = await tx.fetch(_PART_AT, tx.tenant_id, export_id, file, cursor)
    return FilePart(
        content=found[0]["content"].decode() if found else "",
        next_cursor=found[1]["position"] if len(found) > 1 else None,
    )


async def purge(tx: Transaction) -> bool:
    """Remove what has expired, of all tenants; whether there may be more."""
    gone = [
        await tx.execute(_PURGE.format(table=table), _PURGED_AT_ONCE)
        for table in ("subject_export_parts", "subject_exports")
    ]
    return _PURGED_AT_ONCE in gone
