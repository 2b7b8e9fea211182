"""Answers to requests about what became of messages."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, StringConstraints
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from service_kit.paging import Order
from shared_events.messaging.message import (
    DeleteMessage,
    EditMessage,
    ListMessageVersions,
    Message,
    MessageVersion,
    ReactToMessage,
    RemoveReaction,
)
from shared_events.requests import Nothing, Page
from sqlalchemy import select

from crm_messaging import visibility
from crm_messaging.messages import repository as messages
from crm_messaging.messages.changes import models, service
from crm_messaging.messages.changes.repository import VERSIONS
from crm_messaging.messages.scheduled import service as scheduled

_C = VERSIONS.table.c
_OLDEST_FIRST = Order(
    "message_versions",
    [
        (_C.since, AwareDatetime),
        (_C.edit_id, Annotated[str, StringConstraints(max_length=255)]),
        (_C.message_id, UUID),
    ],
    tenant=_C.tenant_id,
)


async def edit_message(tx: Transaction, request: EditMessage, call: Call) -> Message:
    """Replace the text of a message of ours, or when it is sent, while it waits for that."""
    if not request.content and request.send_at is None:
        raise InvalidError.field("content", "missing", "Nothing is to be changed.")
    await visibility.check(tx, "message", request.message_id, call)
    waiting = await scheduled.locked(tx, request.message_id, call.expected_version)
    if waiting is not None:
        return await scheduled.edit(tx, waiting, request.content, request.send_at)
    if request.send_at is not None:
        await messages.get(tx, request.message_id)
        raise ConflictError("not_scheduled", "The message does not wait to be sent.")
    return await service.edit(tx, request.message_id, request.content, call)


async def delete_message(tx: Transaction, request: DeleteMessage, call: Call) -> Nothing:
    """Take a message of ours back, or keep it from being sent."""
    await visibility.check(tx, "message", request.message_id, call)
    waiting = await scheduled.locked(tx, request.message_id, call.expected_version)
    if waiting is not None:
        await scheduled.cancel(tx, waiting)
        return Nothing()
    await service.take_back(tx, request.message_id, call)
    return Nothing()


async def react_to_message(tx: Transaction, request: ReactToMessage, call: Call) -> Message:
    """React to a message in the company's name."""
    await visibility.check(tx, "message", request.message_id, call)
    return await service.react(tx, request.message_id, request.emoji, call)


async def remove_reaction(tx: Transaction, request: RemoveReaction, call: Call) -> Nothing:
    """Take the company's reaction back; none is none already."""
    await visibility.check(tx, "message", request.message_id, call)
    await service.react(tx, request.message_id, "", call)
    return Nothing()


async def list_versions(
    tx: Transaction, request: ListMessageVersions, call: Call
) -> Page[MessageVersion]:
    """What a message said, oldest first; NotFoundError when there is no such message."""
    await visibility.check(tx, "message", request.message_id, call)
    await messages.get(tx, request.message_id)
    query = select(models.MessageVersion).where(_C.message_id == request.message_id)
    return await _OLDEST_FIRST.page(tx, query, request, VERSIONS, _version)


def _version(row: models.MessageVersion) -> MessageVersion:
    return MessageVersion(content=row.content, since=row.since)
