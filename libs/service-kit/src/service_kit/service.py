"""A service process: what it stands on, the order it starts in, the order it stops in.

The HTTP port (health, metrics, the gateway's API) is open from the first moment; everything else
comes up behind it as the database and the broker become reachable, and readiness tells the truth
meanwhile. Losing a dependency later is nobody's end: each part waits and goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import cast
from urllib.parse import urlsplit

import structlog
from aio_pika.abc import AbstractRobustConnection
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from faststream.rabbit import RabbitBroker, RabbitRouter
from shared_events import topology
from shared_events.envelope import Data, EventData
from shared_events.registry import EVENTS
from shared_events.services import ServiceName

from service_kit import health, tracing
from service_kit.batch import Router
from service_kit.bus import Publisher, connect, discard, make_broker
from service_kit.calls import Asked, ExternalHandler, RequestHandler, RequestType, Value
from service_kit.database import Database, NotConnectedError
from service_kit.incoming import Body, EventHandler, Handler, Reader
from service_kit.relay import Relay, RelayOptions, purge
from service_kit.request_server import AnyRequest, RequestServer
from service_kit.revisions import check_revision
from service_kit.settings import ConfigurationError, ServiceSettings
from service_kit.subscriptions import Subscriptions

log = structlog.get_logger()

Background = Callable[[], Awaitable[None]]
OnStop = Callable[[], Awaitable[None]]
_PURGE_EVERY_SECONDS = 3600.0
_ON_STOP_SECONDS = 5.0
_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own; spans are OpenTelemetry's instrumentation's (`service_kit.tracing`)."""


class NotStartedError(Exception):
    """The process is up, but does not answer or consume yet."""


