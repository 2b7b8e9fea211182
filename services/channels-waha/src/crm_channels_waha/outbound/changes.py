"""Changes in the ledger: asking for them, cancelling what waits, recognising their echoes.

Like a message, a change is written down before it is tried and has its turn in its chat's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.rows import Shape
from shared_events.channels.traffic import ChannelMessageFailed
from shared_events.identity import conversation_id
from shared_events.messaging.message import ChangeKind

from crm_channels_waha.channels.waking import wake
from crm_channels_waha.outbound import ledger
from crm_channels_waha.outbound.ledger import MESSAGES
from crm_channels_waha.outbound.models import OutboundMessage

CANCELLED = "cancelled"
TAKEN_BACK = "It was taken back before it was sent."
_ECHOED = "echoed"
"""The reason of a change whose echo came: the next like it is somebody else's."""

# LATERAL with a LIMIT, as in `echoes`: no statistics can talk the planner into a scan.
_WAITING = """
SELECT o.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, message_id)
CROSS JOIN LATERAL (SELECT * FROM outbound_messages
    WHERE message_id = k.message_id AND tenant_id = k.tenant_id LIMIT 1 FOR UPDATE) AS o
WHERE o.state = 'pending'
"""
_CANCEL = """
UPDATE outbound_messages SET state = 'failed', reason = $3, next_attempt_at = NULL,
    updated_at = now() WHERE tenant_id = $1 AND seq = $2
"""
_ALIKE = """
SELECT e.place, o.tenant_id, o.seq, o.channel_id
FROM unnest($1::int[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[])
    AS e(place, tenant_id, channel_id, external_id, kind, content)
CROSS JOIN LATERAL (
    SELECT tenant_id, seq, channel_id FROM outbound_messages
    WHERE channel_id = e.channel_id AND target_external_id = e.external_id
        AND tenant_id = e.tenant_id AND content_type = e.kind AND coalesce(content, '') = e.content
        AND state IN ('sending', 'unknown', 'sent') AND reason IS DISTINCT FROM 'echoed'
    ORDER BY seq LIMIT 1 FOR UPDATE) AS o
"""
_CONFIRM = """
UPDATE outbound_messages SET state = 'sent', reason = $3, next_attempt_at = NULL,
    updated_at = now() WHERE tenant_id = $1 AND seq = $2
"""


@dataclass(frozen=True, slots=True)
class ChangeSeen:
    """A change by our own number, as WhatsApp told of it; `place` is its place in the batch."""

    place: int
    tenant_id: str
    channel_id: UUID
    external_id: str
    kind: ChangeKind
    content: str


@dataclass(frozen=True, slots=True)
class _Ours:
    place: int
    tenant_id: str
    seq: int
    channel_id: UUID


_OURS = Shape(_Ours)


async def enter(
    tx: Transaction, changes: Sequence[OutboundMessage], causes: dict[UUID, Cause]
) -> None:
    """Owe these changes. A deletion of what waits to be sent cancels it, and that is all.

    `causes` are those of the requests, by their ids.
    """
    deletions = {_target(c): c for c in changes if c.content_type == "revoke"}
    waiting = await _waiting(tx, list(deletions.values())) if deletions else []
    for row in waiting:
        deletion = deletions[row.tenant_id, row.message_id]
        _tell_cancelled(tx, row, causes[deletion.message_id])
    if waiting:
        await tx.connection.executemany(
            _CANCEL, [(row.tenant_id, row.seq, CANCELLED) for row in waiting]
        )
    cancelled = {(row.tenant_id, row.message_id) for row in waiting}
    owed = [c for c in changes if _target(c) not in cancelled]
    await ledger.enter(tx, owed)
    await wake(tx, {row.channel_id for row in waiting})


async def is_taken_back(tx: Transaction, row: OutboundMessage) -> bool:
    """Whether a message that did not leave was deleted meanwhile: it is not to be tried again."""
    deletion = await tx.fetchval(
        "SELECT 1 FROM outbound_messages WHERE channel_id = $1 AND chat_id = $2 AND tenant_id = $3"
        " AND target_id = $4 AND content_type = 'revoke' AND state = 'pending' LIMIT 1",
        row.channel_id,
        row.chat_id,
        row.tenant_id,
        row.message_id,
    )
    return deletion is not None


def _target(change: OutboundMessage) -> tuple[str, UUID | None]:
    return change.tenant_id, change.target_id


async def _waiting(tx: Transaction, deletions: Sequence[OutboundMessage]) -> list[OutboundMessage]:
    """Those of the messages to delete that have not left; locked until the commit."""
    wanted = sorted((c.tenant_id, c.target_id) for c in deletions if c.target_id is not None)
    return await MESSAGES.find(tx, _WAITING, [t for t, _ in wanted], [id_ for _, id_ in wanted])


def _tell_cancelled(tx: Transaction, row: OutboundMessage, cause: Cause) -> None:
    event = ChannelMessageFailed(
        channel_id=row.channel_id,
        message_id=row.message_id,
        code=CANCELLED,
        reason=TAKEN_BACK,
        failed_at=datetime.now(UTC),
    )
    aggregate = conversation_id(row.channel_id, row.chat_id)
    tx.outbox.add(event, aggregate, tenant_id=row.tenant_id, cause=cause)


async def confirm(tx: Transaction, seen: Sequence[ChangeSeen]) -> set[int]:
    """Settle the changes of ours that these prove; returns the places of those that are ours.

    Each of ours is recognised once: the same again was done on the phone.
    """
    if not seen:
        return set()
    columns = zip(
        *((s.place, s.tenant_id, s.channel_id, s.external_id, s.kind, s.content) for s in seen),
        strict=True,
    )
    found: dict[tuple[str, int], _Ours] = {}
    for one in await _OURS.find(tx, _ALIKE, *map(list, columns)):
        found.setdefault((one.tenant_id, one.seq), one)
    if found:
        await tx.connection.executemany(_CONFIRM, [(*key, _ECHOED) for key in sorted(found)])
        await wake(tx, {one.channel_id for one in found.values()})
    return {one.place for one in found.values()}
