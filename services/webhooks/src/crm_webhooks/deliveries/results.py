"""Results of attempts, written together: one transaction every few milliseconds.

The commit does not wait for the disk: a result lost in a crash of PostgreSQL leaves a lease that
lapses, and the delivery is sent again under the same webhook-id.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import structlog
from service_kit.database import Database, Transaction, is_infrastructure
from service_kit.rows import Rows, Shape
from shared_events.webhooks.delivery import WebhookDeliveryExhausted

from crm_webhooks.deliveries import metrics, models, owners, repository, schedule
from crm_webhooks.deliveries.attempt import GONE, Result
from crm_webhooks.deliveries.lanes import Owed
from crm_webhooks.endpoints.events import disabled, failing
from crm_webhooks.endpoints.repository import EndpointRepository

log = structlog.get_logger()

LINGER_SECONDS = 0.050
MOST_AT_ONCE = 100
FINISH_SECONDS = 5.0

# A plan is made while the table is young and small, and kept when it has grown: reading all of it
# is never to be that plan.
_BY_INDEX = "SET LOCAL enable_seqscan = off"
# The attempt is logged in any case; the delivery changes only under our own lease, so a second
# sender or a cancellation is never overruled. Which states are left is said by those that are not:
# the index of what is live would fit the other way round, and on a young table PostgreSQL believes
# that it is nearly empty and reads all of it for each row. Those that are given up by it come back.
_WRITE = """
WITH done AS (
    SELECT * FROM unnest($2::uuid[], $3::text[], $4::text[], $5::int[], $6::timestamptz[],
        $7::int[], $8::int[], $9::int[], $10::int[], $11::int[], $12::text[], $13::text[],
        $14::bool[], $15::float8[])
    AS d(id, tenant_id, status, number, started_at, duration_ms, dns_ms, connect_ms, first_byte_ms,
        status_code, error, excerpt, truncated, delay)
), logged AS (
    INSERT INTO delivery_attempts (tenant_id, delivery_id, number, started_at, duration_ms,
        dns_ms, connect_ms, first_byte_ms, status_code, error, response_excerpt, body_truncated)
    SELECT tenant_id, id, number, started_at, duration_ms, dns_ms, connect_ms, first_byte_ms,
        status_code, error, excerpt, truncated FROM done
), changed AS (
    UPDATE webhook_deliveries d SET
        status = done.status,
        attempts = done.number,
        next_attempt_at = now() + make_interval(secs => done.delay),
        last_status_code = done.status_code,
        last_error = done.error,
        lease_owner = NULL,
        lease_until = NULL,
        updated_at = now()
    FROM done
    WHERE d.id = done.id AND d.lease_owner = $1
        AND d.status NOT IN ('delivered', 'exhausted', 'cancelled')
    RETURNING d.*
)
SELECT * FROM changed WHERE status = 'exhausted' ORDER BY tenant_id, seq
"""
_DELIVERIES = Rows(models.Delivery)
_RELEASE = """
UPDATE webhook_deliveries SET lease_owner = NULL, lease_until = NULL
WHERE id = ANY($2::uuid[]) AND lease_owner = $1
"""
_SUCCEEDED = """
UPDATE webhook_endpoints SET failing_since = NULL, failed_deliveries = 0
WHERE id = ANY($1::uuid[]) AND failing_since IS NOT NULL
"""
# A delivery counts once, by its first attempt. What a receiver said before its endpoint was edited
# is no word of the one there is now. Who begins to fail begins anew.
_FAILED = """
UPDATE webhook_endpoints e SET
    failing_since = coalesce(failing_since, now()),
    failing_hours = CASE WHEN failing_since IS NULL THEN 1
        ELSE failing_hours + (failing_hour IS DISTINCT FROM date_trunc('hour', now()))::int END,
    failing_hour = date_trunc('hour', now()),
    warned = CASE WHEN failing_since IS NULL THEN 0 ELSE warned END,
    failed_deliveries = failed_deliveries + f.deliveries,
    paused_until = greatest(paused_until, now() + make_interval(secs => f.pause))
FROM unnest($1::uuid[], $2::int[], $3::float8[], $6::int[]) AS f(id, deliveries, pause, version)
WHERE e.id = f.id AND e.version = coalesce(f.version, e.version)
RETURNING e.id, e.tenant_id, e.enabled, e.failing_since, e.failed_deliveries, e.warned, least(
    e.failed_deliveries / $4::float8,
    extract(epoch FROM now() - e.failing_since) / $5::float8,
    e.failing_hours / $7::float8) AS hopelessness
