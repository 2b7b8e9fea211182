"""One platform for all journeys; a tenant, a WhatsApp and a receiver for each."""

from collections.abc import AsyncIterator

import pytest
from crm_dev.ports import free_ports
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant
from e2e.stack import Platform


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    stack = Platform(tmp_path_factory.mktemp("stack"), free_port_block())
    await stack.crm_dev("up")
    try:
        yield stack
    finally:
        await stack.crm_dev("down")


def free_port_block() -> int:
    """A base with its whole block free, far from the one developers use."""
    while True:
        base = free_ports(1)[0]
        if 20_000 < base < 60_000:
            return base


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
