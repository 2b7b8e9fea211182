"""What can be done to a pipeline and to its statuses. The caller commits.

A change of a status is a change of its pipeline: both count their version up.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ExpectedVersion,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.contacts.pipeline import MAX_STATUSES, Place

from crm_contacts.pipelines import repository
from crm_contacts.pipelines.models import Pipeline, PipelineStatus


async def locked(tx: Transaction, pipeline_id: UUID) -> Pipeline:
    """The pipeline, locked; raises NotFoundError."""
    found = (await repository.lock(tx, pipeline_id)).get(pipeline_id)
    if found is None:
        raise NotFoundError("pipeline")
    return found


async def change(
    tx: Transaction, pipeline_id: UUID, fields: dict[str, Any], expected_version: ExpectedVersion
) -> Pipeline:
    """Give a pipeline these columns; raises NotFoundError and PreconditionFailedError."""
    pipeline = await locked(tx, pipeline_id)
    PreconditionFailedError.check(expected_version, pipeline.version)
    if _same(pipeline, fields):
        return pipeline
    return await _written(tx, pipeline, fields)


async def add_status(
    tx: Transaction, status: PipelineStatus, position: int | None
) -> PipelineStatus:
    """Add a status at this position, else at the end.

    Raises NotFoundError, and ConflictError `status_exists` and `too_many_statuses`.
    """
    pipeline = await locked(tx, status.pipeline_id)
    others = await repository.statuses_of(tx, pipeline.id)
    _check_name(status, others)
    if len(others) >= MAX_STATUSES:
        raise ConflictError(
            "too_many_statuses",
            f"A pipeline has at most {MAX_STATUSES} statuses.",
            limit=MAX_STATUSES,
        )
    place = len(others) if position is None else min(position, len(others))
    status = status.model_copy(update={"position": place})
    await repository.insert_status(tx, status)
    await _renumber(tx, [*others[:place], status, *others[place:]])
    await _written(tx, pipeline, {})
    return status


async def change_status(
    tx: Transaction,
    pipeline_id: UUID,
    status_id: UUID,
    fields: dict[str, Any],
    expected_version: ExpectedVersion,
) -> PipelineStatus:
    """Give a status these columns; a new position moves the others.

    Raises NotFoundError, PreconditionFailedError, and ConflictError `status_exists`.
    """
    pipeline = await locked(tx, pipeline_id)
    statuses = await repository.statuses_of(tx, pipeline_id)
    status = among(statuses, status_id)
    PreconditionFailedError.check(expected_version, status.version)
    others = [other for other in statuses if other.id != status_id]
    place = min(fields.get("position", status.position), len(others))
    fields = {**fields, "position": place}
    if _same(status, fields):
        return status
    edited = status.model_copy(update=fields)
    _check_name(edited, others)
    edited = _newer(edited)
    await repository.update_statuses(tx, [edited])
    await _renumber(tx, [*others[:place], edited, *others[place:]])
    await _written(tx, pipeline, {})
    return edited


async def remove_status(
    tx: Transaction, pipeline: Pipeline, statuses: Sequence[PipelineStatus], status: PipelineStatus
) -> None:
    """Remove a status nobody is at; the caller holds the pipeline's lock."""
    await repository.delete_statuses(tx, [status.id])
    await _renumber(tx, [other for other in statuses if other.id != status.id])
    await _written(tx, pipeline, {})


async def place(
    tx: Transaction,
    pipeline_id: UUID | None,
    status_id: UUID | None,
    *,
    field: str = "pipeline_status_id",
) -> Place | None:
    """Where a request sends a contact: None when it names nothing. A status brings its pipeline.

    Raises InvalidError `unknown_pipeline` and, for the field that holds the status,
    `status_not_in_pipeline`. To be asked before contacts are locked.
    """
    if pipeline_id is None and status_id is None:
        return None
    found = await repository.find_place(tx, pipeline_id, status_id)
    if status_id is not None and (found is None or pipeline_id not in (None, found.pipeline_id)):
        raise InvalidError.field(
            field, "status_not_in_pipeline", "The pipeline has no such status."
        )
    if found is None:
        raise InvalidError.field("pipeline_id", "unknown_pipeline", "There is no such pipeline.")
    return found


def among(statuses: Sequence[PipelineStatus], status_id: UUID) -> PipelineStatus:
    """The status of a pipeline; raises NotFoundError."""
    for status in statuses:
        if status.id == status_id:
            return status
    raise NotFoundError("pipeline_status")


def _same(row: Pipeline | PipelineStatus, fields: dict[str, Any]) -> bool:
    return all(getattr(row, name) == value for name, value in fields.items())


def _check_name(status: PipelineStatus, others: Sequence[PipelineStatus]) -> None:
    for other in others:
        if other.name.casefold() == status.name.casefold():
            raise ConflictError(
                "status_exists",
                "Another status of the pipeline has this name.",
                existing_id=str(other.id),
            )


async def _renumber(tx: Transaction, in_order: Sequence[PipelineStatus]) -> None:
    """Give the statuses their places in this order; those that have theirs are left alone."""
    moved = [
        _newer(status.model_copy(update={"position": place}))
        for place, status in enumerate(in_order)
        if status.position != place
    ]
    await repository.update_statuses(tx, moved)


def _newer(status: PipelineStatus) -> PipelineStatus:
    return status.model_copy(
        update={"version": status.version + 1, "updated_at": datetime.now(UTC)}
    )


async def _written(tx: Transaction, pipeline: Pipeline, fields: dict[str, Any]) -> Pipeline:
    version = {"version": pipeline.version + 1, "updated_at": datetime.now(UTC)}
    changed = pipeline.model_copy(update={**fields, **version})
    await repository.update(tx, changed)
    return changed
