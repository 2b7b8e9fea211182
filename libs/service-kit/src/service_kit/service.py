"""A service process: what it stands on, the order it starts in, the order it stops in.

The HTTP port (health, metrics, the gateway's API) is open from the first moment; everything else
comes up behind it as the database and the broker become reachable, and readiness tells the truth
meanwhile. Losing a dependency later is nobody's end: each part waits and goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, cast

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from faststream.rabbit import RabbitRouter
from shared_events import topology
from shared_events.envelope import Data, EventData
from shared_events.registry import EVENTS
from shared_events.services import ServiceName

from service_kit import health, tracing
from service_kit.ailments import Examination
from service_kit.bus import Publisher
from service_kit.calls import Asked, ExternalHandler, RequestHandler, RequestType, Value
from service_kit.consuming import Consuming
from service_kit.database import Database, NotConnectedError
from service_kit.incoming import Body, EventHandler, Handler, Reader
from service_kit.lag import Lag
from service_kit.relay import Relay, RelayOptions, purge
from service_kit.request_server import AnyRequest, RequestServer
from service_kit.resealing import SealedColumn, Turned, TurnKeys
from service_kit.revisions import check_revision
from service_kit.router import Router
from service_kit.settings import ConfigurationError, ServiceSettings
from service_kit.subscriptions import Subscriptions
from service_kit.supervision import Supervisor

if TYPE_CHECKING:
    from service_kit.temporal import Temporal

log = structlog.get_logger()

Background = Callable[[], Awaitable[None]]
OnStop = Callable[[], Awaitable[None]]
_PURGE_EVERY_SECONDS = 3600.0
_ON_STOP_SECONDS = 5.0
_EVENT_SECONDS = 10.0
_LOCK_SECONDS = 0.5
"""How long events may wait for a row that somebody holds, before they make room for others."""
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own; spans are OpenTelemetry's instrumentation's (`service_kit.tracing`)."""


class NotStartedError(Exception):
    """The process is up, but what it stands on is not there yet, or not any more."""


