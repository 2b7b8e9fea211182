"""Jobs: work on many things that goes on behind a request, a batch at a time."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract

JobState = Literal["queued", "running", "paused", "completed", "cancelled", "failed"]
"""Where a job is; the last three are ends."""

JobAction = Literal["pause", "resume", "cancel"]

Detail = Annotated[str, StringConstraints(max_length=1000)]


class Failure(Contract):
    """Why a job as a whole was given up."""

    code: bounds.ErrorCode
    detail: Detail


class Job(Contract):
    """How far a job is. `total` is unknown until what there is to do has been counted."""

    id: UUID
    state: bounds.Word
    done: int = 0
    total: int | None = None
    errors: int = 0
    failure: Failure | None = None
    version: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None = None


class FilePart(Contract):
    """A piece of a file that is read piece by piece; the last has no `next_cursor`."""

    content: str
    next_cursor: int | None = None
    media_type: bounds.MimeType = "text/csv"
    filename: bounds.FileName = "file.csv"
