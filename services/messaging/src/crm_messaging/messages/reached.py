"""With whom a message got how far (`GET /messages/{id}/receipts` of the REST API)."""

from typing import Annotated

from pydantic import StringConstraints
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from shared_events import bounds
from shared_events.messaging.message import ListMessageReceipts, Message, MessageReceipt
from shared_events.requests import Page
from sqlalchemy import select

from crm_messaging import visibility
from crm_messaging.messages import models, repository
from crm_messaging.messages.members import MEMBERS
from crm_messaging.replicas import named

_C = MEMBERS.table.c
_LONGEST = bounds.limit(bounds.ChatId)
_BY_PARTICIPANT = Order(
    "message_receipts",
    [(_C.participant, Annotated[str, StringConstraints(max_length=_LONGEST)])],
    tenant=_C.tenant_id,
)


async def list_receipts(
    tx: Transaction, request: ListMessageReceipts, call: Call
) -> Page[MessageReceipt]:
    """How far a message of ours got, by WhatsApp id; NotFoundError when there is no such message.

    In a chat of two that is what the message says itself, once there is anything to say.
    """
    await visibility.check(tx, "message", request.message_id, call)
    message, chat_id = await repository.said(tx, request.message_id)
    if message.direction == "inbound":
        return Page(data=[])
    if repository.is_group(chat_id):
        query = select(models.MessageReceipt).where(_C.message_id == message.id)
        page = await _BY_PARTICIPANT.page(tx, query, request, MEMBERS, _receipt)
    else:
        page = Page(data=_of_two(message, chat_id))
    return page.model_copy(update={"data": await _named(tx, page.data)})


def _receipt(row: models.MessageReceipt) -> MessageReceipt:
    return MessageReceipt(
        participant=row.participant,
        delivered_at=row.delivered_at,
        read_at=row.read_at,
        played_at=row.played_at,
    )


def _of_two(message: Message, chat_id: str) -> list[MessageReceipt]:
    steps = ("delivered_at", "read_at", "played_at")
    reached = {step: at for step in steps if (at := getattr(message, step)) is not None}
    return [MessageReceipt(participant=chat_id, **reached)] if reached else []


async def _named(tx: Transaction, receipts: list[MessageReceipt]) -> list[MessageReceipt]:
    known = await named.contacts(tx, [receipt.participant for receipt in receipts])
    shown = {who: {"contact_id": of.contact_id, "name": of.name} for who, of in known.items()}
    return [one.model_copy(update=shown.get(one.participant, {})) for one in receipts]
