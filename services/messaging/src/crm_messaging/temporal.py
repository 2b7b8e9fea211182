"""The connection to Temporal: held while it can be, missed without harm while it cannot.

Nothing waits for Temporal (design section 6). The client is there or not; the workers run behind
it and are rebuilt with it whenever either fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from prometheus_client import Gauge
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

log = structlog.get_logger()

WORKERS_RUN = Gauge("crm_temporal_workers", "Temporal workers running in this process")
GRACE = timedelta(seconds=5)
"""How long running activities may take to finish when the process stops."""


class Temporal:
    """One client and the workers behind it."""

    def __init__(
        self,
        address: str,
        namespace: str,
        build_workers: Callable[[Client], Sequence[Worker]],
        on_connect: Callable[[Client], Awaitable[None]],
    ) -> None:
        self._address = address
        self._namespace = namespace
        self._build_workers = build_workers
        self._on_connect = on_connect
        self.client: Client | None = None

    async def run(self) -> None:
        """Connect and work until cancelled; raises when Temporal cannot be reached or served."""
        client = await Client.connect(
            self._address, namespace=self._namespace, data_converter=pydantic_data_converter
        )
        await self._on_connect(client)
        workers = self._build_workers(client)
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
