"""What merges are undone by is kept as long as they can be, and no longer: it tells of people."""

import asyncio

from service_kit.database import Database

from crm_contacts.merging import handing_back
from crm_contacts.merging.parting import UNDO_DAYS

_EVERY_SECONDS = 3600.0


class Forgetting:
    """A standing task; any number of processes may have it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Forget old merges, for ever."""
        while True:
            await self.once()
            await asyncio.sleep(_EVERY_SECONDS)

    async def once(self) -> None:
        """Forget those of all companies that can be undone no more, some at a time."""
        more = True
        while more:
            async with self._database.system("merges") as tx:
                more = await handing_back.purge(tx, days=UNDO_DAYS)
