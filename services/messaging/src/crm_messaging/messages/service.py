"""Sending a message to a contact, or into a group."""

from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError, NotFoundError
from service_kit.ids import uuid7
from service_kit.media_links import reference
from shared_events.messaging.message import Message, MessageQueued, SendMessage
from shared_events.messaging.session import SessionStarted, SessionSummary

from crm_messaging.consent import asking as consent
from crm_messaging.conversations import repository as conversations
from crm_messaging.conversations.models import Conversation
from crm_messaging.messages import content, recipients, repository
from crm_messaging.messages.placing import placed_at
from crm_messaging.messages.recipients import Recipient
from crm_messaging.messages.scheduled import repository as scheduled
from crm_messaging.messages.scheduled import service as scheduling
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.repository import KnownChannel
from crm_messaging.sessions import repository as sessions
from crm_messaging.sessions.waiting import talk


async def send(
    tx: Transaction,
    request: SendMessage,
    sent_by: UUID | None,
    correlation_id: str | None = None,
) -> Message:
    """Queue a message, or keep it until its `send_at`; `correlation_id` is then what asked for it.

    Raises InvalidError for what does not fit together, NotFoundError for a missing contact,
    conversation or channel, ConflictError `contact_opted_out`, `contact_is_group`, `groups_are_off`
    or `conversation_unreachable`, and when it is queued the others of `queue`.
    """
    content.check(request)
    conversation = await recipients.named(tx, request)
    scheduling.check_times(request.send_at, request.expires_at)
    contact_id = conversation.contact_id if conversation else request.to_contact
    if contact_id is None:
        return await _into_group(tx, request, sent_by, conversation, correlation_id)
    message = draft(request, contact_id, sent_by)
    if request.send_at is None:
        return await queue(tx, message, fail_if_offline=request.fail_if_offline)
    person = await people.get_contact(tx, message.contact_id)
    await replicas.get_channel(tx, message.channel_id)
    await consent.check(tx, person.contact_id, message.channel_id)
    await recipients.identities_of(tx, person.contact_id)
    await _replied(tx, message, person.contact_id)
    return await _keep(tx, message, request, correlation_id)


async def _keep(
    tx: Transaction, message: Message, request: SendMessage, correlation_id: str | None
) -> Message:
    """Let it wait for its time."""
    await scheduled.insert(
        tx, message, fail_if_offline=request.fail_if_offline, correlation_id=correlation_id
    )
    return message


async def _into_group(
    tx: Transaction,
    request: SendMessage,
    sent_by: UUID | None,
    conversation: Conversation | None,
    correlation_id: str | None,
) -> Message:
    if conversation is None or not conversation.is_group:
        raise ConflictError("conversation_unreachable", "The conversation has no contact.")
    is_offline_now = request.fail_if_offline and request.send_at is None
    channel = await _open_channel(tx, request.channel_id, fail_if_offline=is_offline_now)
    recipient = await recipients.group(tx, conversation, channel)
    message = draft(request, recipient.whose.contact_id, sent_by, group=conversation.id)
    if request.send_at is None:
        return await _queue(tx, message, channel, recipient)
    await _replied(tx, message, message.contact_id, recipient)
    return await _keep(tx, message, request, correlation_id)


def draft(
    request: SendMessage,
    contact_id: UUID,
    sent_by: UUID | None,
    message_id: UUID | None = None,
    group: UUID | None = None,
) -> Message:
    """The message, without what it gets when it is queued: session, place and time.

    One into a `group` knows its conversation from the beginning.
    """
    now = datetime.now(UTC)
    return Message(
        id=message_id or uuid7(),
        contact_id=contact_id,
        conversation_id=group,
        channel_id=request.channel_id,
        direction="outbound",
        origin="agent",
        content_type=request.content_type,
        content=content.text_of(request),
        media_id=request.media_id,
        media_url=reference(request.media_id) if request.media_id else _url(request),
        media_mime_type=request.media_mime_type,
        reply_to_id=request.reply_to_id,
        metadata={**request.metadata, **content.details_of(request)},
        status="scheduled",
        sent_by=sent_by,
        send_at=request.send_at,
        expires_at=request.expires_at,
        seq=0,
        created_at=now,
        updated_at=now,
    )


