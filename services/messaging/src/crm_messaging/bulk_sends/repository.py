"""Bulk sends and their recipients in the database."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from service_kit.database import Transaction
from service_kit.jobs.models import Jobs
from service_kit.paging import Order
from service_kit.rows import Rows, Shape
from shared_events.messaging.bulk_send import BulkRecipient, ListBulkRecipients
from shared_events.requests import Page
from sqlalchemy import and_, case, literal, select, true

from crm_messaging.bulk_sends.models import BulkRecipientRow, BulkSendRow
from crm_messaging.messages.repository import MESSAGES

KIND = "bulk"
PENDING, QUEUED, OVER = "pending", "queued", "over"
KEPT = timedelta(days=30)
"""How long a bulk send that has ended is kept."""
_PURGED_AT_ONCE = 5000

SENDS = Jobs(BulkSendRow, kind=KIND)
_RECIPIENTS = Rows(BulkRecipientRow)
_R = _RECIPIENTS.table.c
_M = MESSAGES.table.c
_IN_TURN = Order("bulk_recipients", [(_R.position, int)], tenant=_R.tenant_id)

_UNFINISHED = """
SELECT count(*) FROM bulk_sends
WHERE tenant_id = $1 AND state NOT IN ('completed', 'cancelled', 'failed')
"""
_OF_SEND = "FROM bulk_recipients WHERE tenant_id = $1 AND bulk_send_id = $2"
_COUNT = f"SELECT count(*) {_OF_SEND}"
_BEHIND = f"SELECT coalesce(max(position) + 1, 0) {_OF_SEND}"
_NEXT = """
SELECT * FROM bulk_recipients WHERE tenant_id = $1 AND bulk_send_id = $2 AND state = 'pending'
ORDER BY position LIMIT 1
"""
_WAITING = """
SELECT count(*) FROM bulk_recipients
WHERE tenant_id = $1 AND bulk_send_id = $2 AND state = 'queued'
"""
# Those of a page that have a message: at most what may wait at the channel.
_SETTLE = """
WITH ended AS (
    SELECT r.position, m.status FROM bulk_recipients AS r CROSS JOIN LATERAL (
        SELECT status FROM messages WHERE id = r.message_id AND tenant_id = $1 LIMIT 1) AS m
    WHERE r.tenant_id = $1 AND r.bulk_send_id = $2 AND r.state = 'queued'
        AND m.status <> 'queued')
UPDATE bulk_recipients AS r SET state = 'over' FROM ended
WHERE r.tenant_id = $1 AND r.bulk_send_id = $2 AND r.position = ended.position
RETURNING ended.status
"""
_IS_WRITTEN_TO = "SELECT true FROM bulk_recipients WHERE message_id = $1 AND tenant_id = $2 LIMIT 1"
_PURGE = """
DELETE FROM bulk_recipients WHERE (tenant_id, bulk_send_id, position) IN (
    SELECT r.tenant_id, r.bulk_send_id, r.position FROM (
        SELECT tenant_id, id FROM bulk_sends WHERE finished_at < now() - $2::interval
        ORDER BY finished_at LIMIT 10) AS s
    CROSS JOIN LATERAL (SELECT * FROM bulk_recipients
        WHERE tenant_id = s.tenant_id AND bulk_send_id = s.id LIMIT $1) AS r LIMIT $1)
"""
_PURGE_SENDS = """
DELETE FROM bulk_sends AS s WHERE finished_at < now() - $1::interval AND NOT EXISTS (
    SELECT FROM bulk_recipients WHERE tenant_id = s.tenant_id AND bulk_send_id = s.id)
"""


_SHOWN = Shape(BulkRecipient)


async def unfinished(tx: Transaction) -> int:
    """How many of the company's have not ended."""
    count: int = await tx.fetchval(_UNFINISHED, tx.tenant_id)
    return count


async def count_recipients(tx: Transaction, job: BulkSendRow) -> int:
    """How many there are."""
    count: int = await tx.fetchval(_COUNT, job.tenant_id, job.id)
    return count


async def add_recipients(tx: Transaction, job: BulkSendRow, contacts: Sequence[UUID]) -> int:
    """Put contacts behind those that are there, each once; returns how many places are taken."""
    behind: int = await tx.fetchval(_BEHIND, job.tenant_id, job.id)
    rows = [
        BulkRecipientRow(
            tenant_id=job.tenant_id, bulk_send_id=job.id, position=position, contact_id=contact_id
        )
        for position, contact_id in enumerate(dict.fromkeys(contacts), start=behind)
    ]
    await _RECIPIENTS.insert(tx, rows, unless="(bulk_send_id, contact_id)")
    return behind + len(rows)


async def next_recipient(tx: Transaction, job: BulkSendRow) -> BulkRecipientRow | None:
    """Whose turn it is; None when all had theirs."""
    return await _RECIPIENTS.first(tx, _NEXT, job.tenant_id, job.id)


async def waiting(tx: Transaction, job: BulkSendRow) -> int:
    """How many of its messages wait at the channel."""
    count: int = await tx.fetchval(_WAITING, job.tenant_id, job.id)
    return count


async def settle(tx: Transaction, job: BulkSendRow) -> list[str]:
    """It is over with those whose messages do not wait any more; returns the messages' statuses."""
    return [record["status"] for record in await tx.fetch(_SETTLE, job.tenant_id, job.id)]


async def is_written_to(tx: Transaction, message_id: UUID) -> bool:
    """Whether a contact that is the same person got the message."""
    return bool(await tx.fetchval(_IS_WRITTEN_TO, message_id, tx.tenant_id))


async def save(tx: Transaction, recipient: BulkRecipientRow) -> None:
    """Write what became of a recipient; the bulk send's lock is held."""
    await _RECIPIENTS.update(tx, [recipient], "state", "message_id", "code", "detail")


async def page(tx: Transaction, request: ListBulkRecipients, *, ended: bool) -> Page[BulkRecipient]:
    """Recipients in their turn, each with the status its message has by now: MalformedError.

    Of a bulk send that has `ended`, nobody will be written to who was not.
    """
    message = (
        select(_M.status.label("of_message"))
        .where(_M.id == _R.message_id, _M.tenant_id == _R.tenant_id)
        .limit(1)
        .lateral("message")
    )
    status = case(
        (_R.code.is_not(None), literal("refused")),
        (message.c.of_message.is_not(None), message.c.of_message),
        (and_(literal(ended), _R.state == PENDING), literal("cancelled")),
        else_=_R.state,
    )
    query = (
        select(
            *(_R.tenant_id, _R.position, _R.contact_id, _R.message_id, _R.code, _R.detail),
            status.label("status"),
        )
        .select_from(_RECIPIENTS.table.outerjoin(message, true()))
        .where(_R.bulk_send_id == request.bulk_send_id)
    )
    return await _IN_TURN.page(tx, query, request, _SHOWN, lambda shown: shown)


async def purge(tx: Transaction) -> bool:
    """Remove what ended long ago, of all tenants; returns whether there may be more."""
    recipients = await tx.execute(_PURGE, _PURGED_AT_ONCE, KEPT)
    sends = await tx.execute(_PURGE_SENDS, KEPT)
    return bool(recipients or sends)
