"""Answers to requests about messages."""

from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.egress import Egress
from service_kit.errors import InvalidError
from service_kit.paging import Order
from shared_events.messaging.message import (
    GetMessage,
    ListContactMessages,
    ListMessages,
    ListSessionMessages,
    Message,
    SendMessage,
)
from shared_events.requests import Page
from sqlalchemy import select

from crm_messaging.messages import models, repository, service
from crm_messaging.messages.repository import MESSAGES
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import repository as sessions

_C = MESSAGES.table.c
_CONVERSATION_ORDER = Order(
    "messages",
    [
        (_C.said_at, AwareDatetime),
        (_C.seq, Annotated[int, Field(ge=0, lt=2**31)]),
        (_C.id, UUID),
    ],
    tenant=_C.tenant_id,
)
_FILTERS = ("session_id", "contact_id", "channel_id", "direction", "status", "content_type")


class Sending:
    """Queues messages. WAHA fetches their media for us, so its URL goes by our egress rule."""

    def __init__(self, egress: Egress, *, plain_http: bool) -> None:
        self._egress = egress
        self._plain_http = plain_http

    async def send_message(self, tx: Transaction, request: SendMessage, call: Call) -> Message:
        """Queue a message to a contact."""
        url = request.media_url
        if url is not None and not self._egress.allows_url(str(url), plain_http=self._plain_http):
            raise InvalidError.field(
                "media_url",
                "url_not_allowed",
                "The URL must be https, without user or password, and lead to a public address.",
            )
        return await service.send(tx, request, call.user_id)


async def get_message(tx: Transaction, request: GetMessage, call: Call) -> Message:
    """Read one message; NotFoundError."""
    del call
    return await repository.get(tx, request.message_id)


async def list_messages(tx: Transaction, request: ListMessages, call: Call) -> Page[Message]:
    """Find messages in the order they were said; WhatsApp's times tie within a second."""
    del call
    query = select(models.Message)
    for column in _FILTERS:
        if (value := getattr(request, column)) is not None:
            query = query.where(_C[column] == value)
    if request.search is not None:
        query = query.where(_C.content.icontains(request.search, autoescape=True))
    page = await _CONVERSATION_ORDER.page(tx, query, request, MESSAGES, repository.resource)
    return page.model_copy(update={"data": await repository.with_reactions(tx, page.data)})


async def list_contact_messages(
    tx: Transaction, request: ListContactMessages, call: Call
) -> Page[Message]:
    """The messages of one contact; NotFoundError when there is no such contact."""
    await replicas.known_contact(tx, request.contact_id)
    return await list_messages(tx, request, call)


async def list_session_messages(
    tx: Transaction, request: ListSessionMessages, call: Call
) -> Page[Message]:
    """The messages of one session; NotFoundError when there is no such session."""
    await sessions.get(tx, request.session_id)
    return await list_messages(tx, request, call)