"""


@dataclass(frozen=True, slots=True)
class _Judged:
    """An endpoint that failed, and how far it is from being disabled for it (1.0)."""

    id: UUID
    tenant_id: str
    enabled: bool
    failing_since: datetime
    failed_deliveries: int
    warned: int
    hopelessness: float


_JUDGED = Shape(_Judged)


@dataclass(frozen=True, slots=True)
class _Written:
    """An attempt as its row, and the state its delivery is left in.

    `version` is that of the endpoint it was made to, None when it came to none. `pause` is for how
    long the endpoint is left alone, by every process.
    """

    owed: Owed
    result: Result
    status: str
    delay: float | None
    version: int | None
    pause: float | None


_Failures = Mapping[UUID, Sequence[_Written]]
"""By endpoint."""


class Results:
    """Collects what attempts led to and writes it.

    `owner` marks the leases of this process. `on_due` is told in how many seconds something that
    was just written will want to be claimed, `on_released` whose leases are given up for good.
    """

    def __init__(
        self, database: Database, endpoints: EndpointRepository, delays: Sequence[float]
    ) -> None:
        self.owner = uuid4()
        self._database = database
        self._endpoints = endpoints
        self._delays = tuple(delays)
        self._attempted: list[_Written] = []
        self._released: list[Owed] = []
        self._wake = asyncio.Event()
        self._finishing = False
        self.on_due: Callable[[float], None] = lambda _: None
        self.on_released: Callable[[Sequence[Owed]], None] = lambda _: None

    def add(self, owed: Owed, result: Result, version: int | None, pause: float | None) -> None:
        """An attempt was made, to this version of the endpoint, which is left alone for so long."""
        status, delay = "delivered", None
        if not result.delivered:
            delay = schedule.retry_delay(
                self._delays, owed.attempts + 1, at_least=result.retry_after or 0.0
            )
            status = "retrying" if delay is not None else "exhausted"
        self._attempted.append(_Written(owed, result, status, delay, version, pause))
        self._wake.set()

    def release(self, owed: Iterable[Owed]) -> None:
        """Nothing was attempted: whoever comes next may have these."""
        self._released.extend(owed)
        self._wake.set()

    @property
    def empty(self) -> bool:
        """Whether everything is written."""
        return not self._attempted and not self._released

    async def run(self) -> None:
        """Write results as they come, however long the database is away."""
        backoff = 0.1
        while not (self._finishing and self.empty):
            await self._wake.wait()
            if len(self._attempted) < MOST_AT_ONCE:
                await asyncio.sleep(LINGER_SECONDS)
            try:
                await self._flush()
                backoff = 0.1
            except Exception as error:
                # A statement that took too long is tried again as well: nobody else has these.
                if not is_infrastructure(error) and not isinstance(error, TimeoutError):
                    raise
                log.warning("results_wait", error=type(error).__name__)
                self._wake.set()
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 5.0)

    async def finish(self, writing: asyncio.Task[None]) -> None:
        """Let `run` write what is left, for as long as somebody who stops us will wait.

        Then nothing is in flight, and others may have the lanes that this process owned.
        """
        self._finishing = True
        self._wake.set()
        await asyncio.wait([writing], timeout=FINISH_SECONDS)
        writing.cancel()
        self._finishing = False
        with suppress(Exception):  # ownership lapses by itself, too
            async with asyncio.timeout(FINISH_SECONDS), self._database.system("deliver") as tx:
                await owners.give_up(tx, self.owner)

    async def _flush(self) -> None:
        """Write everything collected so far; what cannot be written stays collected."""
        self._wake.clear()
        while not self.empty:
            attempted = self._attempted[:MOST_AT_ONCE]
            released = self._released[:]
            async with self._database.system("deliver") as tx:
                await tx.execute("SET LOCAL synchronous_commit = off")
                if attempted:
                    await self._write(tx, attempted)
                if released:
                    await tx.execute(_RELEASE, self.owner, [one.id for one in released])
            del self._attempted[: len(attempted)], self._released[: len(released)]
            self.on_released(released)
            for written in attempted:
                if written.delay is not None:
                    self.on_due(written.delay)
                if written.pause is not None:
                    self.on_due(written.pause)

    async def _write(self, tx: Transaction, attempted: Sequence[_Written]) -> None:
        metrics.FLUSH_SIZE.observe(len(attempted))
        columns: list[list[Any]] = [
            [w.owed.id for w in attempted],
            [w.owed.tenant_id for w in attempted],
            [w.status for w in attempted],
            [w.owed.attempts + 1 for w in attempted],
            [w.result.started_at for w in attempted],
            [_milliseconds(w.result.duration) for w in attempted],
            [_milliseconds(w.result.phases.dns) for w in attempted],
            [_milliseconds(w.result.phases.connect) for w in attempted],
            [_milliseconds(w.result.phases.first_byte) for w in attempted],
            [w.result.status for w in attempted],
            [w.result.error for w in attempted],
            [w.result.excerpt for w in attempted],
            [w.result.truncated for w in attempted],
            [w.delay for w in attempted],
        ]
        failed = _failures(attempted)
        await tx.execute(_BY_INDEX)
        # Endpoints before deliveries, as whoever deletes one locks them: nobody waits in a circle.
        judged = await self._judge(tx, attempted, failed)
        exhausted = await _DELIVERIES.find(tx, _WRITE, self.owner, *columns)
        metrics.EXHAUSTED.inc(len(exhausted))
        await self._act_on(tx, judged, failed)
        await _tell(tx, exhausted)

    async def _judge(
        self, tx: Transaction, attempted: Sequence[_Written], failed: _Failures
    ) -> list[_Judged]:
        """Count failures since the last success, and pause who asked for it."""
        succeeded = {w.owed.endpoint_id for w in attempted if w.result.delivered}
        if succeeded:
            await tx.execute(_SUCCEEDED, list(succeeded))
        if not failed:
            return []
        return await _JUDGED.find(
            tx,
            _FAILED,
            list(failed),
            [sum(w.owed.attempts == 0 for w in each) for each in failed.values()],
            [max((w.pause or 0.0) for w in each) or None for each in failed.values()],
            schedule.DISABLE_AFTER_FAILED_DELIVERIES,
            schedule.DISABLE_AFTER_FAILING_SECONDS,
            [each[0].version for each in failed.values()],
            schedule.DISABLE_AFTER_FAILING_HOURS,
        )

    async def _act_on(self, tx: Transaction, judged: Sequence[_Judged], failed: _Failures) -> None:
        """Disable the hopeless and those that are gone, and warn of it before."""
        for endpoint in judged:
            gone = any(w.result.status == GONE for w in failed[endpoint.id])
            percent = schedule.warning(endpoint.hopelessness)
            if gone or (endpoint.enabled and endpoint.hopelessness >= 1):
                await tx.act_for(endpoint.tenant_id)
                await self._disable(tx, endpoint.id, "gone" if gone else "failing")
            elif endpoint.enabled and percent > endpoint.warned:
                await tx.act_for(endpoint.tenant_id)
                await self._warn(tx, endpoint, percent)

    async def _warn(self, tx: Transaction, judged: _Judged, percent: int) -> None:
        lasts = timedelta(seconds=schedule.DISABLE_AFTER_FAILING_SECONDS)
        told = failing(
            await self._endpoints.warn(tx, judged.id, percent),
            percent=percent,
            failing_since=judged.failing_since,
            failed_deliveries=judged.failed_deliveries,
            disabled_at=judged.failing_since + lasts,
        )
        tx.outbox.add(told, judged.id)

    async def _disable(self, tx: Transaction, endpoint_id: UUID, reason: str) -> None:
        endpoint = await self._endpoints.disable(tx, endpoint_id, reason)
        if endpoint is not None:
            metrics.DISABLED.labels(reason).inc()
            log.warning("endpoint_disabled", endpoint=str(endpoint_id), reason=reason)
            tx.outbox.add(disabled(endpoint), endpoint_id)


def _failures(attempted: Sequence[_Written]) -> _Failures:
    """Those of the newest version of each endpoint that was tried."""
    newest = {
        w.owed.endpoint_id: w.version for w in sorted(attempted, key=lambda w: w.version or 0)
    }
    failed: dict[UUID, list[_Written]] = defaultdict(list)
    for written in attempted:
        endpoint_id = written.owed.endpoint_id
        if not written.result.delivered and written.version == newest[endpoint_id]:
            failed[endpoint_id].append(written)
    return failed


async def _tell(tx: Transaction, exhausted: Sequence[models.Delivery]) -> None:
    """Say that these were given up, unless that is what they said: it would never end."""
    for row in exhausted:
        if row.event_type != WebhookDeliveryExhausted.event_type:
            await tx.act_for(row.tenant_id)
            told = WebhookDeliveryExhausted(delivery=repository.delivery(row))
            tx.outbox.add(told, row.endpoint_id)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
