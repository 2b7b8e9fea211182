"""What is said of jobs between their workflow and its activity. Temporal's sandbox imports this."""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

ADVANCE_JOB = "advance_job"


class JobRef(BaseModel):
    """Whose job, which, and of what kind."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    id: UUID
    kind: str


def workflow_id(ref: JobRef) -> str:
    """The one workflow of a job."""
    return f"contacts-{ref.kind}-{ref.id}"


TASK_QUEUE = "contacts-jobs"
