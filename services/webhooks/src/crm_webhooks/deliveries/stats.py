"""How an endpoint does, at a price that does not grow with what it was ever sent."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Shape
from shared_events.webhooks.delivery import EndpointStats, Latency

_NEWEST, _MOST_WAITING = 1000, 10_000
# The limits within LATERAL keep PostgreSQL from reading all attempts there are, for a join.
OUTCOMES = f"""
WITH newest AS MATERIALIZED (
    SELECT id, status, created_at FROM webhook_deliveries
    WHERE endpoint_id = $1 AND tenant_id = $2 ORDER BY seq DESC LIMIT {_NEWEST}
), tried AS MATERIALIZED (
    SELECT a.* FROM newest CROSS JOIN LATERAL (
        SELECT started_at, duration_ms, status_code, error FROM delivery_attempts
        WHERE delivery_id = newest.id AND tenant_id = $2 LIMIT 100) AS a
)
SELECT t.*, n.*, (SELECT coalesce(jsonb_object_agg(error, times), '{{}}') FROM (
        SELECT error, count(*) AS times FROM tried WHERE error IS NOT NULL GROUP BY error
    ) AS by_class) AS errors
FROM (
    SELECT count(*) AS deliveries, min(created_at) AS since,
        count(*) FILTER (WHERE status = 'delivered') AS delivered,
        count(*) FILTER (WHERE status = 'exhausted') AS exhausted
    FROM newest
) AS n, (
    SELECT count(*) AS attempts,
        max(started_at) FILTER (WHERE error IS NULL) AS last_success_at,
        max(started_at) FILTER (WHERE error IS NOT NULL) AS last_failure_at,
        percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms)
            FILTER (WHERE status_code IS NOT NULL) AS latencies
    FROM tried
) AS t
"""  # noqa: S608
WAITING = f"""
SELECT count(*) AS waiting, min(next_attempt_at) AS oldest_due_at, (
    SELECT next_at FROM rate_accounts JOIN webhook_endpoints e ON e.id = endpoint_id
    WHERE endpoint_id = $1 AND e.tenant_id = $2 AND e.rate_limit_per_minute IS NOT NULL
        AND next_at > now() AND next_at > min(next_attempt_at)) AS limited_until
FROM (
    SELECT next_attempt_at FROM webhook_deliveries
    WHERE endpoint_id = $1 AND tenant_id = $2 AND status IN ('pending', 'retrying')
    ORDER BY next_attempt_at LIMIT {_MOST_WAITING}) AS live
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class _Done:
    """What became of the newest deliveries."""

    deliveries: int
    since: datetime | None
    delivered: int
    exhausted: int
    attempts: int
    last_success_at: datetime | None
    last_failure_at: datetime | None
    latencies: list[float] | None
    errors: dict[str, int]


_DONE = Shape(_Done)


async def of_endpoint(tx: Transaction, endpoint_id: UUID) -> EndpointStats:
    """The statistics of an endpoint that is the caller's."""
    done = await _DONE.first(tx, OUTCOMES, endpoint_id, tx.tenant_id)
    waiting = await tx.fetchrow(WAITING, endpoint_id, tx.tenant_id)
    if done is None or waiting is None:
        raise LookupError("an aggregate always has a row")
    settled = done.delivered + done.exhausted
    counted: dict[str, Any] = {
        name: getattr(done, name)
        for name in EndpointStats.model_fields.keys() & _Done.__dataclass_fields__.keys()
    }
    return EndpointStats(
        endpoint_id=endpoint_id,
        success_rate=done.delivered / settled if settled else None,
        latency_ms=_latency(done.latencies),
        **counted,
        **waiting,
    )


def _latency(percentiles: list[float] | None) -> Latency | None:
    if percentiles is None:
        return None
    p50, p95, p99 = percentiles
    return Latency(p50=p50, p95=p95, p99=p99)
