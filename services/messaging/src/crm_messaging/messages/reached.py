"""With whom a message got how far (`GET /messages/{id}/receipts` of the REST API)."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Shape
from shared_events import bounds
from shared_events.identity import WhatsAppId, parse_whatsapp_id
from shared_events.messaging.message import ListMessageReceipts, Message, MessageReceipt
from shared_events.requests import Page
from sqlalchemy import select

from crm_messaging import visibility
from crm_messaging.messages import models, repository
from crm_messaging.messages.members import MEMBERS

_C = MEMBERS.table.c
_LONGEST = bounds.limit(bounds.ChatId)
_BY_PARTICIPANT = Order(
    "message_receipts",
    [(_C.participant, Annotated[str, StringConstraints(max_length=_LONGEST)])],
    tenant=_C.tenant_id,
)
# One look into each index for each person of the page (docs/adr/0017).
_NAMES = """
SELECT k.participant, i.contact_id, c.name
FROM unnest($2::text[], $3::text[], $4::text[]) AS k(participant, kind, canonical)
CROSS JOIN LATERAL (SELECT contact_id FROM identity_refs
    WHERE tenant_id = $1 AND kind = k.kind AND canonical = k.canonical LIMIT 1) AS i
LEFT JOIN LATERAL (SELECT name FROM contact_refs
    WHERE tenant_id = $1 AND contact_id = i.contact_id LIMIT 1) AS c ON true
"""


@dataclass(frozen=True, slots=True)
class _Named:
    participant: str
    contact_id: UUID
    name: str | None


_NAMED = Shape(_Named)


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
    people: dict[str, WhatsAppId] = {
        receipt.participant: who
        for receipt in receipts
        if (who := parse_whatsapp_id(receipt.participant))
    }
    rows = await _NAMED.find(
        tx,
        _NAMES,
        tx.tenant_id,
        list(people),
        [who.kind for who in people.values()],
        [who.canonical for who in people.values()],
    )
    known = {row.participant: {"contact_id": row.contact_id, "name": row.name} for row in rows}
    return [one.model_copy(update=known.get(one.participant, {})) for one in receipts]
