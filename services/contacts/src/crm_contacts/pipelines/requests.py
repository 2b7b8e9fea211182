"""The requests about pipelines and their statuses (`shared_events.contacts.pipeline`)."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError
from service_kit.ids import uuid7
from shared_events.contacts import pipeline as contract
from shared_events.contacts.pipeline import (
    MAX_PIPELINES,
    CreatePipeline,
    CreateStatus,
    GetPipeline,
    GetStatus,
    ListPipelines,
    ListStatuses,
    PatchPipeline,
    PatchStatus,
    ReplacePipeline,
    ReplaceStatus,
)
from shared_events.requests import Page

from crm_contacts.pipelines import repository, service
from crm_contacts.pipelines.models import Pipeline, PipelineStatus

_CLEARABLE = {"description", "color"}


async def create(tx: Transaction, request: CreatePipeline, call: Call) -> contract.Pipeline:
    """Add a pipeline; raises ConflictError `too_many_pipelines`."""
    del call
    if await repository.count(tx) >= MAX_PIPELINES:
        raise ConflictError(
            "too_many_pipelines", f"A company has at most {MAX_PIPELINES}.", limit=MAX_PIPELINES
        )
    now = datetime.now(UTC)
    pipeline = Pipeline(
        **request.model_dump(), id=uuid7(), tenant_id=tx.tenant_id, created_at=now, updated_at=now
    )
    await repository.insert(tx, pipeline)
    return repository.to_resource(pipeline, ())


async def get(tx: Transaction, request: GetPipeline, call: Call) -> contract.Pipeline:
    """One pipeline with its statuses; raises NotFoundError."""
    del call
    pipeline = await _found(tx, request)
    return await _shown(tx, pipeline)


async def list_pipelines(
    tx: Transaction, request: ListPipelines, call: Call
) -> Page[contract.Pipeline]:
    """All pipelines with their statuses."""
    del call
    return await repository.page(tx, request)


async def change(
    tx: Transaction, request: ReplacePipeline | PatchPipeline, call: Call
) -> contract.Pipeline:
    """Change a pipeline; raises NotFoundError and PreconditionFailedError."""
    fields = _fields(request)
    changed = await service.change(tx, request.pipeline_id, fields, call.expected_version)
    return await _shown(tx, changed)


async def create_status(
    tx: Transaction, request: CreateStatus, call: Call
) -> contract.PipelineStatus:
    """Add a status; raises NotFoundError and ConflictError."""
    del call
    now = datetime.now(UTC)
    given = request.model_dump(exclude={"position"})
    status = PipelineStatus(
        **given, id=uuid7(), tenant_id=tx.tenant_id, position=0, created_at=now, updated_at=now
    )
    return repository.to_status(await service.add_status(tx, status, request.position))


async def get_status(tx: Transaction, request: GetStatus, call: Call) -> contract.PipelineStatus:
    """One status; raises NotFoundError."""
    del call
    pipeline = await _found(tx, request)
    statuses = await repository.statuses_of(tx, pipeline.id)
    return repository.to_status(service.among(statuses, request.status_id))


async def list_statuses(
    tx: Transaction, request: ListStatuses, call: Call
) -> Page[contract.PipelineStatus]:
    """The statuses of a pipeline, page by page; raises NotFoundError and MalformedError."""
    del call
    await _found(tx, request)
    return await repository.page_of_statuses(tx, request)


async def change_status(
    tx: Transaction, request: ReplaceStatus | PatchStatus, call: Call
) -> contract.PipelineStatus:
    """Change or move a status; raises NotFoundError, PreconditionFailedError, ConflictError."""
    fields = _fields(request)
    changed = await service.change_status(
        tx, request.pipeline_id, request.status_id, fields, call.expected_version
    )
    return repository.to_status(changed)


async def _found(tx: Transaction, request: GetPipeline | GetStatus | ListStatuses) -> Pipeline:
    pipeline = await repository.find(tx, request.pipeline_id)
    if pipeline is None:
        raise NotFoundError("pipeline")
    return pipeline


async def _shown(tx: Transaction, pipeline: Pipeline) -> contract.Pipeline:
    return repository.to_resource(pipeline, await repository.statuses_of(tx, pipeline.id))


def _fields(
    request: ReplacePipeline | PatchPipeline | ReplaceStatus | PatchStatus,
) -> dict[str, object]:
    """The columns a request speaks of: all of a replacement, of a patch those it names.

    Null clears what may be empty and leaves the rest as it is.
    """
    partial = isinstance(request, PatchPipeline | PatchStatus)
    given = request.model_dump(exclude={"pipeline_id", "status_id"}, exclude_unset=partial)
    return {k: v for k, v in given.items() if v is not None or k in _CLEARABLE}