class Service:
    """One deployable service. Build it in `app.py`, then `service_kit.main` runs it."""

    def __init__(self, name: ServiceName, settings: ServiceSettings) -> None:
        self.name = name
        self.settings = settings
        # Pools by purpose: what one holds, none of the others waits for.
        self.database = self._pool("pool")
        self._for_requests = self._pool("requests")
        self._for_events = self._pool(
            "events", statement_seconds=_EVENT_SECONDS, lock_seconds=_LOCK_SECONDS, by_key=True
        )
        self._for_health = Database(
            settings.postgres_dsn, name.schema, pool_size=1, purpose="health"
        )
        self._for_features: list[Database] = []
        self.publisher = Publisher(settings.amqp_url, EVENTS.get(name, ()))
        self.relay = Relay(
            self.database,
            self.publisher,
            RelayOptions(
                settings.outbox_batch_size,
                settings.outbox_poll_seconds,
                settings.outbox_max_retries,
                settings.outbox_retry_backoff_seconds,
                settings.bus_partitions if settings.outbox_bundles else None,
            ),
        )
        self.app = FastAPI(
            title=name.name, lifespan=self._lifespan, openapi_url=None, telemetry=_NO_TELEMETRY
        )
        tracing.instrument_app(self.app)
        self._requests = RequestServer(name, self._for_requests, settings.signatures)
        self._subscriptions = Subscriptions(
            self._for_events, self.publisher, settings, self._requests
        )
        self.consuming = Consuming(settings, self.publisher, self._subscriptions, self._requests)
        self._on_stop: list[OnStop] = []
        self.keys: dict[str, TurnKeys] = {}
        self.examinations: dict[str, Examination] = {}
        self._spoken: list[RabbitRouter] = []
        self.migrated = asyncio.Event()
        self.lag = Lag()
        self._tasks = Supervisor()
        self._tasks.add("lag", self.lag.run)
        self._tasks.add("database", self._bring_up_database)
        self._tasks.add("publishing", self._publish)
        self._tasks.add("consuming", self._when_migrated(self.consuming.run))
        self.background("relay", self.relay.run)
        self.background("purge", self._purge)
        self.temporal = self._work_with_temporal()
        self.health = self._make_health()
        self.app.include_router(health.router(self.health))

    def _pool(self, purpose: str, *, by_key: bool = False, **limits: float) -> Database:
        return Database(
            self.settings.postgres_dsn,
            self.name.schema,
            pool_size=self.settings.db_pool_size,
            purpose=purpose,
            by_key=by_key,
            **limits,
        )

    def pool(self, purpose: str, size: int) -> Database:
        """Another pool, for a feature that must not wait for what the others do."""
        pool = Database(
            self.settings.postgres_dsn, self.name.schema, pool_size=size, purpose=purpose
        )
        self._for_features.append(pool)
        return pool

    @property
    def pools(self) -> tuple[Database, ...]:
        """All it has of the database but what stands alone: opened and closed with the process."""
        pools = [self.database, self._for_health, *self._for_features]
        if self._requests.requests:
            pools.append(self._for_requests)
        if self._subscriptions.queues:
            pools.append(self._for_events)
        return tuple(pools)

    def _make_health(self) -> health.Health:
        checks = health.Health(self.name.name)
        checks.require("database", self._check_database)
        checks.require("rabbitmq", self.publisher.ping)
        checks.require("topology", self.check_topology)
        checks.require("publishing", self.relay.check)
        checks.require("consuming", self.consuming.check)
        checks.prefer("tasks", self._tasks.check)
        if self.temporal is not None:
            checks.prefer("temporal", self.temporal.check)
        return checks

    def _work_with_temporal(self) -> "Temporal | None":
        """A connection with the outbox's workflow on it; None when no address is set."""
        if not self.settings.temporal_address:
            return None
        # Their packages cost 20 MB, which only those pay who have a server.
        from service_kit.outbox_processor import OutboxProcessor, configured
        from service_kit.temporal import Temporal

        temporal = Temporal(self.name.name, self.settings.temporal_address, self.settings)
        processor = OutboxProcessor(self.name.name, self.relay, configured(self.settings))
        temporal.worker(processor.worker)
        temporal.beside(processor.keep)
        self.background("temporal", temporal.run)
        return temporal

    def answer(
        self, request: RequestType[Asked, Value], handler: RequestHandler[Asked, Value]
    ) -> None:
        """Answer this request, in a transaction for the caller's tenant."""
        self._requests.answer(cast(AnyRequest, request), handler)

    def answer_external(
        self, request: RequestType[Asked, Value], handler: ExternalHandler[Asked, Value]
    ) -> None:
        """Answer this request, which talks to somebody outside and opens its own transactions."""
        self._requests.answer_external(cast(AnyRequest, request), handler)

    def on(
        self,
        queue: topology.EventQueue,
        event: type[Data],
        handler: EventHandler[Data],
        *,
        together: bool = False,
    ) -> None:
        """Apply events of this type that arrive in the queue, each company's by themselves.

        `together`: a batch's in one call, whosever they are, so that what it costs does not grow
        with the number of companies.
        """
        self._subscriptions.on(queue, event, handler, together=together)

    def ignore(self, queue: topology.EventQueue, event: type[EventData]) -> None:
        """Say that events of this type arrive in the queue and mean nothing to its consumer."""
        self._subscriptions.on(queue, event, None, together=False)

    def consume(
        self,
        queue: topology.EventQueue,
        read: Reader[Body],
        handler: Handler[Body],
        *,
        linger: float | None = None,
        together: bool = False,
    ) -> None:
        """Apply whatever arrives in the queue, read by a reader of one's own; else as `on`.

        `linger` is for queues nobody waits for: seconds to gather a batch, whatever the rate.
        """
        self._subscriptions.consume(queue, read, handler, linger, together=together)

    def background(self, name: str, task: Background) -> None:
        """Run a task once the database is migrated; when it raises, again after a pause."""
        try:
            self._tasks.add(name, self._when_migrated(task))
        except ValueError as error:
            raise ConfigurationError([str(error)]) from None

    def on_stop(self, callback: OnStop) -> None:
        """Await this when nothing runs any more (to close an HTTP client); the last added first.

        The database is still there. A callback has 5 seconds; what it raises is logged.
        """
        self._on_stop.append(callback)

    def keeps_sealed(self, column: SealedColumn) -> None:
        """Say that this column follows the newest key when keys are turned (`keys rotate`)."""

        async def turn(change: bool) -> Turned:
            return await column.turn(self.database, change=change)

        self.turns_keys(f"{column.table}.{column.column}", turn)

    def turns_keys(self, what: str, turn: TurnKeys) -> None:
        """Have `keys rotate` do this too, in the order of what was said first."""
        self.keys[what] = turn

    def examines(self, what: str, examination: Examination) -> None:
        """Have `doctor` ask this too. The pool may be used; it is closed if the server is away."""
        self.examinations[what] = examination

    def speaks(self, router: RabbitRouter) -> None:
        """Show in AsyncAPI what a connection of the service's own says and hears."""
        self._spoken.append(router)

    @property
    def routers(self) -> Sequence[RabbitRouter]:
        """All that it hears, answers and says, for AsyncAPI."""
        return (self.router(), self.publisher.router, *self._spoken)

    def router(self) -> Router:
        """All that it hears and answers, as FastStream subscribers.

        Raises ConfigurationError for an event that is bound to a queue and that nobody handles.
        """
        return self._subscriptions.router()

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        del app
        self.router()
        self._tasks.start()
        try:
            yield
        finally:
            await self._stop()

    def _when_migrated(self, task: Background) -> Background:
        async def run() -> None:
            await self.migrated.wait()
            await task()

        return run

    async def _bring_up_database(self) -> None:
        for pool in self.pools:
            await pool.connect()
        async with self.database.acquire() as connection:
            await check_revision(connection, self.name.package)
        self.migrated.set()
        log.info("database_ready")

    async def _publish(self) -> None:
        await self.publisher.run(
            self._subscriptions.queues,
            self.settings.consumer_retry_delays_seconds,
            topology.queues_told(self.name),
            self.settings.bus_partitions,
        )

    async def _stop(self) -> None:
        """Take nothing new, finish what is in hand, disconnect."""
        self.health.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.shutdown_grace_seconds):
                await self.consuming.leave()
        await self._tasks.stop()
        await self.release()
        for pool in self.pools:
            await pool.close()
        tracing.shutdown()
        log.info("service_stopped")

    async def release(self) -> None:
        """Close what the features hold: their `on_stop` callbacks, the last added first."""
        for callback in reversed(self._on_stop):
            try:
                async with asyncio.timeout(_ON_STOP_SECONDS):
                    await callback()
            except Exception as error:
                log.warning("on_stop_failed", error=repr(error))

    async def _check_database(self) -> None:
        if not self.migrated.is_set():
            raise NotConnectedError("not connected or not migrated")
        async with self._for_health.acquire() as connection:
            await connection.fetchval("SELECT 1")

    async def check_topology(self) -> None:
        """Raise while the bus is not declared."""
        if not self.publisher.declared.is_set():
            raise NotStartedError("not declared")

    async def _purge(self) -> None:
        while True:
            await purge(
                self.database,
                outbox_days=self.settings.outbox_retention_days,
                inbox_days=self.settings.inbox_retention_days,
            )
            await asyncio.sleep(_PURGE_EVERY_SECONDS)
