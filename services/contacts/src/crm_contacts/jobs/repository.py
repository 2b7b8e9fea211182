"""Jobs and the pieces of their files in the database."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit.database import Transaction
from service_kit.jobs.models import Jobs
from service_kit.jobs.pace import is_behind
from service_kit.jobs.schemas import JobRef
from service_kit.rows import Rows, Shape
from shared_events.jobs import FilePart

from crm_contacts.jobs.models import Job, JobPart

MOST_WAITING = 100
"""Events of a company that may wait for the relay before its jobs do, and others' behind them."""
_PURGED_AT_ONCE = 500

_JOBS = Jobs(Job)
_PARTS = Rows(JobPart)

# LATERAL looks each job up by itself, and locks them in the order of the arrays.
_LOCK_MANY = """
SELECT j.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL (
    SELECT * FROM jobs WHERE tenant_id = k.tenant_id AND id = k.id LIMIT 1 FOR UPDATE) AS j
"""
_AT_WORK = """
SELECT count(*) FROM jobs
WHERE tenant_id = $1 AND kind = $2 AND state NOT IN ('completed', 'cancelled', 'failed')
"""
_PART_AT = """
SELECT position, content FROM job_parts
WHERE tenant_id = $1 AND job_id = $2 AND file = $3 AND position >= $4 ORDER BY position LIMIT 2
"""
_TAKE = """
SELECT content FROM job_parts WHERE tenant_id = $1 AND job_id = $2 AND file = $3 AND position = $4
"""
_DROP = """
DELETE FROM job_parts
WHERE tenant_id = $1 AND job_id = $2 AND file = $3 AND position = coalesce($4, position)
"""
_SUM = """
SELECT sum(length(content)) AS size,
    encode(sha256(string_agg(content, ''::bytea ORDER BY position)), 'hex') AS sha256
FROM job_parts WHERE tenant_id = $1 AND job_id = $2 AND file = $3
"""
_PURGE = """
DELETE FROM job_parts WHERE (tenant_id, job_id, file, position) IN (
    SELECT tenant_id, job_id, file, position FROM job_parts
    WHERE expires_at < now() ORDER BY expires_at LIMIT $1)
"""
_PURGE_JOBS = """
WITH gone AS (
    DELETE FROM jobs WHERE id = ANY(ARRAY(
        SELECT id FROM jobs WHERE finished_at < now() - $2::interval ORDER BY finished_at LIMIT $1))
    RETURNING tenant_id, id),
files AS (
    DELETE FROM job_parts p USING gone WHERE p.tenant_id = gone.tenant_id AND p.job_id = gone.id)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class Sum:
    """How large a file is, and its digest; None for one that has no pieces."""

    size: int | None
    sha256: str | None


_SUMS = Shape(Sum)


async def insert(tx: Transaction, job: Job) -> bool:
    """Add a job; False when there is one of its id, whosever it is."""
    return await _JOBS.insert(tx, job, unless="(id)")


async def unfinished(tx: Transaction, kind: str) -> int:
    """How many jobs of this kind the company has that have not ended."""
    count: int = await tx.fetchval(_AT_WORK, tx.tenant_id, kind)
    return count


async def is_ahead(tx: Transaction) -> bool:
    """Whether the company's jobs go faster than what they do can be told."""
    return await is_behind(tx, MOST_WAITING)


async def find(tx: Transaction, kind: str, job_id: UUID) -> Job | None:
    """The job, unless it is missing, of another kind or another tenant's."""
    return _of(kind, await _JOBS.find(tx, job_id))


async def lock(tx: Transaction, kind: str, job_id: UUID) -> Job | None:
    """As `find`, and nobody else works on it until the commit. To be taken before other locks."""
    return _of(kind, await _JOBS.lock(tx, job_id))


def _of(kind: str, job: Job | None) -> Job | None:
    return job if job is not None and job.kind == kind else None


async def lock_many(
    tx: Transaction, wanted: Collection[tuple[str, UUID]]
) -> dict[tuple[str, UUID], Job]:
    """These jobs, by tenant and id, locked in their order."""
    ordered = sorted(set(wanted))
    rows = await _JOBS.rows.find(
        tx, _LOCK_MANY, [t for t, _ in ordered], [id_ for _, id_ in ordered]
    )
    return {(job.tenant_id, job.id): job for job in rows}


async def update(tx: Transaction, jobs: Sequence[Job]) -> None:
    """Write jobs back; the caller holds their locks."""
    await _JOBS.update(tx, *jobs)


async def due(tx: Transaction) -> list[JobRef]:
    """Jobs of all tenants that somebody has to look after, each given to one caller."""
    return await _JOBS.due(tx)


async def put(tx: Transaction, parts: Sequence[JobPart]) -> None:
    """Write pieces; one that is there already is replaced."""
    await _PARTS.upsert(tx, parts, "content", "expires_at")


async def take(tx: Transaction, job_id: UUID, file: str, position: int) -> bytes | None:
    """The piece of a file at this position; None when there is none."""
    content: bytes | None = await tx.fetchval(_TAKE, tx.tenant_id, job_id, file, position)
    return content


async def read(tx: Transaction, job_id: UUID, file: str, cursor: int) -> FilePart:
    """The first piece at this position or behind it, as text, and where the next one is."""
    found = await tx.fetch(_PART_AT, tx.tenant_id, job_id, file, cursor)
    return FilePart(
        content=found[0]["content"].decode() if found else "",
        next_cursor=found[1]["position"] if len(found) > 1 else None,
    )


async def sum_of(tx: Transaction, job_id: UUID, file: str) -> Sum:
    """Size and digest of a file out of its pieces."""
    found = await _SUMS.first(tx, _SUM, tx.tenant_id, job_id, file)
    return found or Sum(None, None)


async def drop(tx: Transaction, job_id: UUID, file: str, position: int | None = None) -> None:
    """Remove a file, or its piece at this position."""
    await tx.execute(_DROP, tx.tenant_id, job_id, file, position)


async def purge(tx: Transaction, kept: timedelta) -> bool:
    """Remove pieces nobody may read any more, and jobs that ended so long ago, of all tenants.

    Returns whether there may be more.
    """
    parts = await tx.execute(_PURGE, _PURGED_AT_ONCE)
    jobs = await tx.fetchval(_PURGE_JOBS, _PURGED_AT_ONCE, kept)
    return _PURGED_AT_ONCE in (parts, jobs)


def part(
    tx: Transaction, job_id: UUID, file: str, position: int, content: bytes, keep: timedelta
) -> JobPart:
    """A piece of a file of a job's, kept so long."""
    return JobPart(
        tenant_id=tx.tenant_id,
        job_id=job_id,
        file=file,
        position=position,
        content=content,
        expires_at=datetime.now(UTC) + keep,
    )
