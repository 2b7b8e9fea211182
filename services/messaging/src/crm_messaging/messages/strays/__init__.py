"""Messages without a conversation: what the release before stores while an update rolls (ADR 19).

That release runs on the schema of this one and knows no conversations. Whatever it stores joins its
conversation within seconds, so there is nothing to repeat once the last of its processes is gone.
"""

import asyncio

import structlog
from prometheus_client import Gauge
from service_kit.database import Database, is_busy, is_infrastructure

from crm_messaging.messages.strays import repository, service

log = structlog.get_logger()

STRAYS = Gauge("crm_stray_messages", "Messages without a conversation at the last look")
STRAYS.set(float("nan"))  # nobody has looked yet

_BATCH = 500
_COUNTED = 10_000
_LOCK_SECONDS = 0.5
"""As events do: whoever waits for a row holds others'."""


class Strays:
    """Looks for strays, at once and then every so many seconds, in any number of processes.

    The look is at an index that holds nothing else: as long as there are none, it is empty.
    """

    def __init__(self, database: Database, seconds: float) -> None:
        self._database = database
        self._seconds = seconds

    async def run(self) -> None:
        """Look forever."""
        while True:
            await self.once()
            await asyncio.sleep(self._seconds)

    async def once(self) -> None:
        """Let all that are there join their conversations, company after company."""
        waiting = await self._count()
        if waiting:
            tenant_id = await self._next("")
            while tenant_id is not None:
                await self._join(tenant_id)
                tenant_id = await self._next(tenant_id)
            waiting = await self._count()
        STRAYS.set(waiting)

    async def _count(self) -> int:
        async with self._database.system(repository.SCOPE) as tx:
            return await repository.count(tx, _COUNTED)

    async def _next(self, tenant_id: str) -> str | None:
        async with self._database.system(repository.SCOPE) as tx:
            return await repository.next_tenant(tx, tenant_id)

    async def _join(self, tenant_id: str) -> None:
        """Those of one company. That they cannot join must not keep the others waiting."""
        joined = 0
        try:
            while True:
                async with self._database.tenants([tenant_id], lock_seconds=_LOCK_SECONDS) as tx:
                    found = await service.join(tx, _BATCH)
                joined += found
                if found < _BATCH:
                    break
        except Exception as error:
            if is_infrastructure(error):
                raise
            if not is_busy(error):
                log.exception("strays_not_joined", tenant=tenant_id)
        if joined:
            log.info("strays_joined", tenant=tenant_id, count=joined)
