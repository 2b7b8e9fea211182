"""What is said of jobs between their workflow and its activity. Temporal's sandbox imports this.

Nothing of anybody's is in it: a workflow's history knows ids alone.
"""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

ADVANCE_JOB = "advance_job"


class JobRef(BaseModel):
    """Whose job, which, and of what kind."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    id: UUID
    kind: str


def workflow_id(noun: str, ref: JobRef) -> str:
    """The one workflow of a job of the service of this noun, e.g. `contacts-import-<id>`."""
    return f"{noun}-{ref.kind}-{ref.id}"


def task_queue(noun: str, scope: str) -> str:
    """Where a service's jobs wait for its workers, e.g. `contacts-jobs`."""
    return f"{noun}-{scope}"
