"""Changes of jobs: their states, their versions, and what is told of them. The caller commits."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ExpectedVersion,
    NotFoundError,
    PreconditionFailedError,
)
from service_kit.jobs.states import (
    QUEUED,
    driven,
    failure,
    is_news,
    stamps,
)
from shared_events.envelope import EventData
from shared_events.jobs import JobAction

from crm_contacts.jobs import repository
from crm_contacts.jobs.models import Job

MAX_UNFINISHED = 10
"""Jobs of a kind that a company may have at a time."""

Tell = Callable[[Job], EventData]
"""What is told of a job."""


def failed(job: Job, code: str, detail: str) -> Job:
    """The job, given up as a whole."""
    return job.model_copy(update=failure(code, detail))


async def save(tx: Transaction, before: Job, after: Job, tell: Tell) -> Job:
    """Write a job, whose lock the caller holds, as it is by now; tells of it as `save_all` does."""
    (after,) = await save_all(tx, [(before, after)], tell)
    return after


async def save_all(tx: Transaction, changed: Sequence[tuple[Job, Job]], tell: Tell) -> list[Job]:
    """Write jobs, each as it was and as it is by now, whose locks the caller holds.

    One is told of when its state changed or another tenth is done: never for every batch.
    """
    saved = [(b, a.model_copy(update=stamps(b, a))) for b, a in changed]
    await repository.update(tx, [after for _, after in saved])
    for before, after in saved:
        if is_news(before, after):
            tx.outbox.add(tell(after), after.id, tenant_id=after.tenant_id)
    return [after for _, after in saved]


async def drive(
    tx: Transaction, job: Job, action: JobAction, expected_version: ExpectedVersion, tell: Tell
) -> Job:
    """Hold a job, whose lock the caller holds, let it go on or end it.

    What it is already changes nothing. Raises PreconditionFailedError, and ConflictError
    `job_ended`.
    """
    PreconditionFailedError.check(expected_version, job.version)
    changes = driven(job, action)
    if not changes:
        return job
    return await save(tx, job, job.model_copy(update=changes), tell)


def found(job: Job | None, noun: str) -> Job:
    """The job; raises NotFoundError."""
    if job is None:
        raise NotFoundError(noun)
    return job


async def begin(
    tx: Transaction, job_id: UUID, kind: str, options: dict[str, Any], call: Call, tell: Tell
) -> Job:
    """Add a job nobody has worked on yet, and tell of it; one that is there stays as it is.

    Raises ConflictError `too_many_jobs`, and `job_exists` when the id is taken.
    """
    if (known := await repository.find(tx, kind, job_id)) is not None:
        return known
    if await repository.unfinished(tx, kind) >= MAX_UNFINISHED:
        raise ConflictError(
            "too_many_jobs", f"At most {MAX_UNFINISHED} may be at work; wait.", limit=MAX_UNFINISHED
        )
    now = datetime.now(UTC)
    job = Job(
        id=job_id,
        tenant_id=tx.tenant_id,
        kind=kind,
        state=QUEUED,
        options=options,
        created_by=call.user_id,
        correlation_id=call.correlation_id,
        due_at=now,
        created_at=now,
        updated_at=now,
    )
    if not await repository.insert(tx, job):
        raise ConflictError("job_exists", "There is such a job already.")
    tx.outbox.add(tell(job), job.id)
    return job
