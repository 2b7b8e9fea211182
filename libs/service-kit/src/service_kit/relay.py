"""The relay: hands the outbox to the broker, in order per aggregate.

One leader for each shard of the outbox (`service_kit.shards`), by locks on the very connection that
marks the rows: a lost connection loses the lead and rolls the marks back together. It is woken by
the NOTIFY of a committed transaction and looks every `poll_seconds` anyway.

A broker outage burns no retries. An event that itself cannot be published (no queue wants it) is
tried again after a pause that grows to `retry_backoff_seconds` (a bus that is being declared anew
takes it in a moment), its aggregate's later events wait behind it, and after `max_retries` it is
parked: `failed_at` is set, the successors go on, an operator can redrive it.
One that AMQP cannot carry is parked at once. One that makes the broker close the connection looks
like an outage and takes its whole batch along; after a few of those, events go one at a time, and
a connection lost over a single one counts as its own failure.

What a bulk tells goes in bundles (`service_kit.bundles`) where that is switched on: events of one
kind and cause, each the only one of its aggregate in the batch, as far as they go to one partition.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import structlog
from shared_events.slots import SLOT, slot_of

from service_kit import bundles, metrics, tracing
from service_kit.bundles import Together
from service_kit.bus import BROKER_ERRORS, Publisher, UnpublishableError, UnroutableError
from service_kit.connection import BrokerDownError, ConnectionLostError
from service_kit.database import Database
from service_kit.shards import OF_AGGREGATE, REBALANCE_SECONDS, Shards

log = structlog.get_logger()

# Rows behind a waiting predecessor of the same aggregate are held back. The inner condition
# repeats the predicate of idx_outbox_retried, so it costs nothing while nothing has failed.
_CLAIM = f"""
SELECT o.seq, o.event_id, o.event_type, o.event_version, o.aggregate_id, o.aggregate_type,
    o.tenant_id, o.occurred_at, o.correlation_id, o.causation_id, o.trace_context,
    o.payload, o.retry_count
FROM outbox_events o
WHERE o.processed_at IS NULL AND o.failed_at IS NULL
    AND (o.next_attempt_at IS NULL OR o.next_attempt_at <= now())
    AND {OF_AGGREGATE} = ANY($2::int[])
    AND NOT EXISTS (
        SELECT 1 FROM outbox_events f
        WHERE f.processed_at IS NULL AND f.failed_at IS NULL AND f.retry_count > 0
            AND f.next_attempt_at > now() AND f.aggregate_id = o.aggregate_id AND f.seq < o.seq)
ORDER BY o.seq
LIMIT $1
"""  # noqa: S608 - a constant
_MARK = "UPDATE outbox_events SET processed_at = now() WHERE seq = ANY($1::bigint[])"
_FAIL = """
UPDATE outbox_events SET
    retry_count = retry_count + 1,
    error_message = $2,
    next_attempt_at = now() + make_interval(secs => $3 * least(1, power(4, retry_count) / 16)),
    failed_at = CASE WHEN retry_count + 1 >= $4 THEN now() END
WHERE seq = $1
"""
_STATE = f"""
SELECT count(*) FILTER (WHERE failed_at IS NULL) AS pending,
    count(*) FILTER (WHERE failed_at IS NOT NULL) AS failed,
    coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE failed_at IS NULL)), 0)
        AS oldest,
    coalesce(extract(epoch FROM now()
        - min(created_at) FILTER (WHERE failed_at IS NULL AND retry_count = 0)), 0) AS waiting
