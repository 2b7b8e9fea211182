"""Changes of imports: states, versions, and what is told of them. The caller commits."""

from datetime import UTC, datetime
from typing import Any

from service_kit.database import Transaction
from service_kit.errors import ConflictError, PreconditionFailedError
from shared_events import bounds
from shared_events.channels.history import HistoryImport, HistoryProgressed
from shared_events.contacts.job import Failure, JobAction

from crm_channels_waha.history import repository
from crm_channels_waha.history.models import HistoryImportRow

QUEUED, RUNNING, PAUSED = "queued", "running", "paused"
COMPLETED, CANCELLED, FAILED = "completed", "cancelled", "failed"
ENDED = frozenset({COMPLETED, CANCELLED, FAILED})

_TENTHS = 10
_SHOWN = tuple(name for name in HistoryImport.model_fields if name != "failure")


def resource(job: HistoryImportRow) -> HistoryImport:
    """An import as customers see it."""
    shown = {name: getattr(job, name) for name in _SHOWN}
    return HistoryImport.model_validate({**shown, "failure": job.failure or None})


def failed(job: HistoryImportRow, code: str, detail: str) -> HistoryImportRow:
    """The import, given up as a whole."""
    cut = {"code": code[: bounds.limit(bounds.ErrorCode)], "detail": detail[:1000]}
    return job.model_copy(update={"state": FAILED, "failure": Failure(**cut).model_dump()})


async def save(
    tx: Transaction, before: HistoryImportRow, after: HistoryImportRow
) -> HistoryImportRow:
    """Write an import, whose lock the caller holds, as it is by now.

    It is told of when its state changed or another tenth of its chats is done. When it has ended,
    nobody knows any more whose chats it read.
    """
    now = datetime.now(UTC)
    ended = after.state in ENDED
    after = after.model_copy(
        update={
            "version": before.version + 1,
            "updated_at": now,
            "due_at": now if before.state == PAUSED else now + repository.LOOK_AGAIN,
            "finished_at": now if ended else None,
        }
    )
    await repository.update(tx, after)
    if ended:
        await repository.drop_chats(tx, after.id)
    if after.state != before.state or _tenth(after) != _tenth(before):
        tx.outbox.add(HistoryProgressed(job=resource(after)), after.id)
    return after


async def drive(
    tx: Transaction, job: HistoryImportRow, action: JobAction, expected_version: int | None
) -> HistoryImportRow:
    """Hold an import, whose lock the caller holds, let it go on or end it.

    What it is already changes nothing. Raises PreconditionFailedError, and ConflictError
    `job_ended`.
    """
    PreconditionFailedError.check(expected_version, job.version)
    changes = _driven(job, action)
    return await save(tx, job, job.model_copy(update=changes)) if changes else job


def _driven(job: HistoryImportRow, action: JobAction) -> dict[str, Any]:
    if action == "cancel" and job.state == CANCELLED:
        return {}
    if job.state in ENDED:
        raise ConflictError("job_ended", f"It is {job.state} already.")
    match action:
        case "cancel":
            return {"state": CANCELLED}
        case "pause":
            return {} if job.state == PAUSED else {"state": PAUSED}
        case "resume":
            # What was held before its chats were counted has that to do first.
            goes_on = QUEUED if job.total is None else RUNNING
            return {"state": goes_on} if job.state == PAUSED else {}


def _tenth(job: HistoryImportRow) -> int:
    return job.done * _TENTHS // job.total if job.total else 0
