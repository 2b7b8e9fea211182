"""SQL of messages that wait for their time."""

from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events.messaging.message import Message

from crm_messaging.messages.scheduled.models import ScheduledMessage

WAKE = "messaging_scheduled"
"""NOTIFY channel: something may be due earlier than it was."""

SCHEDULED = Rows(ScheduledMessage)
_FIND = "SELECT * FROM scheduled_messages WHERE id = $1 AND tenant_id = $2"
_CHANGED = ("content", "send_at", "status", "failed_at", "failure_reason", "version", "updated_at")
_SHOWN = tuple(
    name
    for name in Message.model_fields
    if name in ScheduledMessage.model_fields and name != "metadata"
)


def resource(row: ScheduledMessage) -> Message:
    """A row as customers see it: a message without a session and a place."""
    shown: dict[str, Any] = {name: getattr(row, name) for name in _SHOWN}
    ours = {"direction": "outbound", "origin": "agent", "seq": 0, "metadata": row.metadata_}
    return Message.model_validate({**shown, **ours})


def _row_of(tx: Transaction, message: Message, **beside: Any) -> ScheduledMessage:
    shown: dict[str, Any] = {name: getattr(message, name) for name in _SHOWN}
    return ScheduledMessage.model_construct(
        **shown, metadata_=message.metadata, tenant_id=tx.tenant_id, **beside
    )


async def insert(tx: Transaction, message: Message, **beside: Any) -> None:
    """Keep a message until its time, and wake who sends it then.

    `beside` are the columns that are no fields of it: `fail_if_offline`, `correlation_id`.
    """
    await SCHEDULED.insert(tx, [_row_of(tx, message, **beside)])
    await _wake(tx)


async def save(tx: Transaction, message: Message) -> None:
    """Store what was changed of it, and wake who sends it; its lock is held."""
    await SCHEDULED.update(tx, [_row_of(tx, message)], *_CHANGED)
    await _wake(tx)


async def _wake(tx: Transaction) -> None:
    await tx.execute("SELECT pg_notify($1, '')", WAKE)


async def find(tx: Transaction, message_id: UUID) -> Message | None:
    """A message that is not queued, whether it waits or was cancelled."""
    row = await SCHEDULED.first(tx, _FIND, message_id, tx.tenant_id)
    return None if row is None else resource(row)


async def lock(tx: Transaction, message_id: UUID) -> Message | None:
    """The same, nobody changing or queueing it until the commit."""
    row = await SCHEDULED.first(tx, f"{_FIND} FOR UPDATE", message_id, tx.tenant_id)
    return None if row is None else resource(row)


async def take(tx: Transaction, message_id: UUID) -> ScheduledMessage | None:
    """Take a message whose time has come: it waits no longer. None when it does not wait."""
    return await SCHEDULED.first(
        tx,
        "DELETE FROM scheduled_messages WHERE id = $1 AND tenant_id = $2"
        " AND status = 'scheduled' AND send_at <= now() RETURNING *",
        message_id,
        tx.tenant_id,
    )


async def remove(tx: Transaction, message_id: UUID) -> None:
    """A message does not wait here any more; its lock is held."""
    delete = "DELETE FROM scheduled_messages WHERE id = $1 AND tenant_id = $2"
    await tx.execute(delete, message_id, tx.tenant_id)
