"""The ledger's part of journeys (docs/architecture.md, "Journeys")."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.rows import Shape
from shared_events import bounds
from shared_events.channels.journey import ListChannelLegs
from shared_events.journeys import Leg, Legs, MessageHop, Wait
from shared_events.services import CHANNELS

from crm_channels_waha.outbound.holding import Hold, Holds, holds_by_channel
from crm_channels_waha.outbound.ledger import MESSAGES, OPEN_STATES
from crm_channels_waha.outbound.models import OutboundMessage

# What stands before an entry in its chat is asked of entries that wait alone. States are written
# out: the index of open entries serves a statement that names them.
_ENTRIES = """
SELECT entry.*, before.message_id AS behind, channel.status AS channel_status
FROM unnest($1::uuid[]) AS wanted(message_id)
CROSS JOIN LATERAL (
    SELECT * FROM outbound_messages
    WHERE message_id = wanted.message_id AND tenant_id = $2 LIMIT 1) AS entry
LEFT JOIN LATERAL (
    SELECT coalesce(target_id, message_id) AS message_id FROM outbound_messages
    WHERE channel_id = entry.channel_id AND chat_id = entry.chat_id AND tenant_id = $2
        AND state IN ('pending', 'sending', 'unknown') AND seq < entry.seq
    ORDER BY seq LIMIT 1) AS before ON entry.state = 'pending'
LEFT JOIN LATERAL (
    SELECT status FROM channels
    WHERE id = entry.channel_id AND tenant_id = $2 AND deleted_at IS NULL LIMIT 1
) AS channel ON true
"""


@dataclass(frozen=True, slots=True)
class _Place:
    behind: UUID | None
    channel_status: str | None


_PLACES = Shape(_Place)


async def list_legs(tx: Transaction, request: ListChannelLegs, call: Call) -> Legs:
    """What became of each message that is in the ledger, and what it waits for there."""
    del call
    found = await tx.fetch(_ENTRIES, request.message_ids, tx.tenant_id)
    entries = [(MESSAGES.value(one), _PLACES.value(one)) for one in found]
    holds = await _holds(tx, [row for row, _ in entries])
    return Legs(data=[_leg(row, place, holds.get(row.message_id)) for row, place in entries])


async def _holds(tx: Transaction, rows: Sequence[OutboundMessage]) -> dict[UUID, Hold]:
    """What holds back those that may be held; most may not, and cost nothing."""
    waiting = [row for row in rows if row.state == "pending" and (row.bulk or not row.proved)]
    holds = await holds_by_channel(tx, {row.channel_id for row in waiting})
    found = [(row, holds.get(row.channel_id, Holds()).on(row)) for row in waiting]
    return {row.message_id: hold for row, hold in found if hold is not None}


def _leg(row: OutboundMessage, place: _Place, hold: Hold | None) -> Leg:
    behind = {"behind": place.behind} if place.behind else {}
    hops = [_hop("entered", row.created_at, **behind)]
    if row.sending_at is not None:
        hops.append(_hop("asked", row.sending_at, attempts=row.attempts))
    if row.state in OPEN_STATES:
        return Leg(message_id=row.message_id, hops=hops, waiting_for=_wait(row, place, hold))
    answer = {"state": row.state, "external_id": row.external_id, "reason": row.reason}
    hops.append(_hop("answered", row.updated_at, **answer))
    return Leg(message_id=row.message_id, hops=hops)


def _hop(what: str, at: datetime, **detail: Any) -> MessageHop:
    return MessageHop(service=CHANNELS.name, what=what, at=at, detail=detail)


def _wait(row: OutboundMessage, place: _Place, hold: Hold | None) -> Wait:
    """What an open entry waits for: an earlier one, the channel, its time, or WhatsApp."""
    what, reason, next_at = "sender", row.reason, row.next_attempt_at
    if row.state != "pending":
        what = "answer" if row.state == "sending" else "proof"
    elif place.behind is not None:
        what = "turn"
    elif place.channel_status != "connected":
        what, reason = "channel", reason or place.channel_status or "deleted"
    elif hold is not None:
        what, next_at = hold.reason, hold.until
    elif reason is not None:
        what = "retry"
    left = row.sending_at if row.state != "pending" else None
    return Wait(
        service=CHANNELS.name,
        what=what,
        since=left or row.created_at,
        next_at=next_at,
        reason=reason and reason[: bounds.limit(bounds.Reason)],
    )
