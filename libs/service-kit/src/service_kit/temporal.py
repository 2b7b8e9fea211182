"""The connection to Temporal: held while it can be, missed without harm while it cannot.

Nothing waits for Temporal. The client is there or not; what works with it is rebuilt with it
whenever either fails. Importing this module costs 20 MB: `Service` does so for those who have a
server.
"""

import asyncio
import socket
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta

import structlog
from prometheus_client import Gauge
from temporalio.client import Client, Interceptor
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError, TLSConfig
from temporalio.worker import Worker

from service_kit import tracing
from service_kit.settings import ServiceSettings

log = structlog.get_logger()

WORKERS_RUN = Gauge("crm_temporal_workers", "Temporal workers running in this process")
GRACE = timedelta(seconds=5)
"""How long running activities may take to finish when the process stops."""

CALL_SECONDS = 1.0
"""A connected client keeps a call to a dead server for 10 s; nobody here waits that long."""
UNREACHABLE = (RPCError, RuntimeError, OSError)

MakeWorker = Callable[[Client], Worker]
Beside = Callable[[Client], Coroutine[None, None, None]]


def _tls(settings: ServiceSettings) -> TLSConfig | bool:
    ca, cert, key = (
        settings.temporal_tls_ca,
        settings.temporal_tls_cert,
        settings.temporal_tls_key,
    )
    if not ca and not cert:
        return settings.temporal_tls or bool(settings.temporal_api_key)
    return TLSConfig(
        server_root_ca_cert=ca.encode() if ca else None,
        client_cert=cert.encode() if cert else None,
        client_private_key=key.get_secret_value().encode() if key else None,
    )


def _interceptors() -> Sequence[Interceptor]:
    """Spans of workflows and activities, while somebody takes them."""
    if not tracing.is_recording():
        return []
    # Imported by those who export only.
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor()]


class Temporal:
    """One client of a service and the workers behind it, which the features add."""

    def __init__(self, service: str, address: str, settings: ServiceSettings) -> None:
        self._service = service
        self._address = address
        self._settings = settings
        self._workers: list[MakeWorker] = []
        self._beside: list[Beside] = []
        self.client: Client | None = None

    def worker(self, make: MakeWorker) -> None:
        """Run this worker while connected."""
        self._workers.append(make)

    def beside(self, task: Beside) -> None:
        """Run this with every new client, beside the workers; when it raises, all begin anew."""
        self._beside.append(task)

    async def connect(self) -> Client:
        """A client of the server that the settings name; raises RuntimeError or RPCError."""
        key = self._settings.temporal_api_key
        return await Client.connect(
            self._address,
            namespace=self._settings.temporal_namespace,
            tls=_tls(self._settings),
            api_key=key.get_secret_value() if key else None,
            identity=f"crm-{self._service}@{socket.gethostname()}",
            data_converter=pydantic_data_converter,
            interceptors=_interceptors(),
        )

    async def run(self) -> None:
        """Connect and work until cancelled; raises when Temporal cannot be reached or served."""
        client = await self.connect()
        workers = [make(client) for make in self._workers]
        self.client = client
        WORKERS_RUN.set(len(workers))
        log.info("temporal_connected")
        try:
            async with asyncio.TaskGroup() as group:
                for worker in workers:
                    group.create_task(worker.run())
                for task in self._beside:
                    group.create_task(task(client))
        finally:
            self.client = None
            WORKERS_RUN.set(0)

    async def check(self) -> None:
        """Health: raises unless Temporal answers and our workers run."""
        if self.client is None:
            raise ConnectionError("not connected")
        if not await self.client.service_client.check_health(timeout=timedelta(seconds=1)):
            raise ConnectionError("not serving")
