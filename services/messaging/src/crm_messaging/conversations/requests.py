"""Answers to requests about conversations."""

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from shared_events.messaging.conversation import (
    Chat,
    Conversation,
    ConversationRead,
    GetChat,
    GetConversation,
    ListConversations,
    ReadConversation,
)
from shared_events.requests import Nothing, Page

from crm_messaging import visibility
from crm_messaging.conversations import listing, models, repository
from crm_messaging.sessions import repository as sessions


async def get_conversation(tx: Transaction, request: GetConversation, call: Call) -> Conversation:
    """Read one conversation; NotFoundError."""
    await visibility.check(tx, "conversation", request.conversation_id, call)
    row = await repository.get(tx, request.conversation_id)
    (conversation,) = await listing.resources(tx, [row])
    return conversation


async def list_conversations(
    tx: Transaction, request: ListConversations, call: Call
) -> Page[Conversation]:
    """The inbox, newest activity first."""
    return await listing.page(tx, request, call)


async def read_conversation(tx: Transaction, request: ReadConversation, call: Call) -> Nothing:
    """Mark messages as read, and say so; what was read already changes nothing.

    NotFoundError when there is no such conversation. A place beyond the last message means it.
    """
    await visibility.check(tx, "conversation", request.conversation_id, call)
    row = await repository.get(tx, request.conversation_id, lock=True)
    up_to = min(request.up_to_seq, row.seq)
    if up_to > row.read_seq:
        read = await repository.read(tx, row.id, up_to)
        event = ConversationRead(
            conversation_id=row.id,
            channel_id=row.channel_id,
            chat_id=await _chat_id(tx, row),
            contact_id=row.contact_id,
            read_seq=read.read_seq,
            unread_count=read.unread_count,
            read_by=call.user_id,
        )
        tx.outbox.add(event, row.id)
    return Nothing()


async def get_chat(tx: Transaction, request: GetChat, call: Call) -> Chat:
    """Where a conversation is held.

    Raises NotFoundError, and ConflictError `conversation_unreachable` where that is not known.
    """
    await visibility.check(tx, "conversation", request.conversation_id, call)
    row = await repository.get(tx, request.conversation_id)
    chat_id = await _chat_id(tx, row)
    if chat_id is None:
        raise ConflictError("conversation_unreachable", "The conversation's chat is not known.")
    return Chat(channel_id=row.channel_id, chat_id=chat_id)


async def _chat_id(tx: Transaction, row: models.Conversation) -> str | None:
    if row.is_group or row.session_id is None:
        return row.chat_id
    return await sessions.chat_id_of(tx, row.session_id)
