"""A service that takes requests and does not get on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
from e2e.crm import Tenant
from e2e.stack import Platform

from outages.causes import again_and_again, all_of, database, held
from outages.watch import Watch

LOCK = "LOCK TABLE contacts.contacts IN ACCESS EXCLUSIVE MODE"
AT_ONCE = 40
"""More than both processes have connections for."""


def crowd(tenant: Tenant) -> AbstractAsyncContextManager[None]:
    """Many look at their contacts, whatever comes of it."""
    return all_of(*(again_and_again(lambda: tenant.http.get("/contacts")) for _ in range(AT_ONCE)))


def stuck(platform: Platform) -> AbstractAsyncContextManager[None]:
    """Somebody holds a table, and does not let it go."""
    return held(platform, LOCK)


@asynccontextmanager
async def slow(platform: Platform) -> AsyncIterator[None]:
    """Somebody holds a table for two seconds, again and again: all are answered, and late."""
    async with database(platform) as connection:

        async def hold() -> None:
            async with connection.transaction():
                await connection.execute(LOCK)
                await asyncio.sleep(2)

        async with again_and_again(hold):
            yield


@pytest.mark.timeout(1200)
class TestApi:
    async def test_a_table_is_stuck(self, platform: Platform, watch: Watch, tenant: Tenant) -> None:
        await watch.sees(
            all_of(stuck(platform), crowd(tenant)),
            "ApiFails",
            "RequestsTimeOut /api/v1/contacts",
            perhaps={"PoolExhausted"},  # until most requests are refused at once
        )

    async def test_a_table_is_slow(self, platform: Platform, watch: Watch, tenant: Tenant) -> None:
        await watch.sees(
            all_of(slow(platform), crowd(tenant)),
            "PoolExhausted requests contacts",
            "ApiFails",  # what is more than so slow a service is given is refused
        )
