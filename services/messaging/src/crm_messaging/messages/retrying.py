"""Queueing a message that failed once more, if it is certain that WhatsApp does not have it."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, NotFoundError, PreconditionFailedError
from shared_events.messaging.message import Message, MessageQueued, RetryMessage

from crm_messaging import visibility
from crm_messaging.consent import asking as consent
from crm_messaging.messages import recipients, repository
from crm_messaging.messages.changes.changing import OUTCOME_UNKNOWN
from crm_messaging.messages.repository import MESSAGES, Said, row_of
from crm_messaging.messages.scheduled import repository as scheduled
from crm_messaging.messages.scheduled import service as scheduling
from crm_messaging.messages.service import queue
from crm_messaging.replicas import people
from crm_messaging.replicas import repository as replicas

_CHANGED = ("status", "failed_at", "failure_reason", "expires_at", "version", "updated_at")


async def retry_message(tx: Transaction, request: RetryMessage, call: Call) -> Message:
    """Queue it under the same id and in the same place; it expires no more.

    Raises NotFoundError for a missing message, contact or channel, PreconditionFailedError, and
    ConflictError: `not_failed`, `outcome_unknown`, `message_revoked`, `contact_opted_out`,
    `groups_are_off`, and for one that could not be queued at its time what `queue` raises.
    """
    await visibility.check(tx, "message", request.message_id, call)
    waiting = await scheduling.locked(tx, request.message_id, call.expected_version)
    if waiting is not None:
        _refuse(waiting)
        await scheduled.remove(tx, waiting.id)
        return await queue(tx, _anew(waiting), fail_if_offline=False)
    found = await repository.lock(tx, [(tx.tenant_id, request.message_id)])
    if request.message_id not in found:
        raise NotFoundError("message")
    stored = found[request.message_id]
    PreconditionFailedError.check(call.expected_version, stored.message.version)
    _refuse(stored.message)
    person = await people.get_contact(tx, stored.message.contact_id)
    channel = await replicas.get_channel(tx, stored.message.channel_id)
    if stored.in_group:
        recipients.check_groups(channel)
    await consent.check(tx, person.contact_id, stored.message.channel_id)
    message = _anew(stored.message)
    await MESSAGES.update(tx, [row_of(Said(stored.tenant_id, message, stored.chat_id))], *_CHANGED)
    queued = MessageQueued(
        message=message,
        contact=stored.conversation.contact,
        session=stored.conversation.session,
        channel=stored.conversation.channel,
        to=stored.chat_id,
        reply_to_external_id=await _replied(tx, message),
    )
    tx.outbox.add(queued, stored.conversation.session.id)
    return message


def _anew(message: Message) -> Message:
    changes = {
        "status": "queued",
        **dict.fromkeys(("failed_at", "failure_reason", "expires_at")),
        "version": message.version + 1,
        "updated_at": datetime.now(UTC),
    }
    return message.model_copy(update=changes)


def _refuse(message: Message) -> None:
    if message.revoked_at is not None:
        raise ConflictError("message_revoked", "The message was taken back.")
    if message.direction != "outbound" or message.status != "failed":
        raise ConflictError("not_failed", "Only a message of ours that failed is sent once more.")
    seen = message.external_id is not None or message.sent_at is not None
    if seen or (message.failure_reason or "").startswith(OUTCOME_UNKNOWN):
        raise ConflictError("outcome_unknown", "WhatsApp may have it: it could arrive twice.")


async def _replied(tx: Transaction, message: Message) -> str | None:
    if message.reply_to_id is None:
        return None
    return (await repository.get(tx, message.reply_to_id)).external_id
