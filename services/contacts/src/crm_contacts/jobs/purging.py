"""What was kept of jobs and their files for long enough goes."""

import asyncio

from service_kit.database import Database

from crm_contacts.jobs import repository

_EVERY_SECONDS = 600.0


class Purging:
    """A standing task; any number of processes may have it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Remove it, for ever."""
        while True:
            more = True
            while more:
                async with self._database.system("jobs") as tx:
                    more = await repository.purge(tx)
            await asyncio.sleep(_EVERY_SECONDS)