async def queue(
    tx: Transaction, draft: Message, *, fail_if_offline: bool, bulk: bool = False
) -> Message:
    """Queue a message: stored and told of in one transaction; nobody waits for WhatsApp.

    One of a `bulk` send lets what people write go first.

    A draft that knows its conversation goes into that group.

    Raises InvalidError for an answer to what is not in the conversation, NotFoundError for a
    missing contact or channel, and ConflictError: `expired`, `contact_opted_out`,
    `contact_is_group`, `contact_unreachable` for a contact that WhatsApp does not know,
    `groups_are_off`, and where that is asked for `channel_not_connected`.
    """
    if draft.expires_at is not None and draft.expires_at <= datetime.now(UTC):
        raise ConflictError("expired", "It was not sent before its expires_at.")
    channel = await _open_channel(tx, draft.channel_id, fail_if_offline=fail_if_offline)
    if draft.conversation_id is None:
        recipient = await recipients.person(tx, draft.contact_id, channel)
    else:
        conversation = await conversations.get(tx, draft.conversation_id)
        recipient = await recipients.group(tx, conversation, channel)
    return await _queue(tx, draft, channel, recipient, bulk=bulk)


async def _open_channel(
    tx: Transaction, channel_id: UUID, *, fail_if_offline: bool
) -> KnownChannel:
    channel = await replicas.get_channel(tx, channel_id)
    if fail_if_offline and not channel.online:
        raise ConflictError("channel_not_connected", "The channel is not connected.")
    return channel


async def _queue(
    tx: Transaction,
    draft: Message,
    channel: KnownChannel,
    recipient: Recipient,
    *,
    bulk: bool = False,
) -> Message:
    contact, chat_id = replicas.summary(recipient.whose), recipient.chat_id
    replied = await _replied(tx, draft, contact.id, recipient)
    now = datetime.now(UTC)
    opening = sessions.Opening(
        tenant_id=tx.tenant_id,
        channel_id=channel.summary.id,
        contact_id=contact.id,
        chat_id=chat_id,
        opened_by="agent",
        timeout_seconds=channel.session_timeout_seconds,
        messages=1,
        talk=talk([("outbound", placed_at(None, now))]),
        conversation_id=recipient.conversation_id if recipient.is_group else None,
    )
    (joined,) = (await sessions.join(tx, [opening])).values()
    session = joined.session
    if joined.opened:
        started = SessionStarted(session=session, contact=contact, channel=channel.summary)
        tx.outbox.add(started, session.id)
        await replicas.wake_assigner(tx, [tx.tenant_id])
    turn = conversations.Turn(
        id=recipient.conversation_id,
        tenant_id=tx.tenant_id,
        channel_id=channel.summary.id,
        contact_id=None if recipient.is_group else contact.id,
        chat_id=chat_id if recipient.is_group else None,
        messages=1,
        unread=0,
        answered=1,
        session=session,
    )
    said = await conversations.say(tx, [turn])
    queued_as = {
        "contact_id": contact.id,
        "session_id": session.id,
        "conversation_id": turn.id,
        "status": "queued",
        "seq": said[turn.id],
        "created_at": now,
        "updated_at": now,
    }
    message = draft.model_copy(update=queued_as)
    await repository.insert(tx, [repository.Said(tx.tenant_id, message, chat_id)])
    queued = MessageQueued(
        message=message,
        contact=contact,
        session=SessionSummary(id=session.id, status=session.status),
        channel=channel.summary,
        to=chat_id,
        proved=recipient.proved,
        bulk=bulk,
        reply_to_external_id=replied.external_id if replied else None,
    )
    tx.outbox.add(queued, session.id)
    return message


def _url(request: SendMessage) -> str | None:
    return str(request.media_url) if request.media_url else None


async def _replied(
    tx: Transaction, draft: Message, contact_id: UUID, recipient: Recipient | None = None
) -> Message | None:
    if draft.reply_to_id is None:
        return None
    try:
        replied = await repository.get(tx, draft.reply_to_id)
    except NotFoundError:
        replied = None
    # What one customer wrote, or said in a group, is not for another to read in a quote.
    if replied is None or not await _stands_with(tx, replied, draft, contact_id, recipient):
        raise InvalidError.field(
            "reply_to_id", "unknown_message", "There is no such message in this conversation."
        )
    return replied


async def _stands_with(
    tx: Transaction,
    replied: Message,
    draft: Message,
    contact_id: UUID,
    recipient: Recipient | None,
) -> bool:
    if recipient is not None and recipient.is_group:
        return replied.conversation_id == recipient.conversation_id
    if (replied.channel_id, replied.contact_id) != (draft.channel_id, contact_id):
        return False
    # A merged contact may have several conversations: any that is no group's will do.
    stands_in = replied.conversation_id
    return stands_in is None or not (await conversations.get(tx, stands_in)).is_group
