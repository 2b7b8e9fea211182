"""The ledger's entries and their state: every change tells its event in the same transaction.

A send is written down before it leaves and settled once: every change is conditional on the state
it starts from, so the answer, the echo and a restart may come in any order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.rows import Rows, Shape
from shared_events.channels.traffic import (
    ChannelChangeFailed,
    ChannelMessageFailed,
    ChannelMessageSent,
)
from shared_events.identity import conversation_id
from shared_events.messaging.message import ChangeKind

from crm_channels_waha.channels.waking import wake
from crm_channels_waha.outbound.holding import Holds
from crm_channels_waha.outbound.models import OutboundMessage

OUTCOME_UNKNOWN = "outcome_unknown"

MESSAGES = Rows(OutboundMessage)
_SENT = """
UPDATE outbound_messages SET state = 'sent', external_id = coalesce($2, external_id),
    next_attempt_at = NULL, reason = NULL, updated_at = now()
WHERE message_id = $1 AND (state = ANY($3::text[]) OR (state = 'sent' AND external_id IS NULL
    AND $2::text IS NOT NULL))
RETURNING *
"""
# The oldest open message of each chat, then the first of these to be due: those that are due now
# in order of their arrival, what people wrote before what is sent in bulk, before those that wait.
# What is held (`holding`) is nobody's turn: the rest of its chat goes before it.
_NEXT = """
SELECT *, greatest(extract(epoch FROM due_at - now()), 0)::float8 AS due_in FROM (
    SELECT DISTINCT ON (chat_id) *, greatest(next_attempt_at, held_until) AS due_at FROM (
        SELECT *, CASE WHEN state <> 'pending' OR target_id IS NOT NULL THEN NULL
            WHEN bulk THEN $2::timestamptz WHEN NOT proved THEN $3::timestamptz END AS held_until
        FROM outbound_messages
        WHERE channel_id = $1 AND state IN ('pending', 'sending', 'unknown')
    ) AS open
    ORDER BY chat_id, coalesce(held_until > now(), false), seq
) AS head
ORDER BY greatest(due_at, now()), bulk, seq
LIMIT 1
"""
_CANCEL = """
UPDATE outbound_messages SET state = 'failed', next_attempt_at = NULL, updated_at = now()
WHERE tenant_id = $1 AND chat_id = ANY($2::text[]) AND state IN ('pending', 'unknown')
RETURNING *
"""
OPEN_STATES = ("pending", "sending", "unknown")


@dataclass(frozen=True, slots=True)
class Next:
    """What to attend to next, and in how many seconds."""

    message: OutboundMessage
    due_in: float


@dataclass(frozen=True, slots=True)
class _Due:
    due_in: float


_DUE = Shape(_Due)


async def enter(tx: Transaction, messages: Sequence[OutboundMessage]) -> None:
    """Owe these messages, in this order; known ones change nothing. Wakes their senders."""
    await MESSAGES.insert(tx, messages, unless="(message_id)")
    await wake(tx, {message.channel_id for message in messages})


async def next_message(
    tx: Transaction, channel_id: UUID, holds: Holds | None = None
) -> Next | None:
    """What to attend to next on a channel that holds this."""
    ends = [hold and hold.until for hold in (holds.bulk, holds.strangers)] if holds else [None] * 2
    found = await tx.fetchrow(_NEXT, channel_id, *ends)
    return None if found is None else Next(MESSAGES.value(found), _DUE.value(found).due_in)


async def recover(tx: Transaction, channel_id: UUID, wait_seconds: float) -> None:
    """What another process was sending when it ended may have been sent: it is unknown."""
    await tx.execute(
        "UPDATE outbound_messages SET state = 'unknown', reason = 'interrupted',"
        " next_attempt_at = now() + make_interval(secs => $2), updated_at = now()"
        " WHERE channel_id = $1 AND state = 'sending'",
        channel_id,
        wait_seconds,
    )


async def distrust(tx: Transaction) -> int:
    """Whatever is owed may have been sent: for the scope `send`; returns how many entries."""
    return await tx.execute(
        "UPDATE outbound_messages SET state = 'unknown', reason = 'restored', failures = 0,"
        " sending_at = coalesce(sending_at, created_at), next_attempt_at = now(),"
        " updated_at = now() WHERE state IN ('pending', 'sending')"
    )


async def may_have_left(tx: Transaction, message_id: UUID) -> bool:
    """Whether a request for it was made whose outcome is not known; locked until the commit."""
    state = await tx.fetchval(
        "SELECT state FROM outbound_messages WHERE message_id = $1 FOR UPDATE", message_id
    )
    return state in ("sending", "unknown")


async def mark_sending(
    tx: Transaction, message_id: UUID, external_id: str | None, address: str | None = None
) -> bool:
    """Write down that the request leaves now; False when it is not ours to send any more.

    `address` is the chat it goes to where that is not the one it was queued for.
    """
    touched = await tx.execute(
        "UPDATE outbound_messages SET state = 'sending', sending_at = now(),"
        " attempts = attempts + 1, external_id = coalesce(external_id, $2),"
        " address = coalesce($3, address), updated_at = now()"
        " WHERE message_id = $1 AND state = 'pending'",
        message_id,
        external_id,
        address,
    )
    return touched == 1


async def name_target(
    tx: Transaction, row: OutboundMessage, external_id: str, address: str | None
) -> OutboundMessage:
    """Write down where a change goes: WhatsApp's id of its message, by which its echo is known,
    and the chat that message was sent to."""
    named = row.model_copy(update={"target_external_id": external_id, "address": address})
    if (row.target_external_id, row.address) != (external_id, address):
        await MESSAGES.update(tx, [named], "target_external_id", "address")
    return named


async def find(tx: Transaction, message_id: UUID | None) -> OutboundMessage | None:
    """The entry of a message, or None."""
    return await MESSAGES.first(
        tx, "SELECT * FROM outbound_messages WHERE message_id = $1", message_id
    )


async def mark_sent(tx: Transaction, message_id: UUID, external_id: str | None) -> bool:
    """WhatsApp has it. Told once; again only when a missing id is found. False if nothing new."""
    row = await MESSAGES.first(tx, _SENT, message_id, external_id, list(OPEN_STATES))
    if row is not None and row.target_id is None:
        tell_sent(tx, row, row.external_id, at=datetime.now(UTC), cause=cause_of(row))
    return row is not None


def tell_sent(
    tx: Transaction,
    row: OutboundMessage,
    external_id: str | None,
    *,
    at: datetime,
    cause: Cause,
) -> None:
    """Say that a message was sent, under which id if that is known."""
    tx.outbox.add(
        ChannelMessageSent(
            channel_id=row.channel_id,
            message_id=row.message_id,
            external_id=external_id,
            sent_at=at,
        ),
        conversation_id(row.channel_id, row.chat_id),
        tenant_id=row.tenant_id,
        cause=cause,
    )


async def mark_failed(tx: Transaction, message_id: UUID, code: str, reason: str) -> None:
    """It will not be sent (or, with OUTCOME_UNKNOWN, nobody knows and it is not tried again)."""
    row = await MESSAGES.first(
        tx,
        "UPDATE outbound_messages SET state = 'failed', reason = $2, next_attempt_at = NULL,"
        " updated_at = now() WHERE message_id = $1 AND state = ANY($3::text[]) RETURNING *",
        message_id,
        f"{code}: {reason}",
        list(OPEN_STATES),
    )
    if row is not None:
        tell_failed(tx, row, code, reason)


def tell_failed(tx: Transaction, row: OutboundMessage, code: str, reason: str) -> None:
    """Say that a message, or a change of one, will not be sent."""
    aggregate = conversation_id(row.channel_id, row.chat_id)
    event = _failure(row, code, reason)
    tx.outbox.add(event, aggregate, tenant_id=row.tenant_id, cause=cause_of(row))


async def cancel(tx: Transaction, tenant_id: str, chats: Sequence[str]) -> int:
    """Nothing more is sent to these chats, and it is told of each; returns how many those are."""
    rows = await MESSAGES.find(tx, _CANCEL, tenant_id, list(chats))
    for row in rows:
        event = _failure(row, "erased", "The contact was erased.")
        tx.outbox.add(event, conversation_id(row.channel_id, row.chat_id), cause=cause_of(row))
    return len(rows)


def _failure(
    row: OutboundMessage, code: str, reason: str
) -> ChannelMessageFailed | ChannelChangeFailed:
    at, channel_id = datetime.now(UTC), row.channel_id
    if row.target_id is None:
        return ChannelMessageFailed(
            channel_id=channel_id,
            message_id=row.message_id,
            code=code,
            reason=reason,
            failed_at=at,
        )
    return ChannelChangeFailed(
        channel_id=channel_id,
        message_id=row.target_id,
        change_id=row.message_id,
        change=cast(ChangeKind, row.content_type),
        code=code,
        reason=reason,
        failed_at=at,
    )


async def mark_waiting(
    tx: Transaction,
    message_id: UUID,
    state: str,
    wait_seconds: float,
    reason: str,
    *,
    failures: int = 0,
) -> None:
    """Leave it `pending` or `unknown` for so long; its chat's later messages wait behind it."""
    await tx.execute(
        "UPDATE outbound_messages SET state = $2, reason = $4, failures = failures + $5,"
        " next_attempt_at = now() + make_interval(secs => $3), updated_at = now()"
        " WHERE message_id = $1 AND state = ANY($6::text[])",
        message_id,
        state,
        wait_seconds,
        reason,
        failures,
        list(OPEN_STATES),
    )


async def known_ids(tx: Transaction, channel_id: UUID, external_ids: Sequence[str]) -> set[str]:
    """Those of the bare ids that are messages we sent."""
    rows = await MESSAGES.find(
        tx,
        "SELECT * FROM outbound_messages WHERE channel_id = $1 AND external_id = ANY($2::text[])",
        channel_id,
        list(external_ids),
    )
    return {row.external_id for row in rows if row.external_id is not None}


def was_never_sent(row: OutboundMessage) -> bool:
    """Whether it is certain that WhatsApp does not have it, and never will."""
    return row.state == "failed" and not (row.reason or "").startswith(OUTCOME_UNKNOWN)


def cause_of(row: OutboundMessage) -> Cause:
    """Why a message is sent: the request that queued it."""
    return Cause(row.correlation_id, row.causation_id, row.trace_context)
