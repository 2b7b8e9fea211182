"""Messages that wait for their time: kept, changed and cancelled until they are queued."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ExpectedVersion,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.messaging.message import Message

from crm_messaging.messages import content
from crm_messaging.messages import repository as messages
from crm_messaging.messages.scheduled import repository

FURTHEST = timedelta(days=90)


def check_times(send_at: datetime | None, expires_at: datetime | None) -> None:
    """Raises InvalidError for times that have passed, are too far ahead, or the wrong way round."""
    if send_at is not None:
        _check_send_at(send_at)
    if expires_at is not None and expires_at <= (send_at or datetime.now(UTC)):
        code = "not_in_future" if send_at is None else "before_send_at"
        raise InvalidError.field("expires_at", code, "It would expire before it is sent.")


def _check_send_at(send_at: datetime) -> None:
    ahead = send_at - datetime.now(UTC)
    if ahead <= timedelta():
        raise InvalidError.field("send_at", "not_in_future", "This time has passed.")
    if ahead > FURTHEST:
        raise InvalidError.field("send_at", "too_far_ahead", "At most 90 days ahead.")


async def edit(tx: Transaction, message: Message, text: str, send_at: datetime | None) -> Message:
    """Change what a message that waits will say, or when; its lock is held. What is empty stays.

    Raises InvalidError for a text or a time that does not do, and ConflictError: `not_scheduled`
    (it was cancelled, or could not be queued) or `not_editable`.
    """
    if message.status != "scheduled":
        raise ConflictError("not_scheduled", "The message does not wait to be sent.")
    if send_at is not None:
        check_times(send_at, message.expires_at)
    if text:
        content.check_edit(message, text)
    update = {"content": text or message.content, "send_at": send_at or message.send_at}
    if all(getattr(message, name) == value for name, value in update.items()):
        return message
    return await _save(tx, message, **update)


async def cancel(tx: Transaction, message: Message) -> None:
    """Keep a message from being sent; its lock is held. A second time is nothing.

    Raises ConflictError `not_scheduled` for one that could not be queued.
    """
    if message.status == "cancelled":
        return
    if message.status != "scheduled":
        raise ConflictError("not_scheduled", "The message does not wait to be sent.")
    await _save(tx, message, status="cancelled")


async def fail(tx: Transaction, message: Message, reason: str) -> None:
    """Its time came and it could not be queued; its lock is held."""
    await _save(tx, message, status="failed", failed_at=datetime.now(UTC), failure_reason=reason)


async def _save(tx: Transaction, message: Message, **update: object) -> Message:
    changed = {**update, "version": message.version + 1, "updated_at": datetime.now(UTC)}
    message = message.model_copy(update=changed)
    await repository.save(tx, message)
    return message


async def locked(
    tx: Transaction, message_id: UUID, expected_version: ExpectedVersion
) -> Message | None:
    """A message that was not queued so far, nobody else changing it; None when there is none.

    Raises PreconditionFailedError for another version than the caller expects.
    """
    message = await repository.lock(tx, message_id)
    if message is not None:
        PreconditionFailedError.check(expected_version, message.version)
    return message


async def get(tx: Transaction, message_id: UUID) -> Message:
    """A message, whether it waits or was queued; NotFoundError when there is none."""
    try:
        return await messages.get(tx, message_id)
    except NotFoundError:
        waiting = await repository.find(tx, message_id)
    # Between the two looks it may have been queued.
    return waiting or await messages.get(tx, message_id)
