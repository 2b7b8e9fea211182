"""Answers to requests about messages that wait for their time."""

from uuid import UUID

from pydantic import AwareDatetime
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.paging import Order
from shared_events.messaging.message import Message
from shared_events.messaging.scheduled import CancelScheduledMessage, ListScheduledMessages
from shared_events.requests import Nothing, Page
from sqlalchemy import ColumnElement, and_, select

from crm_messaging import visibility
from crm_messaging.conversations import repository as conversations
from crm_messaging.messages import repository as messages
from crm_messaging.messages.scheduled import models, repository, service
from crm_messaging.messages.scheduled.repository import SCHEDULED

_C = SCHEDULED.table.c
_NEXT_FIRST = Order(
    "scheduled_messages", [(_C.send_at, AwareDatetime), (_C.id, UUID)], tenant=_C.tenant_id
)


async def list_scheduled(
    tx: Transaction, request: ListScheduledMessages, call: Call
) -> Page[Message]:
    """Find messages that were not queued, the next to be sent first."""
    query = select(models.ScheduledMessage).where(
        _C.status == request.status, *visibility.seen(call, "scheduled_messages")
    )
    for column in ("contact_id", "channel_id"):
        if (value := getattr(request, column)) is not None:
            query = query.where(_C[column] == value)
    if request.conversation_id is not None:
        query = query.where(await _in(tx, request.conversation_id))
    return await _NEXT_FIRST.page(tx, query, request, SCHEDULED, repository.resource)


async def _in(tx: Transaction, conversation_id: UUID) -> ColumnElement[bool]:
    """What will be said in a conversation: of a person's it is known whom it is with."""
    row = await conversations.find(tx, conversation_id)
    if row is None or row.contact_id is None:
        return _C.conversation_id == conversation_id
    return and_(_C.contact_id == row.contact_id, _C.channel_id == row.channel_id)


async def cancel_scheduled(tx: Transaction, request: CancelScheduledMessage, call: Call) -> Nothing:
    """Keep a message from being sent; NotFoundError, ConflictError for one that is queued."""
    await visibility.check(tx, "message", request.message_id, call)
    message = await service.locked(tx, request.message_id, call.expected_version)
    if message is None:
        await messages.get(tx, request.message_id)
        raise ConflictError("not_scheduled", "The message does not wait to be sent.")
    await service.cancel(tx, message)
    return Nothing()
