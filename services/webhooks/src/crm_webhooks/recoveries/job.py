"""Carries recoveries out, a few deliveries at a time, whichever process lives to do it."""

import asyncio
from contextlib import suppress
from typing import NoReturn

from service_kit.database import Database

from crm_webhooks.endpoints.repository import EndpointRepository
from crm_webhooks.recoveries import repository

_BACKSTOP_SECONDS = 5.0


class Recoveries:
    """The task that works them off. They take turns, so a long one holds up nobody's short one."""

    def __init__(self, database: Database, endpoints: EndpointRepository) -> None:
        self._database = database
        self._endpoints = endpoints
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is a new one."""
        self._wake.set()

    async def run(self) -> NoReturn:
        """Work until cancelled; what another process left unfinished is found after a while."""
        while True:
            self._wake.clear()
            while await self.step():
                pass
            with suppress(TimeoutError):
                async with asyncio.timeout(_BACKSTOP_SECONDS):
                    await self._wake.wait()

    async def step(self) -> bool:
        """Bring one recovery a step further; returns whether there was one."""
        async with self._database.system("recover") as tx:
            row = await repository.next_running(tx)
            if row is None:
                return False
            await tx.act_for(row.tenant_id)
            await repository.go_on(tx, row)
            await self._endpoints.announce(tx, row.endpoint_id)
        return True
