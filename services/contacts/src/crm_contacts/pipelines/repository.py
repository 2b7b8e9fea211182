"""Pipelines and their statuses in the database."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Rows, Shape
from shared_events.contacts import pipeline as contract
from shared_events.contacts.pipeline import ListPipelines, ListStatuses, Place
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.pipelines.models import Pipeline, PipelineStatus

_PIPELINES = Rows(Pipeline)
_STATUSES = Rows(PipelineStatus)
_PLACES = Shape(Place)
_P = _PIPELINES.table.c
_S = _STATUSES.table.c
_BY_POSITION = Order("pipelines", [(_P.position, int), (_P.id, UUID)], tenant=_P.tenant_id)
_IN_ORDER = Order("statuses", [(_S.position, int), (_S.id, UUID)], tenant=_S.tenant_id)

_FIND = "SELECT * FROM pipelines WHERE tenant_id = $1 AND id = $2"
# Locked in the order of their ids, before any contact (see `lock`).
_LOCK = """
SELECT * FROM pipelines WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE
"""
_STATUSES_OF = """
SELECT * FROM pipeline_statuses WHERE tenant_id = $1 AND pipeline_id = ANY($2)
ORDER BY pipeline_id, position
"""
_LOCK_STATUSES = """
SELECT FROM pipeline_statuses WHERE tenant_id = $1 AND id = ANY($2) ORDER BY id FOR UPDATE
"""
# A key share keeps what is named from being deleted until the contact that goes there is committed.
_STATUS_PLACE = """
SELECT p.id AS pipeline_id, p.name AS pipeline_name, s.id AS status_id, s.name AS status_name
FROM pipeline_statuses s JOIN pipelines p ON p.tenant_id = s.tenant_id AND p.id = s.pipeline_id
WHERE s.tenant_id = $1 AND s.id = $2 FOR KEY SHARE OF s
"""
_PIPELINE_PLACE = """
SELECT id AS pipeline_id, name AS pipeline_name, NULL::uuid AS status_id, NULL AS status_name
FROM pipelines WHERE tenant_id = $1 AND id = $2 FOR KEY SHARE
"""


async def count(tx: Transaction) -> int:
    """How many pipelines the company has."""
    found: int = await tx.fetchval(
        "SELECT count(*) FROM pipelines WHERE tenant_id = $1", tx.tenant_id
    )
    return found


async def find(tx: Transaction, pipeline_id: UUID) -> Pipeline | None:
    """The pipeline, unless it is missing or another tenant's."""
    return await _PIPELINES.first(tx, _FIND, tx.tenant_id, pipeline_id)


async def lock(tx: Transaction, *pipeline_ids: UUID) -> dict[UUID, Pipeline]:
    """Those there are, locked: their statuses are the caller's until the commit.

    Locks are taken in one order: pipelines, statuses, identities, contacts.
    """
    found = await _PIPELINES.find(tx, _LOCK, tx.tenant_id, list(pipeline_ids))
    return {pipeline.id: pipeline for pipeline in found}


async def statuses_of(tx: Transaction, *pipeline_ids: UUID) -> list[PipelineStatus]:
    """The statuses of these pipelines, of each in their order."""
    return await _STATUSES.find(tx, _STATUSES_OF, tx.tenant_id, list(pipeline_ids))


async def find_place(
    tx: Transaction, pipeline_id: UUID | None, status_id: UUID | None
) -> Place | None:
    """The status with its pipeline, or the pipeline alone; it stays until the commit."""
    if status_id is not None:
        return await _PLACES.first(tx, _STATUS_PLACE, tx.tenant_id, status_id)
    return await _PLACES.first(tx, _PIPELINE_PLACE, tx.tenant_id, pipeline_id)


async def insert(tx: Transaction, pipeline: Pipeline) -> None:
    """Add a pipeline."""
    await _PIPELINES.insert(tx, [pipeline])


async def update(tx: Transaction, pipeline: Pipeline) -> None:
    """Write a pipeline back; the caller holds its lock."""
    await _PIPELINES.update(tx, [pipeline])


async def delete(tx: Transaction, pipeline_id: UUID) -> None:
    """Remove a pipeline that has no statuses."""
    await tx.execute(
        "DELETE FROM pipelines WHERE tenant_id = $1 AND id = $2", tx.tenant_id, pipeline_id
    )


async def insert_status(tx: Transaction, status: PipelineStatus) -> None:
    """Add a status; the caller holds its pipeline's lock."""
    await _STATUSES.insert(tx, [status])


async def update_statuses(tx: Transaction, statuses: Iterable[PipelineStatus]) -> None:
    """Write statuses back; the caller holds their pipeline's lock."""
    await _STATUSES.update(tx, statuses)


async def lock_statuses(tx: Transaction, status_ids: Sequence[UUID]) -> None:
    """Let nobody be sent there any more; waits for contacts that are on their way."""
    await tx.execute(_LOCK_STATUSES, tx.tenant_id, status_ids)


async def delete_statuses(tx: Transaction, status_ids: Sequence[UUID]) -> None:
    """Remove statuses nobody is at; the caller holds their locks."""
    await tx.execute(
        "DELETE FROM pipeline_statuses WHERE tenant_id = $1 AND id = ANY($2)",
        tx.tenant_id,
        status_ids,
    )


async def page(tx: Transaction, request: ListPipelines) -> Page[contract.Pipeline]:
    """Pipelines by position, with their statuses; raises MalformedError."""
    found, next_cursor = await _BY_POSITION.found(tx, select(Pipeline), request, _PIPELINES)
    statuses = await statuses_of(tx, *(pipeline.id for pipeline in found))
    return Page(
        data=[to_resource(pipeline, statuses) for pipeline in found],
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def page_of_statuses(tx: Transaction, request: ListStatuses) -> Page[contract.PipelineStatus]:
    """The statuses of a pipeline in their order; raises MalformedError."""
    statement = select(PipelineStatus).where(_S.pipeline_id == request.pipeline_id)
    return await _IN_ORDER.page(tx, statement, request, _STATUSES, to_status)


def to_resource(pipeline: Pipeline, statuses: Iterable[PipelineStatus]) -> contract.Pipeline:
    """A pipeline as customers see it; `statuses` may hold those of others too."""
    own = [to_status(status) for status in statuses if status.pipeline_id == pipeline.id]
    return contract.Pipeline(**pipeline.model_dump(exclude={"tenant_id"}), statuses=own)


def to_status(status: PipelineStatus) -> contract.PipelineStatus:
    """A status as customers see it."""
    return contract.PipelineStatus.model_validate(status.model_dump(exclude={"tenant_id"}))
