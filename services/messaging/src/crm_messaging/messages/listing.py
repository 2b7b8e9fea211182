"""Lists of messages: by what they are of, in an order that never changes, from either end."""

from typing import Annotated, Any, get_args
from uuid import UUID

from pydantic import AwareDatetime, Field
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.paging import Order, Search, by_bare_name
from shared_events.messaging.conversation import ListConversationMessages
from shared_events.messaging.message import (
    ListContactMessages,
    ListMessages,
    ListSessionMessages,
    Message,
    MessageSort,
)
from shared_events.requests import ListQuery, Page
from sqlalchemy import ColumnElement, Select, Uuid, any_, func, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY

from crm_messaging import visibility
from crm_messaging.conversations import repository as conversations
from crm_messaging.messages import repository
from crm_messaging.messages.repository import MESSAGES
from crm_messaging.replicas import merged
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import repository as sessions

_MESSAGES = by_bare_name(MESSAGES.table)
_C = _MESSAGES.c
_SEQ = (_C.seq, Annotated[int, Field(ge=-(2**31), lt=2**31)])
_SAID = {
    sort: Order(
        f"messages {sort}",
        [(_C.placed_at, AwareDatetime), _SEQ, (_C.id, UUID)],
        tenant=_C.tenant_id,
        descending=sort.startswith("-"),
    )
    for sort in get_args(MessageSort)
}
_NUMBERED = {
    direction: Order(direction, [_SEQ], tenant=_C.tenant_id, descending=direction == "backward")
    for direction in ("backward", "forward")
}
_FILTERS = ("session_id", "channel_id", "direction", "content_type")

_AT_ENDS = ".,;:!?\"'()[]{}"

LOOKS = 10
"""Messages of the list to look through for each that is asked for, before an index is."""


async def list_messages(tx: Transaction, request: ListMessages, call: Call) -> Page[Message]:
    """Find messages in the order they were said; WhatsApp's times tie within a second."""
    query = select(_MESSAGES).where(*visibility.seen(call, "messages"))
    for name in _FILTERS:
        if (value := getattr(request, name)) is not None:
            query = query.where(_C[name] == value)
    # Spelled out, as the partial indexes have it: a value of the statement would fit none.
    if request.status == "failed":
        query = query.where(text("messages.status = 'failed'"))
    elif request.status is not None:
        query = query.where(_C.status == request.status)
    if request.content_type not in (None, "text"):
        query = query.where(text("messages.content_type <> 'text'"))
    if request.contact_id is not None:
        query = query.where(await _said_as(tx, request.contact_id))
    if request.sent_at_gte is not None:
        query = query.where(_C.placed_at >= request.sent_at_gte)
    if request.sent_at_lt is not None:
        query = query.where(_C.placed_at < request.sent_at_lt)
    search = _search(request.search) if request.search is not None else None
    return await _page(tx, _SAID[request.sort], query, request, search)


def _search(search: str) -> Search:
    wanted = select(func.searched(search)).scalar_subquery()
    return Search(
        among=_MESSAGES,
        matching=[func.words_of(_C.content).op("@@")(wanted)],
        index=func.messages_found(search),
        looks=LOOKS,
        exactly=[
            func.strpos(func.plain(_C.content), func.plain(word)) > 0
            for word in _to_the_letter(search)
        ],
    )


def _to_the_letter(search: str) -> list[str]:
    """Words with signs in them, such as `100%`: their letters alone would find 1000 as well."""
    words = (word.strip(_AT_ENDS) for word in search.split())
    return [word for word in words if not word.isalnum() and any(map(str.isalnum, word))]


async def _said_as(tx: Transaction, contact_id: UUID) -> ColumnElement[bool]:
    """Whether a message is the contact's; nearly always nobody was merged into it.

    Then it is one value, by which the list's own index goes.
    """
    everybody = await merged.everybody(tx, contact_id)
    if len(everybody) == 1:
        return _C.contact_id == contact_id
    return _C.contact_id == any_(literal(everybody, ARRAY(Uuid)))


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
    await visibility.check(tx, "session", request.session_id, call)
    await sessions.get(tx, request.session_id)
    return await list_messages(tx, request, call)


async def list_conversation_messages(
    tx: Transaction, request: ListConversationMessages, call: Call
) -> Page[Message]:
    """What was said in a conversation, from either end; NotFoundError when there is none."""
    await visibility.check(tx, "conversation", request.conversation_id, call)
    await conversations.get(tx, request.conversation_id)
    query = select(_MESSAGES).where(_C.conversation_id == request.conversation_id)
    return await _page(tx, _NUMBERED[request.direction], query, request)


async def _page(
    tx: Transaction,
    order: Order,
    query: Select[Any],
    request: ListQuery[Message],
    search: Search | None = None,
) -> Page[Message]:
    page = await order.page(tx, query, request, MESSAGES, repository.resource, search)
    return page.model_copy(update={"data": await repository.as_of_now(tx, page.data)})
