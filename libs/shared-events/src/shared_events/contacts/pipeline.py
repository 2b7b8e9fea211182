"""Pipelines: the ways contacts go, status by status, and where each of them is."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.contacts.contact import Contact
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, Given, ListQuery, Name, Nothing, Query

StatusType = Literal["open", "won", "lost"]
"""Whether a contact is still on its way, and how the way ended."""

MAX_PIPELINES = 100
"""Pipelines of a company."""
MAX_STATUSES = 30
"""Statuses of a pipeline."""

Color = Annotated[str, StringConstraints(max_length=7, pattern=r"^#[0-9A-Fa-f]{6}$")]
Description = Annotated[str, StringConstraints(max_length=1000)]


class PipelineStatus(Contract):
    """One step of a pipeline. `position` counts from 0 and has no gaps."""

    id: UUID
    pipeline_id: UUID
    name: bounds.Name
    type: bounds.Word
    color: Annotated[str, StringConstraints(max_length=7)] | None = None
    position: int
    version: int
    created_at: datetime
    updated_at: datetime


class Pipeline(Contract):
    """A way contacts go, with its statuses in their order.

    `version` counts their changes too.
    """

    id: UUID
    name: bounds.Name
    description: Description | None = None
    color: Annotated[str, StringConstraints(max_length=7)] | None = None
    position: int
    statuses: list[PipelineStatus] = Field(default_factory=list, max_length=MAX_STATUSES)
    version: int
    created_at: datetime
    updated_at: datetime


class _PipelineDetails(Given):
    description: Description | None = None
    color: Color | None = Field(default=None, description="As in `#2e7d32`.")
    position: int = Field(default=0, ge=0, le=10_000, description="The smaller, the earlier.")


class CreatePipeline(_PipelineDetails, Command[Pipeline], key="contacts.pipeline.create"):
    """Add a pipeline, without statuses yet."""

    name: Name


class ReplacePipeline(_PipelineDetails, Command[Pipeline], key="contacts.pipeline.replace"):
    """Replace what is said of a pipeline: what is left out becomes empty. Its statuses stay."""

    pipeline_id: UUID
    name: Name


class PatchPipeline(Command[Pipeline], key="contacts.pipeline.patch"):
    """Change a pipeline: what is left out stays; null clears a description or a colour."""

    pipeline_id: UUID
    name: Name | None = None
    description: Description | None = None
    color: Color | None = None
    position: int | None = Field(default=None, ge=0, le=10_000)


class GetPipeline(Query[Pipeline], key="contacts.pipeline.get"):
    """Read one pipeline, with its statuses."""

    pipeline_id: UUID


class ListPipelines(ListQuery[Pipeline], key="contacts.pipeline.list"):
    """All pipelines, by position."""


class DeletePipeline(Command[Nothing], key="contacts.pipeline.delete"):
    """Remove a pipeline and its statuses. One that contacts are in says where they go."""

    pipeline_id: UUID
    move_to: UUID | None = Field(
        default=None, description="A status of another pipeline, for the contacts in this one."
    )


class _StatusDetails(Given):
    name: Name
    type: StatusType = "open"
    color: Color | None = None
    position: int | None = Field(
        default=None, ge=0, le=MAX_STATUSES, description="Its place among the others; else the end."
    )


class CreateStatus(_StatusDetails, Command[PipelineStatus], key="contacts.status.create"):
    """Add a status; those from its position on move up. Names are unique in a pipeline."""

    pipeline_id: UUID


class ReplaceStatus(_StatusDetails, Command[PipelineStatus], key="contacts.status.replace"):
    """Replace a status: what is left out becomes empty, but for its position."""

    pipeline_id: UUID
    status_id: UUID


class PatchStatus(Command[PipelineStatus], key="contacts.status.patch"):
    """Change or move a status: what is left out stays; null clears a colour."""

    pipeline_id: UUID
    status_id: UUID
    name: Name | None = None
    type: StatusType | None = None
    color: Color | None = None
    position: int | None = Field(
        default=None, ge=0, le=MAX_STATUSES, description="Its place among the others."
    )


class GetStatus(Query[PipelineStatus], key="contacts.status.get"):
    """Read one status."""

    pipeline_id: UUID
    status_id: UUID


class ListStatuses(ListQuery[PipelineStatus], key="contacts.status.list"):
    """The statuses of a pipeline, in their order."""

    pipeline_id: UUID


class DeleteStatus(Command[Nothing], key="contacts.status.delete"):
    """Remove a status. One that contacts are at says where they go."""

    pipeline_id: UUID
    status_id: UUID
    move_to: UUID | None = Field(
        default=None, description="Another status of the pipeline, for the contacts at this one."
    )


class MoveContact(Command[Contact], key="contacts.contact.move"):
    """Put a contact at a status of a pipeline. Where it is already, nothing changes."""

    contact_id: UUID
    pipeline_id: UUID
    status_id: UUID
    reason: Annotated[str, StringConstraints(max_length=1000)] | None = None


class Place(Contract):
    """Where a contact is: in a pipeline, at one of its statuses or at none yet.

    Names are those of the moment, and unknown of what was gone before.
    """

    pipeline_id: UUID
    pipeline_name: bounds.Name | None = None
    status_id: UUID | None = None
    status_name: bounds.Name | None = None


class Stay(Place):
    """A time a contact was at a place; `left_at` is empty while it is there."""

    id: UUID
    entered_at: datetime
    left_at: datetime | None = None
    duration_seconds: float | None = None
    moved_by: UUID | None = None
    reason: bounds.Reason | None = None


class ListStays(ListQuery[Stay], key="contacts.contact.stays"):
    """Where a contact has been in pipelines, newest first."""

    contact_id: UUID


MAX_COUNTED = 10_000
"""How far a board counts: a status with that many contacts has that many or more."""


class BoardColumn(Contract):
    """A status and the newest contacts at it. `next_cursor` goes on in the list of contacts:
    `GET /contacts?pipeline_status_id=...&cursor=...`, in its usual order."""

    status: PipelineStatus
    count: int = Field(le=MAX_COUNTED)
    contacts: list[Contact]
    has_more: bool
    next_cursor: str | None = None


class Board(Contract):
    """A pipeline, a column for each of its statuses."""

    pipeline: Pipeline
    columns: list[BoardColumn]


class GetBoard(Query[Board], key="contacts.pipeline.board"):
    """A pipeline with the newest contacts at each status. Whoever has no status is not shown."""

    pipeline_id: UUID
    limit: int = Field(default=10, ge=1, le=20, description="Contacts of each status.")


class ContactPipelineStatusChanged(
    EventData, type="contact.pipeline_status_changed", aggregate="contact", public=True
):
    """A contact moved in a pipeline, or into or out of one."""

    contact: Contact
    before: Place | None = None
    after: Place | None = None
    reason: bounds.Reason | None = None
    moved_by: UUID | None = None
