"""One trace from WAHA's POST to the customer's endpoint.

Publications are FastStream's spans, queries and calls OpenTelemetry's, hops ours.
"""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from crm_fakes import examples
from crm_fakes.collector import TraceCollector
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually, of_type
from e2e.journeys.test_examples import post
from e2e.stack import Platform, running_platform

HOPS = {
    ("gateway", "receive WAHA webhook"),
    ("channels-waha", "consume waha.messages"),
    ("gateway", "waha.events publish"),
    ("channels-waha", "domain.events.channel.message_received publish"),
    ("contacts", "consume contacts.channel_events"),
    ("messaging", "consume messaging.channel_events"),
    ("messaging", "domain.events.message.received publish"),
    ("webhooks", "consume webhooks.delivery"),
    ("webhooks", "deliver message.received"),
}


@pytest.fixture(scope="module")
async def collector() -> AsyncIterator[TraceCollector]:
    async with TraceCollector() as server:
        yield server


@pytest.fixture(scope="module")
async def platform(
    tmp_path_factory: pytest.TempPathFactory, collector: TraceCollector
) -> AsyncIterator[Platform]:
    """A platform that exports its spans."""
    async with running_platform(
        tmp_path_factory.mktemp("traced"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="200",  # milliseconds until spans are sent
    ) as stack:
        yield stack


class TestTrace:
    async def test_of_a_message_has_every_hop_and_reaches_the_customer(
        self,
        tenant: Tenant,
        waha: WahaSimulator,
        receiver: WebhookReceiver,
        collector: TraceCollector,
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        await tenant.endpoint(receiver, "message.received")
        trace_id, caller_id = uuid4().hex, uuid4().hex[:16]
        await post(
            tenant,
            channel,
            examples.by_name("text_inbound_dm_gows"),
            traceparent=f"00-{trace_id}-{caller_id}-01",
        )

        async def complete() -> bool:
            return {(span.service, span.name) for span in collector.trace(trace_id)} >= HOPS

        await eventually(complete, "trace with every hop")
        delivered = await receiver.wait_for(of_type("message.received"))
        spans = {span.span_id: span for span in collector.trace(trace_id)}
        _, told_trace, told_parent, _ = delivered.headers["traceparent"].split("-")
        assert told_trace == trace_id
        posted = spans[told_parent]
        assert (posted.service, posted.name) == ("webhooks", "POST")
        assert spans[posted.parent_id].name == "deliver message.received"
        queried = {s.service for s in spans.values() if s.name.startswith(("INSERT", "SELECT"))}
        assert queried >= {"channels-waha", "contacts", "messaging", "webhooks"}
        shown = " ".join(value for span in collector.spans for value in span.attributes)
        told = examples.by_name("text_inbound_dm_gows").body["payload"]
        for secret in (told["body"], channel.webhook_url.rpartition("/")[2], channel.hmac_key):
            assert secret not in shown
        # Every hop hangs on one before it, back to whoever posted.
        assert all(s.parent_id in spans or s.parent_id == caller_id for s in spans.values())
