"""One platform for all journeys; a tenant, a WhatsApp and a receiver for each."""

from collections.abc import AsyncIterator

import pytest
from crm_dev.ports import is_taken
from crm_fakes.collector import TraceCollector
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant
from e2e.stack import Platform


@pytest.fixture(scope="session")
async def collector() -> AsyncIterator[TraceCollector]:
    async with TraceCollector() as server:
        yield server


@pytest.fixture(scope="session")
async def platform(
    tmp_path_factory: pytest.TempPathFactory, collector: TraceCollector
) -> AsyncIterator[Platform]:
    stack = Platform(
        tmp_path_factory.mktemp("stack"),
        free_port_block(),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="200",  # milliseconds until spans are sent
    )
    await stack.crm_dev("up")
    try:
        yield stack
    finally:
        await stack.crm_dev("down")


def free_port_block() -> int:
    """A base whose whole block is free and below the ports the kernel gives to clients."""
    blocks = (
        base for base in range(20_000, 32_000, 20) if not any(map(is_taken, range(base, base + 20)))
    )
    return next(blocks)


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
