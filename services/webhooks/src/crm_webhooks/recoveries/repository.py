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
SELECT d.*, d.replay_no + 1 AS next_no FROM webhook_deliveries d
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
# Each event by its first delivery; its newest one says whether it is owed still.
_RANGE = """
SELECT d.*, newest.replay_no + 1 AS next_no FROM webhook_deliveries d
JOIN webhook_endpoints e ON e.id = d.endpoint_id AND e.tenant_id = d.tenant_id AND NOT e.deleted
CROSS JOIN LATERAL (
    SELECT n.replay_no, n.status FROM webhook_deliveries n
    WHERE n.event_id = d.event_id AND n.endpoint_id = d.endpoint_id AND n.tenant_id = d.tenant_id
    ORDER BY n.replay_no DESC LIMIT 1) AS newest
WHERE d.endpoint_id = $1 AND d.tenant_id = $2 AND d.replay_no = 0
    AND d.created_at >= $3 AND d.created_at < $7 AND d.seq > $4 AND d.seq <= $5
    AND newest.status NOT IN ('pending', 'retrying')
ORDER BY d.seq LIMIT $6
"""
_COUNT = """
SELECT count(*) AS total, coalesce(min(seq), 1) - 1 AS before, coalesce(max(seq), 0) AS last
FROM ({chosen}) AS chosen
"""
_QUEUE = """
WITH chosen AS MATERIALIZED ({chosen}), queued AS (
    INSERT INTO webhook_deliveries
        (id, tenant_id, event_id, event_type, endpoint_id, ordering_key, trigger, replay_no)
    SELECT gen_random_uuid(), tenant_id, event_id, event_type, endpoint_id, ordering_key,
        '{trigger}', next_no
    FROM chosen ORDER BY seq
    ON CONFLICT DO NOTHING
    RETURNING id
)
SELECT (SELECT count(*) FROM chosen) AS found, (SELECT max(seq) FROM chosen) AS last,
    (SELECT count(*) FROM queued) AS queued
"""
_NEXT = """
SELECT * FROM webhook_recoveries WHERE state <> 'done'
ORDER BY updated_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""


@dataclass(frozen=True, slots=True)
class _Counted:
    total: int
    before: int
    last: int


@dataclass(frozen=True, slots=True)
class _Queued:
    found: int
    last: int | None
    queued: int


_COUNTED, _QUEUED = Shape(_Counted), Shape(_Queued)


async def add(
    tx: Transaction, endpoint_id: UUID, since: datetime, until: datetime | None = None
) -> Recovery:
    """A recovery of what has failed by now; with `until`, a replay of what was owed in between."""
    values = (endpoint_id, tx.tenant_id, since, 0, _LAST, MOST)
    statement, bound = _chosen(_COUNT, until)
    counted = await _COUNTED.first(tx, statement, *values, *bound) or _Counted(0, 0, 0)
    state = "running" if until is None else "replaying"
    row = Recovery(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        endpoint_id=endpoint_id,
        since=since,
        until=until,
        seq=counted.before,
        last_seq=counted.last,
        state=state if counted.total else "done",
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
            " AND state <> 'done' LIMIT 1",
            endpoint_id,
            tx.tenant_id,
        )
    )


async def next_running(tx: Transaction) -> Recovery | None:
    """The one that waited longest, of whatever tenant, held until the transaction ends."""
    return await _RECOVERIES.first(tx, _NEXT)


async def go_on(tx: Transaction, row: Recovery) -> None:
    """Queue the next few and note how far it is, in one transaction: a crash loses neither."""
    values = (row.endpoint_id, row.tenant_id, row.since, row.seq, row.last_seq, STEP)
    statement, bound = _chosen(_QUEUE, row.until)
    step = await _QUEUED.first(tx, statement, *values, *bound) or _Queued(0, None, 0)
    await tx.execute(
        "UPDATE webhook_recoveries SET seq = $3, done = done + $4, state = $5,"
        " updated_at = clock_timestamp() WHERE id = $1 AND tenant_id = $2",
        row.id,
        row.tenant_id,
        row.last_seq if step.last is None else step.last,
        step.queued,
        "done" if step.found < STEP else row.state,
    )


def _chosen(statement: str, until: datetime | None) -> tuple[str, tuple[datetime, ...]]:
    """The statement for what failed or, with `until`, for a range; and its values beyond six."""
    if until is None:
        return statement.format(chosen=_FAILED, trigger="recovery"), ()
    return statement.format(chosen=_RANGE, trigger="replay"), (until,)
