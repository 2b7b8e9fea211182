"""Sending a message to a contact."""

from datetime import UTC, datetime
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError, NotFoundError
from service_kit.ids import uuid7
from service_kit.media_links import reference
from shared_events.messaging.message import Message, MessageQueued, SendMessage
from shared_events.messaging.session import SessionStarted, SessionSummary

from crm_messaging.conversations import repository as conversations
from crm_messaging.messages import repository
from crm_messaging.messages.address import chat_id_for
from crm_messaging.messages.receipts import RECEIPTS
from crm_messaging.replicas import repository as replicas
from crm_messaging.sessions import repository as sessions

MAX_CAPTION = 1024


async def send(tx: Transaction, request: SendMessage, sent_by: UUID | None) -> Message:
    """Queue a message: stored and told of in one transaction; nobody waits for WhatsApp.

    Raises InvalidError for content that does not fit its type, NotFoundError for a missing contact
    or channel, ConflictError for a contact that WhatsApp does not know.
    """
    _check_content(request)
    contact = await replicas.get_contact(tx, request.contact_id)
    channel = await replicas.get_channel(tx, request.channel_id)
    replied = await _replied(tx, request)
    chat_id = chat_id_for(
        contact.phone,
        await replicas.identities_of(tx, contact.id),
        await sessions.active_chat_id(tx, contact.id, channel.summary.id),
    )
    if chat_id is None:
        raise ConflictError("contact_unreachable", "The contact has no WhatsApp identity.")
    opening = sessions.Opening(
        tenant_id=tx.tenant_id,
        channel_id=channel.summary.id,
        contact_id=contact.id,
        chat_id=chat_id,
        opened_by="agent",
        timeout_seconds=channel.session_timeout_seconds,
        messages=1,
    )
    (joined,) = (await sessions.join(tx, [opening])).values()
    session = joined.session
    if joined.opened:
        started = SessionStarted(session=session, contact=contact, channel=channel.summary)
        tx.outbox.add(started, session.id)
    turn = conversations.Turn(
        id=conversations.id_of(channel.summary.id, contact.id, None),
        tenant_id=tx.tenant_id,
        channel_id=channel.summary.id,
        contact_id=contact.id,
        chat_id=None,
        messages=1,
        unread=0,
        answered=1,
        session=session,
    )
    said = await conversations.say(tx, [turn])
    now = datetime.now(UTC)
    message = Message(
        id=uuid7(),
        contact_id=contact.id,
        session_id=session.id,
        conversation_id=turn.id,
        channel_id=channel.summary.id,
        direction="outbound",
        origin="agent",
        content_type=request.content_type,
        content=request.content,
        media_id=request.media_id,
        media_url=reference(request.media_id) if request.media_id else _url(request),
        media_mime_type=request.media_mime_type,
        reply_to_id=request.reply_to_id,
        metadata=request.metadata,
        status="queued",
        sent_by=sent_by,
        seq=said[turn.id],
        created_at=now,
        updated_at=now,
    )
    await repository.insert(tx, [repository.Said(tx.tenant_id, message, chat_id)])
    queued = MessageQueued(
        message=message,
        contact=contact,
        session=SessionSummary(id=session.id, status=session.status),
        channel=channel.summary,
        to=chat_id,
        reply_to_external_id=replied.external_id if replied else None,
    )
    tx.outbox.add(queued, session.id)
    return message


def _check_content(request: SendMessage) -> None:
    content = request.content
    try:
        orjson.dumps(request.metadata)
    except orjson.JSONEncodeError:
        raise InvalidError.field("metadata", "not_json", "A number is too large.") from None
    if RECEIPTS in request.metadata:
        raise InvalidError.field(f"metadata/{RECEIPTS}", "reserved_key", "This key is ours.")
    if request.content_type == "text":
        if not content or not content.strip():
            raise InvalidError.field("content", "blank", "A text message needs content.")
        return
    if request.media_url is None and request.media_id is None:
        raise InvalidError.field(
            "media_url", "missing", "A media message needs media_url or media_id."
        )
    if request.media_url is not None and request.media_id is not None:
        raise InvalidError.field("media_id", "ambiguous", "Give media_url or media_id, not both.")
    if content is not None and len(content) > MAX_CAPTION:
        raise InvalidError.field(
            "content", "too_long", f"A caption has at most {MAX_CAPTION} characters."
        )


def _url(request: SendMessage) -> str | None:
    return str(request.media_url) if request.media_url else None


async def _replied(tx: Transaction, request: SendMessage) -> Message | None:
    if request.reply_to_id is None:
        return None
    try:
        replied = await repository.get(tx, request.reply_to_id)
    except NotFoundError:
        replied = None
    # What one customer wrote is not for another to read in a quote.
    if replied is None or (replied.channel_id, replied.contact_id) != (
        request.channel_id,
        request.contact_id,
    ):
        raise InvalidError.field(
            "reply_to_id", "unknown_message", "There is no such message in this conversation."
        )
    return replied