class Service:
    """One deployable service. Build it in `app.py`, then `service_kit.main` runs it."""

    def __init__(self, name: ServiceName, settings: ServiceSettings) -> None:
        self.name = name
        self.settings = settings
        self.database = Database(
            settings.postgres_dsn, name.schema, pool_size=settings.db_pool_size
        )
        self.publisher = Publisher(settings.amqp_url, EVENTS.get(name, ()))
        self.relay = Relay(
            self.database,
            self.publisher,
            RelayOptions(
                settings.outbox_batch_size,
                settings.outbox_poll_seconds,
                settings.outbox_max_retries,
                settings.outbox_retry_backoff_seconds,
            ),
        )
        self.health = health.Health(name.name)
        self.health.require("database", self._check_database)
        self.health.require("rabbitmq", self.publisher.ping)
        self.health.require("startup", self.check_started)
        if settings.temporal_address is not None:
            self.health.prefer("temporal", self._check_temporal)
        self.app = FastAPI(
            title=name.name, lifespan=self._lifespan, openapi_url=None, telemetry=_NO_TELEMETRY
        )
        tracing.instrument_app(self.app)
        self.app.include_router(health.router(self.health))
        self._requests = RequestServer(name, self.database)
        self._subscriptions = Subscriptions(self.database, self.publisher, settings, self._requests)
        self._consuming: tuple[RabbitBroker, AbstractRobustConnection] | None = None
        self._background: dict[str, Background] = {"relay": self.relay.run, "purge": self._purge}
        self._tasks: list[asyncio.Task[None]] = []
        self._on_stop: list[OnStop] = []
        self._spoken: list[RabbitRouter] = []
        self.migrated = asyncio.Event()
        self.started = asyncio.Event()
        """Set once it answers and consumes, for whoever starts it to wait for."""

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
        self, queue: topology.EventQueue, event: type[Data], handler: EventHandler[Data]
    ) -> None:
        """Apply events of this type that arrive in the queue."""
        self._subscriptions.on(queue, event, handler)

    def ignore(self, queue: topology.EventQueue, event: type[EventData]) -> None:
        """Say that events of this type arrive in the queue and mean nothing to its consumer."""
        self._subscriptions.on(queue, event, None)

    def consume(
        self,
        queue: topology.EventQueue,
        read: Reader[Body],
        handler: Handler[Body],
        *,
        linger: float | None = None,
    ) -> None:
        """Apply whatever arrives in the queue, read by a reader of one's own.

        `linger` is for queues nobody waits for: seconds to gather a batch, whatever the rate.
        """
        self._subscriptions.consume(queue, read, handler, linger)

    def background(self, name: str, task: Background) -> None:
        """Run a task once the database is migrated; when it raises, again after a pause."""
        if name in self._background:
            raise ConfigurationError([f"there are two background tasks {name}"])
        self._background[name] = task

    def on_stop(self, callback: OnStop) -> None:
        """Await this when nothing runs any more (to close an HTTP client); the last added first.

        Database and publisher are still there. A callback has 5 seconds; what it raises is logged.
        """
        self._on_stop.append(callback)

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
        self._tasks = [
            asyncio.create_task(self._keep(name, task), name=name)
            for name, task in {
                "database": self._bring_up_database,
                "broker": self._bring_up_broker,
                **{n: self._when_migrated(t) for n, t in self._background.items()},
            }.items()
        ]
        try:
            yield
        finally:
            await self._stop()

    async def _keep(self, name: str, task: Background) -> None:
        """Run a task to its end, starting it over with a growing pause whenever it raises."""
        pause = 0.2
        while True:
            started = asyncio.get_running_loop().time()
            try:
                await task()
                return
            except Exception as error:
                if asyncio.get_running_loop().time() - started > 30:
                    pause = 0.2
                log.warning("task_restarts", task=name, error=repr(error), pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)

    def _when_migrated(self, task: Background) -> Background:
        async def run() -> None:
            await self.migrated.wait()
            await task()

        return run

    async def _bring_up_database(self) -> None:
        await self.database.connect()
        async with self.database.acquire() as connection:
            await check_revision(connection, self.name.package)
        self.migrated.set()
        log.info("database_ready")

    async def _bring_up_broker(self) -> None:
        await self.publisher.connect()
        # Others' queues too: what is told before its consumer was ever deployed waits for it.
        queues = {*topology.QUEUES, *self._subscriptions.queues}
        await self.publisher.declare(queues, self.settings.consumer_retry_delays_seconds)
        log.info("broker_ready")
        await self.migrated.wait()
        await self._stop_consuming()
        broker = make_broker(self.settings.amqp_url, confirms=False)
        broker.include_router(self.router())
        self._consuming = broker, await connect(broker)
        await self._requests.bind(broker)
        self.started.set()
        log.info("service_ready")

    async def _stop_consuming(self) -> None:
        opened, self._consuming = self._consuming, None
        if opened is not None:
            broker, connection = opened
            with suppress(Exception):
                await broker.stop()  # lets what is in hand finish
            await discard(broker, connection)

    async def _stop(self) -> None:
        """Take nothing new, finish what is in hand, hand over what is written, disconnect."""
        self.health.draining = True
        with suppress(TimeoutError):
            async with asyncio.timeout(self.settings.shutdown_grace_seconds):
                await self._stop_consuming()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for callback in reversed(self._on_stop):
            try:
                async with asyncio.timeout(_ON_STOP_SECONDS):
                    await callback()
            except Exception as error:
                log.warning("on_stop_failed", error=repr(error))
        with suppress(Exception):
            await self.publisher.close()
        await self.database.close()
        tracing.shutdown()
        log.info("service_stopped")

    async def _check_database(self) -> None:
        if not self.migrated.is_set():
            raise NotConnectedError("not connected or not migrated")
        async with self.database.acquire() as connection:
            await connection.fetchval("SELECT 1")

    async def check_started(self) -> None:
        """Raise until it has answered and consumed for the first time."""
        if not self.started.is_set():
            raise NotStartedError("not subscribed yet")

    async def _check_temporal(self) -> None:
        address = urlsplit(f"//{self.settings.temporal_address}")
        _, writer = await asyncio.open_connection(address.hostname, address.port or 7233)
        writer.close()
        await writer.wait_closed()

    async def _purge(self) -> None:
        while True:
            await purge(
                self.database,
                outbox_days=self.settings.outbox_retention_days,
                inbox_days=self.settings.inbox_retention_days,
            )
            await asyncio.sleep(_PURGE_EVERY_SECONDS)
