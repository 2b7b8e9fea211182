"""Figure 4: webhooks a second, from events on the bus to customers' endpoints.

Everything is running; only webhooks has work to do. One company with ENDPOINTS endpoints shows the
fan-out; ENDPOINTS companies with one each, what a batch of many companies costs.
"""

import asyncio
import time
from datetime import UTC, datetime
from uuid import uuid4

import orjson
from crm_dev.state import StackState
from service_kit.bus import Publisher
from shared_events import examples
from shared_events.slots import SLOT, slot_of

from bench.figures import Figure
from bench.platform import Company, Crowd, Sink

ENDPOINTS = 100
EACH = 100
_EVENT = "message.received"
_AT_ONCE = 200
_PATIENCE_SECONDS = 120.0


async def each_to_its_own(crowd: Crowd, sink: Sink, state: StackState) -> list[Figure]:
    """EACH events for each of ENDPOINTS companies, one after the other company."""
    tenants = [company.tenant_id for company in crowd.companies[:ENDPOINTS]]
    rate = await _deliver(tenants * EACH, ENDPOINTS * EACH, sink, state)
    return [("4 deliveries, 1 to 1", f"{rate:6.0f}/s   (to {ENDPOINTS} companies)")]


async def one_to_all(company: Company, sink: Sink, state: StackState) -> list[Figure]:
    """EACH events of one company with ENDPOINTS endpoints."""
    for _ in range(ENDPOINTS - 1):
        await company.subscribe(sink.url)
    rate = await _deliver([company.tenant_id] * EACH, ENDPOINTS * EACH, sink, state)
    return [("4 deliveries, fan-out", f"{rate:6.0f}/s   (to {ENDPOINTS} endpoints of one)")]


async def _deliver(tenants: list[str], expected: int, sink: Sink, state: StackState) -> float:
    """Publish one event for each of these; returns webhooks a second until the last arrived."""
    publisher = Publisher(state.addresses.amqp_url)
    await publisher.connect()
    template = examples.load(_EVENT)
    before, begun = sink.webhooks, time.perf_counter()
    places = asyncio.Semaphore(_AT_ONCE)

    async def publish(tenant_id: str) -> None:
        event_id, aggregate_id = uuid4(), uuid4()
        now = datetime.now(UTC).isoformat()
        body = {
            **template,
            "event_id": event_id,
            "aggregate_id": aggregate_id,
            "tenant_id": tenant_id,
            "occurred_at": now,
        }
        headers = {
            "event_id": str(event_id),
            "event_type": _EVENT,
            "event_version": "1",
            "aggregate_id": str(aggregate_id),
            "tenant_id": tenant_id,
            SLOT: slot_of(aggregate_id),
        }
        async with places:
            await publisher.publish_event(
                _EVENT,
                orjson.dumps(body),
                message_id=str(event_id),
                headers=headers,
                correlation_id=None,
            )

    try:
        await asyncio.gather(*map(publish, tenants))
    finally:
        await publisher.close()
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while sink.webhooks < before + expected:  # noqa: ASYNC110 - the sink counts
            await asyncio.sleep(0.01)
    return expected / (time.perf_counter() - begun)
