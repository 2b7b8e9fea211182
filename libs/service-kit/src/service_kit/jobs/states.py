"""How jobs stand and change: states, versions, and when a change is worth telling. No I/O."""

from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from shared_events import bounds
from shared_events.jobs import Detail, Failure, JobAction

from service_kit.errors import ConflictError

QUEUED, RUNNING, PAUSED = "queued", "running", "paused"
COMPLETED, CANCELLED, FAILED = "completed", "cancelled", "failed"
ENDED = frozenset({COMPLETED, CANCELLED, FAILED})

LOOK_AGAIN = timedelta(seconds=15)
"""After so long without a sign of it, somebody looks after a job."""
_TENTHS = 10


class Standing(Protocol):
    """A row of a service's table of jobs."""

    @property
    def state(self) -> str: ...  # noqa: D102
    @property
    def done(self) -> int: ...  # noqa: D102
    @property
    def total(self) -> int | None: ...  # noqa: D102
    @property
    def version(self) -> int: ...  # noqa: D102


def failure(code: str, detail: str) -> dict[str, Any]:
    """The columns of a job that is given up as a whole."""
    why = Failure(
        code=code[: bounds.limit(bounds.ErrorCode)], detail=detail[: bounds.limit(Detail)]
    )
    return {"state": FAILED, "failure": why.model_dump()}


def driven(job: Standing, action: JobAction) -> dict[str, Any]:
    """The columns that change when somebody holds a job, lets it go on or ends it; maybe none.

    Raises ConflictError `job_ended`.
    """
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
            # What was held before what there is to do was counted has that to do first.
            goes_on = QUEUED if job.total is None else RUNNING
            return {"state": goes_on} if job.state == PAUSED else {}


def stamps(before: Standing, after: Standing) -> dict[str, Any]:
    """The columns that change with any change of a job: its version and times."""
    now = datetime.now(UTC)
    return {
        "version": before.version + 1,
        "updated_at": now,
        "due_at": now if before.state == PAUSED else now + LOOK_AGAIN,
        "finished_at": now if after.state in ENDED else None,
    }


def is_news(before: Standing, after: Standing) -> bool:
    """Whether a change is told of: another state, or another tenth; never every batch."""
    return after.state != before.state or _tenth(after) != _tenth(before)


def _tenth(job: Standing) -> int:
    return job.done * _TENTHS // job.total if job.total else 0
