"""One platform for all outages, watched by a real Prometheus with the alerts we ship, in a hurry.

Nothing waits here for what waits for minutes elsewhere; what alerts compare with stays as it is.
"""

from collections.abc import AsyncIterator

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from e2e.crm import Tenant
from e2e.stack import Platform, running_platform

from outages import scaled
from outages.watch import Watch

SETTINGS = {
    "CRM_REPLICAS": "contacts=2",
    "WAHA_STALLED_AFTER_SECONDS": "1",
    "WAHA_QUIET_SECONDS": "1",
    "WAHA_QUIET_MAX_SECONDS": "4",
    "WAHA_DEAF_GRACE_SECONDS": "2",
    "WAHA_REPAIR_SECONDS": "2",
    "WAHA_REPAIR_MAX_SECONDS": "4",
    "MEDIA_RETRY_SECONDS": "0.1",
    "MEDIA_RETRY_MAX_SECONDS": "0.1",
    "RETRY_SCHEDULE_SECONDS": "1,1",
    "WAHA_RETRY_MAX_SECONDS": "1",
}


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    directory = tmp_path_factory.mktemp("outages")
    rules = scaled.write(directory / "rules")
    async with running_platform(directory / "stack", CRM_OBSERVE=str(rules), **SETTINGS) as stack:
        yield stack


@pytest.fixture(scope="session")
async def watch(platform: Platform) -> AsyncIterator[Watch]:
    watching = Watch(platform.url("prometheus"))
    yield watching
    await watching.close()


@pytest.fixture
async def tenant(platform: Platform) -> AsyncIterator[Tenant]:
    """A company that leaves no channel behind, on which an alert would go on."""
    company = await Tenant(platform.gateway_url).register()
    yield company
    for channel in await company.rows("/channels"):
        await company.request("DELETE", f"/channels/{channel['id']}", 204)
    await company.http.aclose()


@pytest.fixture
async def waha() -> AsyncIterator[WahaSimulator]:
    async with WahaSimulator(time_scale=0.25) as simulator:
        yield simulator


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as server:
        yield server
