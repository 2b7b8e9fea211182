"""What is kept for a time only goes: a standing task, in any number of processes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn

from service_kit.database import Database, Transaction

Purge = Callable[[Transaction], Awaitable[bool]]
"""Removes some of what is old, of all tenants; whether there may be more."""


async def purge_forever(
    database: Database, scope: str, purge: Purge, *, every_seconds: float
) -> NoReturn:
    """Remove all that is old, some in a transaction of this system scope, and again later."""
    while True:
        more = True
        while more:
            async with database.system(scope) as tx:
                more = await purge(tx)
        await asyncio.sleep(every_seconds)