FROM outbox_events o WHERE processed_at IS NULL AND {OF_AGGREGATE} = ANY($1::int[])
"""  # noqa: S608 - a constant
_SCOPE = "SET app.scope = 'relay'"
_STATE_SECONDS = 5.0
_STANDBY_SECONDS = 0.5
_LOST_ROUNDS = 3
_STUCK_SECONDS = 60.0


class OutboxStuckError(Exception):
    """Events that nothing is wrong with are not published."""


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """Batch size, backstop poll in seconds, attempts per event and seconds between them.

    `bundles_for`: partitions that split queues consist of; None where not everybody reads bundles.
    """

    batch_size: int = 100
    poll_seconds: float = 1.0
    max_retries: int = 5
    retry_backoff_seconds: float = 30.0
    bundles_for: int | None = None


Drain = Callable[[], Awaitable[int | None]]
"""Drains once; returns how many events, or None while somebody else leads."""


@dataclass(slots=True)
class _Outcome:
    """`failed`: with the reason and how many attempts it has in all."""

    published: list[int] = field(default_factory=list)
    failed: list[tuple[int, str, int]] = field(default_factory=list)
    broker_down: bool = False
    lost: bool = False


class Relay:
    """Drains one service's outbox. Several may run; they share its shards."""

    def __init__(
        self, database: Database, publisher: Publisher, options: RelayOptions | None = None
    ) -> None:
        self._database = database
        self._publisher = publisher
        self.options = options or RelayOptions()
        self._wake = asyncio.Event()
        self._state_at = 0.0
        self._waiting_seconds = 0.0

    async def check(self) -> None:
        """Raise while events that it leads and that could go do not."""
        if self._waiting_seconds > _STUCK_SECONDS:
            raise OutboxStuckError(f"an event waits for {self._waiting_seconds:.0f} s")

    async def run(self) -> None:
        """Lead whenever possible, until cancelled; raises when the database connection is lost."""
        connection = await self._database.dedicated("relay")
        try:
            await connection.execute(_SCOPE)
            shards = Shards(connection)
            while not await shards.join():  # noqa: ASYNC110 - the lock is elsewhere
                await asyncio.sleep(_STANDBY_SECONDS)
            await self._listen(connection)
            log.info("relay_joined")
            while True:
                await self._drain(connection, shards)
                await self._sleep(shards)
        finally:
            metrics.RELAY_SHARDS.set(0)
            self._waiting_seconds = 0.0
            with suppress(Exception):
                await asyncio.shield(connection.close(timeout=5))

    @asynccontextmanager
    async def standby(self, options: RelayOptions | None = None) -> AsyncIterator[Drain]:
        """What drains once while no relay leads, on one connection for as long as it is held.

        For a second, durable driver (the OutboxProcessorWorkflow), with options of its own: order
        would break if two drained at the same time.
        """
        driver = Relay(self._database, self._publisher, options or self.options)
        connection = await self._database.dedicated("drain")
        shards = Shards(connection)

        async def drain() -> int | None:
            if not await shards.take_all():
                return None
            try:
                return await driver._drain(connection, shards)
            finally:
                await shards.give_all()

        try:
            await connection.execute(_SCOPE)
            yield drain
        finally:
            with suppress(Exception):
                await asyncio.shield(connection.close(timeout=5))

    async def _listen(self, connection: asyncpg.Connection) -> None:
        await connection.add_listener(
            f"outbox_{self._database.schema}", lambda *_: self._wake.set()
        )
        connection.add_termination_listener(lambda *_: self._wake.set())

    async def _sleep(self, shards: Shards) -> None:
        """Until woken, for `poll_seconds`, or until it leads what it did not before."""
        end = time.monotonic() + self.options.poll_seconds
        while (left := end - time.monotonic()) > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, REBALANCE_SECONDS)):
                    await self._wake.wait()
                    return
            if await shards.rebalance():
                return

    async def _drain(self, connection: asyncpg.Connection, shards: Shards) -> int:
        """Publish until the outbox is empty or the broker is away; returns how many events."""
        total, backoff, lost, alone = 0, 0.2, 0, 0
        while True:
            self._wake.clear()
            await shards.rebalance()
            outcome, full = await self._publish_batch(connection, shards, alone=alone > 0)
            total += len(outcome.published)
            await self._observe(connection, shards)
            alone = max(alone - len(outcome.published), 0)
            if outcome.published or outcome.failed:
                backoff = 0.2
            if outcome.lost:
                lost += 1
            elif not outcome.broker_down:
                lost = 0
            if lost == _LOST_ROUNDS:
                log.warning("relay_looks_for_a_culprit")
                lost, alone = 0, self.options.batch_size
            if outcome.broker_down:
                log.warning("relay_waits_for_broker", wait=backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, 5.0)
            elif not full and not outcome.failed:
                return total

    async def _publish_batch(
        self, connection: asyncpg.Connection, shards: Shards, *, alone: bool
    ) -> tuple[_Outcome, bool]:
        limit = 1 if alone else self.options.batch_size
        rows = await connection.fetch(_CLAIM, limit, shards.held) if shards.held else []
        outcome = await (self._publish_alone(rows) if alone else self._publish(rows))
        if outcome.published:
            await connection.execute(_MARK, outcome.published)
        for seq, reason, attempts in outcome.failed:
            await connection.execute(
                _FAIL, seq, reason, self.options.retry_backoff_seconds, attempts
            )
        metrics.OUTBOX_PUBLISHED.labels("published").inc(len(outcome.published))
        metrics.OUTBOX_PUBLISHED.labels("failed").inc(len(outcome.failed))
        return outcome, len(rows) == limit

    async def _publish(self, rows: Sequence[asyncpg.Record]) -> _Outcome:
        """Aggregates side by side, the events of one aggregate one after the other."""
        outcome = _Outcome()
        aggregates: dict[Any, list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            aggregates[row["aggregate_id"]].append(row)
        lanes: Iterable[Sequence[Together]] = (
            [[row] for row in theirs] for theirs in aggregates.values()
        )
        if self.options.bundles_for is not None:
            lanes = bundles.bundled(lanes, self.options.bundles_for)
        await asyncio.gather(*(self._publish_in_order(lane, outcome) for lane in lanes))
        return outcome

    async def _publish_in_order(self, lane: Sequence[Together], outcome: _Outcome) -> None:
        for rows in lane:
            seqs, event_type = [row["seq"] for row in rows], rows[0]["event_type"]
            try:
                await self._publish_together(rows)
            except BrokerDownError as error:
                outcome.broker_down = True
                outcome.lost = outcome.lost or isinstance(error, ConnectionLostError)
                return
            except UnroutableError as error:
                log.error("event_unroutable", event_type=event_type)
                outcome.failed += [(seq, str(error), self.options.max_retries) for seq in seqs]
                return
            except UnpublishableError as error:
                log.error("event_unpublishable", event_type=event_type, reason=str(error))
                outcome.failed += [(seq, str(error), 1) for seq in seqs]
                return
            outcome.published += seqs

    async def _publish_alone(self, rows: Sequence[asyncpg.Record]) -> _Outcome:
        """One event on a connection that answers: if that breaks, the event broke it."""
        if not rows:
            return _Outcome()
        try:
            await self._publisher.ping()
        except BROKER_ERRORS:
            return _Outcome(broker_down=True)
        outcome = await self._publish(rows)
        if not outcome.lost:
            return outcome
        log.error("event_breaks_the_connection", event_type=rows[0]["event_type"])
        reason = "the broker closed the connection over it"
        return _Outcome(failed=[(rows[0]["seq"], reason, self.options.max_retries)])

    async def _publish_together(self, rows: Together) -> None:
        """One message of events alike; what it says of one of them it says of the first."""
        row, event_type = rows[0], rows[0]["event_type"]
        bundle = {bundles.BUNDLE: len(rows)} if len(rows) > 1 else {}
        with tracing.continued(row["trace_context"]):
            await self._publisher.publish_event(
                event_type,
                bundles.body_of([envelope(each) for each in rows]),
                message_id=str(row["event_id"]),
                correlation_id=row["correlation_id"],
                headers={
                    "event_id": str(row["event_id"]),
                    "event_type": event_type,
                    "event_version": row["event_version"],
                    "aggregate_id": str(row["aggregate_id"]),
                    SLOT: slot_of(row["aggregate_id"]),
                    "aggregate_type": row["aggregate_type"],
                    "tenant_id": row["tenant_id"],
                    **row["trace_context"],
                    **bundle,
                },
            )

    async def _observe(self, connection: asyncpg.Connection, shards: Shards) -> None:
        if time.monotonic() - self._state_at < _STATE_SECONDS:
            return
        self._state_at = time.monotonic()
        state = await connection.fetchrow(_STATE, shards.held)
        if state is not None:
            self._waiting_seconds = float(state["waiting"])
            metrics.OUTBOX_PENDING.set(state["pending"])
            metrics.OUTBOX_FAILED.set(state["failed"])
            metrics.OUTBOX_OLDEST_SECONDS.set(float(state["oldest"]))


def envelope(row: asyncpg.Record) -> bytes:
    """The event as it travels (`shared_events.envelope.Envelope`)."""
    return orjson.dumps(
        {
            "event_id": row["event_id"],
            "event_type": row["event_type"],
            "event_version": row["event_version"],
            "aggregate_id": row["aggregate_id"],
            "aggregate_type": row["aggregate_type"],
            "aggregate_seq": row["seq"],
            "tenant_id": row["tenant_id"],
            "occurred_at": row["occurred_at"],
            "correlation_id": row["correlation_id"],
            "causation_id": row["causation_id"],
            "data": row["payload"],
        },
        option=orjson.OPT_UTC_Z,
        default=str,  # asyncpg's UUID class
    )


async def redrive(database: Database, *, limit: int = 1000) -> int:
    """Give parked events another full set of attempts; returns how many."""
    async with database.system("relay") as tx:
        return await tx.execute(
            "UPDATE outbox_events SET failed_at = NULL, retry_count = 0, next_attempt_at = NULL,"
            " error_message = NULL WHERE seq IN (SELECT seq FROM outbox_events"
            " WHERE failed_at IS NOT NULL ORDER BY seq LIMIT $1)",
            limit,
        )


async def replay(database: Database, since: datetime) -> int:
    """Have all events of since then published once more, in their order; returns how many.

    For after a restore, when the bus or another service knows less than we do: whoever has applied
    an event drops it. What was published longer ago than the outbox's retention is gone.
    """
    until, total = datetime.now(UTC), 0
    while True:
        async with database.system("relay") as tx:
            replayed = await tx.execute(
                "UPDATE outbox_events SET processed_at = NULL, retry_count = 0,"
                " next_attempt_at = NULL WHERE seq IN (SELECT seq FROM outbox_events"
                " WHERE processed_at >= $1 AND processed_at < $2 ORDER BY seq LIMIT 5000)",
                since,
                until,
            )
        if not replayed:
            return total
        total += replayed


async def purge(database: Database, *, outbox_days: float, inbox_days: float) -> int:
    """Delete what is done and old, in small steps; returns how many rows."""
    total = 0
    for table, column, days in (
        ("outbox_events", "processed_at", outbox_days),
        ("processed_events", "processed_at", inbox_days),
        ("command_replies", "created_at", outbox_days),
    ):
        while True:
            async with database.system("purge") as tx:
                deleted = await tx.execute(
                    f"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table}"  # noqa: S608
                    f" WHERE {column} < now() - make_interval(secs => $1) LIMIT 5000))",
                    days * 86_400,
                )
            total += deleted
            if deleted < 5000:
                break
    return total
