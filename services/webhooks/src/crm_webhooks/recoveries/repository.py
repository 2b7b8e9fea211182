"""Recoveries and what they queue, in the database."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.rows import Rows, Shape

from crm_webhooks.recoveries.models import Recovery

MOST, STEP = 50_000, 500
"""Deliveries a recovery takes, and how many at a time."""

_RECOVERIES = Rows(Recovery)
_LAST = 2**63 - 1
# What was sent again since is left out: its newest delivery says how it ended.
_FAILED = """
SELECT d.* FROM webhook_deliveries d
JOIN webhook_endpoints e ON e.id = d.endpoint_id AND e.tenant_id = d.tenant_id AND NOT e.deleted
LEFT JOIN LATERAL (
    SELECT true AS again FROM webhook_deliveries n
    WHERE n.event_id = d.event_id AND n.endpoint_id = d.endpoint_id
        AND n.tenant_id = d.tenant_id AND n.replay_no > d.replay_no
    LIMIT 1) AS newer ON true
WHERE d.endpoint_id = $1 AND d.tenant_id = $2 AND d.status IN ('exhausted', 'cancelled')
    AND d.updated_at >= $3 AND d.seq > $4 AND d.seq <= $5 AND newer.again IS NULL
ORDER BY d.seq LIMIT $6
"""
_COUNT = f"SELECT count(*) AS total, coalesce(max(seq), 0) AS last FROM ({_FAILED}) AS failed"  # noqa: S608
_QUEUE = f"""
WITH failed AS MATERIALIZED ({_FAILED}), queued AS (
    INSERT INTO webhook_deliveries
        (id, tenant_id, event_id, event_type, endpoint_id, ordering_key, replay_no)
    SELECT gen_random_uuid(), tenant_id, event_id, event_type, endpoint_id, ordering_key,
        replay_no + 1
    FROM failed ORDER BY seq
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT (SELECT count(*) FROM failed) AS found, (SELECT max(seq) FROM failed) AS last,
    (SELECT count(*) FROM queued) AS queued
"""  # noqa: S608
_NEXT = """
SELECT * FROM webhook_recoveries WHERE state = 'running'
ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class _Counted:
    total: int
    last: int


@dataclass(frozen=True, slots=True)
class _Queued:
    found: int
    last: int | None
    queued: int


_COUNTED, _QUEUED = Shape(_Counted), Shape(_Queued)


async def add(tx: Transaction, endpoint_id: UUID, since: datetime) -> Recovery:
    """A recovery of what has failed by now."""
    counted = await _COUNTED.first(
        tx, _COUNT, endpoint_id, tx.tenant_id, since, 0, _LAST, MOST
    ) or _Counted(0, 0)
    row = Recovery(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        endpoint_id=endpoint_id,
        since=since,
        last_seq=counted.last,
        state="running" if counted.total else "done",
        total=counted.total,
        has_more=counted.total == MOST,
    )
    await _RECOVERIES.insert(tx, [row])
    return await get(tx, row.id)


async def get(tx: Transaction, recovery_id: UUID) -> Recovery:
    """One recovery; raises NotFoundError."""
    row = await _RECOVERIES.first(
        tx,
        "SELECT * FROM webhook_recoveries WHERE id = $1 AND tenant_id = $2",
        recovery_id,
        tx.tenant_id,
    )
    if row is None:
        raise NotFoundError("webhook_recovery")
    return row


async def is_running(tx: Transaction, endpoint_id: UUID) -> bool:
    """Whether the endpoint has one that is not done; the caller holds the endpoint."""
    return bool(
        await tx.fetchval(
            "SELECT true FROM webhook_recoveries WHERE endpoint_id = $1 AND tenant_id = $2"
            " AND state = 'running' LIMIT 1",
            endpoint_id,
            tx.tenant_id,
        )
    )


async def next_running(tx: Transaction) -> Recovery | None:
    """The one that waited longest, of whatever tenant, held until the transaction ends."""
    return await _RECOVERIES.first(tx, _NEXT)


async def go_on(tx: Transaction, row: Recovery) -> None:
    """Queue the next few and note how far it is, in one transaction: a crash loses neither."""
    step = await _QUEUED.first(
        tx, _QUEUE, row.endpoint_id, row.tenant_id, row.since, row.seq, row.last_seq, STEP
    ) or _Queued(0, None, 0)
    await tx.execute(
        "UPDATE webhook_recoveries SET seq = $3, done = done + $4, state = $5,"
        " updated_at = clock_timestamp() WHERE id = $1 AND tenant_id = $2",
        row.id,
        row.tenant_id,
        row.last_seq if step.last is None else step.last,
        step.queued,
        "done" if step.found < STEP else "running",
    )
