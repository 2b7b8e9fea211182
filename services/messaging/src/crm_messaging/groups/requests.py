"""Answers to requests about groups."""

from typing import Annotated

from pydantic import StringConstraints
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order
from shared_events import bounds
from shared_events.messaging.conversation import ListParticipants, Participant
from shared_events.requests import Page
from sqlalchemy import select

from crm_messaging import visibility
from crm_messaging.conversations import repository as conversations
from crm_messaging.groups.models import ConversationParticipant
from crm_messaging.groups.participants import PARTICIPANTS
from crm_messaging.replicas import named

_C = PARTICIPANTS.table.c
_LONGEST = bounds.limit(bounds.ChatId)
_BY_PARTICIPANT = Order(
    "conversation_participants",
    [(_C.participant, Annotated[str, StringConstraints(max_length=_LONGEST)])],
    tenant=_C.tenant_id,
)
_SHOWN = ("participant", "lid", "role", "joined_at", "left_at")


async def list_participants(
    tx: Transaction, request: ListParticipants, call: Call
) -> Page[Participant]:
    """Who is in a group, by WhatsApp id; NotFoundError when there is no such conversation."""
    await visibility.check(tx, "conversation", request.conversation_id, call)
    await conversations.get(tx, request.conversation_id)
    query = select(ConversationParticipant).where(_C.conversation_id == request.conversation_id)
    if not request.left:
        query = query.where(_C.left_at.is_(None))
    page = await _BY_PARTICIPANT.page(tx, query, request, PARTICIPANTS, _participant)
    people = {name for one in page.data for name in (one.participant, one.lid) if name}
    known = await named.contacts(tx, people)
    return page.model_copy(update={"data": [_with_name(one, known) for one in page.data]})


def _participant(row: ConversationParticipant) -> Participant:
    return Participant(**{name: getattr(row, name) for name in _SHOWN})


def _with_name(one: Participant, known: dict[str, named.Named]) -> Participant:
    found = known.get(one.participant) or known.get(one.lid or "")
    if found is None:
        return one
    return one.model_copy(update={"contact_id": found.contact_id, "name": found.name})
