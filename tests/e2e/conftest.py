"""One platform for all journeys; a tenant, a WhatsApp and a receiver for each."""

from collections.abc import AsyncIterator

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant
from e2e.stack import Platform, running_platform


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """As it runs by default: without an exporter, which would clean what strangers send."""
    async with running_platform(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
async def tenant(platform: Platform) -> AsyncIterator[Tenant]:
    company = await Tenant(platform.gateway_url).register()
    yield company
    await company.http.aclose()


@pytest.fixture
async def waha() -> AsyncIterator[WahaSimulator]:
    async with WahaSimulator(time_scale=0.25) as simulator:
        yield simulator


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as server:
        yield server
