"""What is said of imports between their workflow and its activity: Temporal's sandbox imports this.

Nothing of anybody's is in it: a workflow's history knows ids alone.
"""

from uuid import UUID

from pydantic import BaseModel, ConfigDict

ADVANCE_HISTORY = "advance_history"
TASK_QUEUE = "channels-history"


class ImportRef(BaseModel):
    """Whose import, and which."""

    model_config = ConfigDict(frozen=True)

    tenant_id: str
    id: UUID


def workflow_id(ref: ImportRef) -> str:
    """The one workflow of an import."""
    return f"channels-history-{ref.id}"
