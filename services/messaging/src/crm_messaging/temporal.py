"""The connection to Temporal: held while it can be, missed without harm while it cannot.

Nothing waits for Temporal. The client is there or not; the workers run behind it and are rebuilt
with it whenever either fails.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from prometheus_client import Gauge
from service_kit import tracing
from temporalio.client import Client, Interceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig
from temporalio.worker import Worker

from crm_messaging.settings import MessagingSettings

log = structlog.get_logger()

WORKERS_RUN = Gauge("crm_temporal_workers", "Temporal workers running in this process")
IDENTITY = f"crm-messaging@{socket.gethostname()}"
GRACE = timedelta(seconds=5)
"""How long running activities may take to finish when the process stops."""

CALL_SECONDS = 1.0
"""A connected client keeps a call to a dead server for 10 s; nobody here waits that long."""
UNREACHABLE = (RPCError, RuntimeError, OSError)

MakeWorker = Callable[[Client], Worker]
OnConnect = Callable[[Client], Awaitable[None]]


def _tls(settings: MessagingSettings) -> TLSConfig | bool:
    ca, cert, key = (
        settings.temporal_tls_ca,
        settings.temporal_tls_cert,
        settings.temporal_tls_key,
    )
    if ca is None and cert is None:
        return settings.temporal_tls or settings.temporal_api_key is not None
    return TLSConfig(
        server_root_ca_cert=None if ca is None else ca.encode(),
        client_cert=None if cert is None else cert.encode(),
        client_private_key=None if key is None else key.get_secret_value().encode(),
    )


def _interceptors() -> Sequence[Interceptor]:
    """Spans of workflows and activities, while somebody takes them."""
    if not tracing.is_recording():
        return []
    # Imported by those who export only.
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor()]


class Temporal:
    """One client and the workers behind it, which the features add."""

    def __init__(
        self,
        address: str,
        namespace: str,
        *,
        tls: TLSConfig | bool = False,
        api_key: str | None = None,
    ) -> None:
        self._address = address
        self._namespace = namespace
        self._tls = tls
        self._api_key = api_key
        self._workers: list[MakeWorker] = []
        self._on_connect: list[OnConnect] = []
        self.client: Client | None = None

    @classmethod
    def of(cls, settings: MessagingSettings) -> "Temporal | None":
        """The connection these settings name; None when they name no address."""
        if settings.temporal_address is None:
            return None
        key = settings.temporal_api_key
        return cls(
            settings.temporal_address,
            settings.temporal_namespace,
            tls=_tls(settings),
            api_key=None if key is None else key.get_secret_value(),
        )

    def worker(self, make: MakeWorker) -> None:
        """Run this worker while connected."""
        self._workers.append(make)

    def on_connect(self, callback: OnConnect) -> None:
        """Await this with every new client, before the workers run."""
        self._on_connect.append(callback)

    async def run(self) -> None:
        """Connect and work until cancelled; raises when Temporal cannot be reached or served."""
        client = await Client.connect(
            self._address,
            namespace=self._namespace,
            tls=self._tls,
            api_key=self._api_key,
            data_converter=pydantic_data_converter,
            interceptors=_interceptors(),
        )
        for callback in self._on_connect:
            await callback(client)
        workers = [make(client) for make in self._workers]
        self.client = client
        WORKERS_RUN.set(len(workers))
        log.info("temporal_connected")
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker.run())
        finally:
            self.client = None
            WORKERS_RUN.set(0)

    async def check(self) -> None:
        """Health: raises unless Temporal answers and our workers run."""
        if self.client is None:
            raise ConnectionError("not connected")
        if not await self.client.service_client.check_health(timeout=timedelta(seconds=1)):
            raise ConnectionError("not serving")
