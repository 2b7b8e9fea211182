"""What is away takes its own routes with it and no others, and says so without letting wait."""

import pytest

from e2e.crm import Tenant, eventually
from e2e.stack import Platform

READS = {
    "contacts": "/contacts",
    "messaging": "/conversations",
    "channels-waha": "/channels",
    "webhooks": "/webhook-endpoints",
    "gateway": "/agents",
}
"""A route of each service."""


@pytest.mark.parametrize("away", [name for name in READS if name != "gateway"])
async def test_a_service_takes_its_own_routes_with_it(
    platform: Platform, tenant: Tenant, away: str
) -> None:
    async def codes() -> dict[str, str]:
        found = {}
        for name, path in READS.items():
            answer = await tenant.http.get(path)
            found[name] = "" if answer.is_success else answer.json()["code"]
            assert answer.is_success or answer.headers["Retry-After"] == "1"
        return found

    async def all_there() -> bool:
        return not any((await codes()).values())

    await eventually(all_there, "every service answers")
    await platform.crm_dev("stop", away)
    try:
        # `no_answer` would say that somebody waited for it until there was no more time.
        assert await codes() == {**dict.fromkeys(READS, ""), away: "service_unavailable"}
    finally:
        await platform.crm_dev("start", away)
    await eventually(all_there, "every service answers again")
