"""The standing task that gives and takes sessions, in any number of processes.

It is woken by what may give it work, with the commit of that, and looks by itself now and then:
what was told while a connection was lost is not lost.
"""

import asyncio
from contextlib import suppress

import asyncpg
import structlog
from service_kit.database import Database, NotConnectedError

from crm_messaging.replicas.repository import ASSIGN
from crm_messaging.sessions import departures, distribution

log = structlog.get_logger()

_LONGEST_SECONDS = 30.0
_BUSY_SECONDS = 0.5
"""Before what somebody holds is tried again."""


class Assigner:
    """Takes sessions from agents who left, and gives what is nobody's to those who are there.

    Each step is a short transaction of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Work for ever; raises when the connection it hears by is lost."""
        ear = await self._database.dedicated("assigner")
        try:
            await ear.add_listener(ASSIGN, lambda *_: self._wake.set())
            ear.add_termination_listener(lambda *_: self._wake.set())
            while True:
                self._wake.clear()
                await self._work_off(ear)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LONGEST_SECONDS):
                        await self._wake.wait()
        finally:
            with suppress(Exception):
                await asyncio.shield(ear.close(timeout=5))

    async def _work_off(self, ear: asyncpg.Connection) -> None:
        """Do all there is to do now."""
        while True:
            if ear.is_closed():
                raise NotConnectedError("the connection broke")
            await ear.fetchval("SELECT 1")  # one that broke in silence
            taken, more_to_take = await departures.once(self._database)
            given, more_to_give = await distribution.once(self._database)
            if taken or given:
                log.info("sessions_assigned", taken=taken, given=given)
            elif more_to_take or more_to_give:
                await asyncio.sleep(_BUSY_SECONDS)
            else:
                return
