"""The requests about contacts in pipelines (`shared_events.contacts.pipeline`)."""

from collections.abc import Sequence
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError, NotFoundError, PreconditionFailedError
from shared_events.contacts import contact as contract
from shared_events.contacts.pipeline import (
    Board,
    BoardColumn,
    DeletePipeline,
    DeleteStatus,
    GetBoard,
    ListStays,
    MoveContact,
    Place,
    Stay,
)
from shared_events.requests import Nothing, Page

from crm_contacts.board import repository
from crm_contacts.contacts import repository as people
from crm_contacts.contacts import service as contacts
from crm_contacts.contacts.models import Contact
from crm_contacts.pipelines import moves
from crm_contacts.pipelines import repository as tables
from crm_contacts.pipelines import service as pipelines
from crm_contacts.pipelines.moves import Move

MAX_MOVED = 1000
"""Contacts that go elsewhere with one deletion: each is told of, within the caller's patience."""


async def move(tx: Transaction, request: MoveContact, call: Call) -> contract.Contact:
    """Put a contact at a status; raises InvalidError, NotFoundError, PreconditionFailedError."""
    to = await pipelines.place(tx, request.pipeline_id, request.status_id, field="status_id")
    where = {"pipeline_id": request.pipeline_id, "pipeline_status_id": request.status_id}
    sent = Move(to, call.user_id, request.reason)
    return await contacts.change(
        tx, request.contact_id, lambda _: where, None, call.expected_version, sent
    )


async def list_stays(tx: Transaction, request: ListStays, call: Call) -> Page[Stay]:
    """Where a contact has been; raises NotFoundError and MalformedError."""
    del call
    await contacts.get(tx, request.contact_id)
    return await moves.page(tx, request)


async def board(tx: Transaction, request: GetBoard, call: Call) -> Board:
    """A pipeline with the newest contacts at each status; raises NotFoundError.

    It takes as many statements for many statuses as for one.
    """
    del call
    pipeline = await tables.find(tx, request.pipeline_id)
    if pipeline is None:
        raise NotFoundError("pipeline")
    statuses = await tables.statuses_of(tx, pipeline.id)
    ids = [status.id for status in statuses]
    newest = await repository.newest(tx, ids, request.limit)
    counts = await repository.counts(tx, ids)
    everybody = [contact for column in newest.values() for contact in column.contacts]
    shown = {one.id: one for one in await people.to_resources(tx, everybody)}
    return Board(
        pipeline=tables.to_resource(pipeline, statuses),
        columns=[
            BoardColumn(
                status=tables.to_status(status),
                count=counts[status.id],
                contacts=[shown[contact.id] for contact in newest[status.id].contacts],
                has_more=newest[status.id].next_cursor is not None,
                next_cursor=newest[status.id].next_cursor,
            )
            for status in statuses
        ],
    )


async def delete_status(tx: Transaction, request: DeleteStatus, call: Call) -> Nothing:
    """Remove a status, after the contacts at it went where the request says.

    Raises NotFoundError, PreconditionFailedError, InvalidError for a target outside the pipeline,
    and ConflictError `status_in_use` and `too_many_contacts`.
    """
    pipeline = await pipelines.locked(tx, request.pipeline_id)
    statuses = await tables.statuses_of(tx, pipeline.id)
    status = pipelines.among(statuses, request.status_id)
    PreconditionFailedError.check(call.expected_version, status.version)
    to = await _target(tx, request.move_to)
    if to is not None and (to.pipeline_id, to.status_id != status.id) != (pipeline.id, True):
        raise _no_target("Not another status of this pipeline.")
    await tables.lock_statuses(tx, [status.id])
    there = await repository.lock_at_status(tx, status.id, MAX_MOVED + 1)
    await _clear(tx, there, Move(to, call.user_id), "status_in_use")
    await pipelines.remove_status(tx, pipeline, statuses, status)
    return Nothing()


async def delete_pipeline(tx: Transaction, request: DeletePipeline, call: Call) -> Nothing:
    """Remove a pipeline and its statuses, after its contacts went where the request says.

    Raises NotFoundError, PreconditionFailedError, InvalidError for a target in this pipeline, and
    ConflictError `pipeline_in_use` and `too_many_contacts`.
    """
    pipeline = await pipelines.locked(tx, request.pipeline_id)
    PreconditionFailedError.check(call.expected_version, pipeline.version)
    to = await _target(tx, request.move_to)
    if to is not None and to.pipeline_id == pipeline.id:
        raise _no_target("Not a status of another pipeline.")
    gone = [status.id for status in await tables.statuses_of(tx, pipeline.id)]
    await tables.lock_statuses(tx, gone)
    there = await repository.lock_in_pipeline(tx, pipeline.id, MAX_MOVED + 1)
    await _clear(tx, there, Move(to, call.user_id), "pipeline_in_use")
    await tables.delete_statuses(tx, gone)
    await tables.delete(tx, pipeline.id)
    return Nothing()


async def _target(tx: Transaction, status_id: UUID | None) -> Place | None:
    if status_id is None:
        return None
    return await pipelines.place(tx, None, status_id, field="move_to")


async def _clear(tx: Transaction, there: Sequence[Contact], move: Move, in_use: str) -> None:
    if not there:
        return
    if move.to is None:
        raise ConflictError(in_use, "Contacts are there: say where they go, by move_to.")
    if len(there) > MAX_MOVED:
        raise ConflictError(
            "too_many_contacts",
            f"More than {MAX_MOVED} contacts are there: move some first.",
            limit=MAX_MOVED,
        )
    await contacts.move_all(tx, there, move)


def _no_target(message: str) -> InvalidError:
    return InvalidError.field("move_to", "invalid_target", message)
