"""No message is lost and none is doubled while any one dependency is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually
from e2e.stack import SERVICES, Platform

CUSTOMERS = 20


@dataclass
class Traffic:
    """Customers writing in turn; `texts` are all messages WhatsApp handed to its webhooks."""

    waha: WahaSimulator
    session: str
    texts: list[str] = field(default_factory=list)

    async def write(self, count: int, *, per_second: float) -> None:
        """`count` messages at a steady rate; WAHA's own retries see to a deaf gateway."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for number in range(count):
            phone = f"55119333300{number % CUSTOMERS:02}"
            text = f"mensagem {len(self.texts):04}"
            self.texts.append(text)
            await self.waha.receive_text(
                self.session, phone, text, timestamp=1_784_800_000 + len(self.texts)
            )
            await asyncio.sleep(max(0.0, begun + number / per_second - loop.time()))

    async def reached(self, count: int) -> None:
        """Wait until so many messages were written."""

        async def written() -> bool:
            return len(self.texts) >= count

        await eventually(written, f"{count} messages written", every=0.01)


@asynccontextmanager
async def watched(
    tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver, count: int
) -> AsyncIterator[Traffic]:
    """Traffic, then the proof: each message stored once, in order, and told to the receiver."""
    channel = await tenant.channel(waha)
    await tenant.endpoint(receiver, "message.received")
    traffic = Traffic(waha, channel.waha_session)
    yield traffic
    messages = await tenant.message_count(count, seconds=90)
    assert sorted(m["content"] for m in messages) == sorted(traffic.texts)
    by_contact: dict[str, list[str]] = {}
    for message in messages:
        by_contact.setdefault(message["contact_id"], []).append(message["content"])
    assert len(by_contact) == CUSTOMERS
    for contents in by_contact.values():
        assert contents == sorted(contents)
    for conversation in {m["conversation_id"] for m in messages}:
        own = [m["seq"] for m in messages if m["conversation_id"] == conversation]
        assert sorted(own) == list(range(1, len(own) + 1))
    told = await _told(receiver, count)
    assert told == {m["id"] for m in messages}
    ids = {r.id: r.json["data"]["message"]["id"] for r in receiver.of_type("message.received")}
    assert len(ids) == count, "a repeated delivery must keep its webhook-id"


async def _told(receiver: WebhookReceiver, count: int) -> set[str]:
    def ids() -> set[str]:
        requests = receiver.of_type("message.received")
        assert all(r.signature_valid for r in requests)
        return {r.json["data"]["message"]["id"] for r in requests}

    await receiver.wait_for(lambda _: len(ids()) >= count, timeout=90)
    return ids()


class TestKillMinusNine:
    @pytest.mark.parametrize("service", SERVICES)
    async def test_of_a_service_in_the_middle_of_500_messages(
        self,
        platform: Platform,
        tenant: Tenant,
        waha: WahaSimulator,
        receiver: WebhookReceiver,
        service: str,
    ) -> None:
        async with watched(tenant, waha, receiver, 500) as traffic:
            writing = asyncio.create_task(traffic.write(500, per_second=120))
            for moment in (100, 300):
                await traffic.reached(moment)
                platform.kill(service)
                await platform.healthy(service)
            await writing


class TestBrokerDown:
    async def test_for_20_seconds_while_messages_keep_arriving(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        async with watched(tenant, waha, receiver, 300) as traffic:
            await traffic.write(50, per_second=50)
            await platform.crm_dev("stop", "rabbitmq")
            try:
                await traffic.write(200, per_second=10)
                await waha.settled()
                attempts = [len(d.attempts) for d in waha.deliveries if d.event == "message.any"]
                assert set(attempts) == {1}, "ingress must have answered 200 at once"
                refused = await tenant.http.get("/contacts")
                assert refused.status_code == 503 and "Retry-After" in refused.headers
            finally:
                await platform.crm_dev("start", "rabbitmq")
            await platform.healthy()
            await traffic.write(50, per_second=50)


class TestDatabaseRestart:
    async def test_loses_nothing(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        async with watched(tenant, waha, receiver, 300) as traffic:
            writing = asyncio.create_task(traffic.write(300, per_second=60))
            await traffic.reached(100)
            await platform.crm_dev("stop", "postgres")
            try:
                await platform.healthy("messaging", status="unhealthy")
            finally:
                await platform.crm_dev("start", "postgres")
            await writing
            await platform.healthy()
