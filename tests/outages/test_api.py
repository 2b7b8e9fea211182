"""A service that takes requests and does not get on."""

from collections.abc import Awaitable, Callable

import pytest
from e2e.crm import Tenant
from e2e.stack import Platform

from outages.causes import again_and_again, all_of, held
from outages.watch import Watch

AT_ONCE = 40
"""More than both processes have connections for."""


def asks(tenant: Tenant) -> Callable[[], Awaitable[object]]:
    """Somebody looks at their contacts, whatever comes of it."""
    return lambda: tenant.http.get("/contacts")


@pytest.mark.timeout(1200)
class TestApi:
    async def test_a_table_is_locked(
        self, platform: Platform, watch: Watch, tenant: Tenant
    ) -> None:
        await watch.sees(
            all_of(
                held(platform, "LOCK TABLE contacts.contacts IN ACCESS EXCLUSIVE MODE"),
                *(again_and_again(asks(tenant)) for _ in range(AT_ONCE)),
            ),
            "PoolExhausted requests contacts",
            "ApiFails",
            "RequestsTimeOut /contacts",
        )
