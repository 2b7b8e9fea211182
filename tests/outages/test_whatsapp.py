"""WAHA servers that are away, take no key, keep silent or lose files; strangers at the door."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from crm_fakes.waha import WahaSimulator
from e2e.crm import Channel, Tenant, eventually

from outages.causes import again_and_again, all_of, answer, writes
from outages.watch import Watch

CUSTOMER = "5511933330001"


@asynccontextmanager
async def silence(waha: WahaSimulator, tenant: Tenant, channel: Channel) -> AsyncIterator[None]:
    """Customers go on writing and the session tells nobody, however often it is restarted.

    One message would not do: what is missed in the second of what was heard last shows nothing,
    and what comes while a session restarts is told to nobody, so that nobody hears it is well.
    """

    async def hears() -> bool:
        health = await tenant.get(f"/channels/{channel.id}/health")
        return health["deaf_since"] is None

    await waha.deafen(channel.waha_session, restarts=1_000_000)
    async with again_and_again(writes(waha, channel), every=2):
        yield
        await waha.deafen(channel.waha_session, restarts=0)
        await eventually(hears, "channel that hears")


@asynccontextmanager
async def refusal(waha: WahaSimulator, tenant: Tenant, channel: Channel) -> AsyncIterator[None]:
    """The server has a new key, which we do not know."""
    waha.faults.add("unauthorized")
    for text in ("is refused", "waits behind it"):
        await answer(tenant, channel, text)
    yield
    waha.faults.clear()


@asynccontextmanager
async def absence(waha: WahaSimulator, tenant: Tenant, channel: Channel) -> AsyncIterator[None]:
    """The server is gone while somebody answers."""
    await waha.stop()
    await answer(tenant, channel, "waits for its server")
    yield
    await waha.start()


@asynccontextmanager
async def no_files(waha: WahaSimulator, channel: Channel) -> AsyncIterator[None]:
    """Pictures come and their files do not."""
    waha.faults.add("file_error")
    async with again_and_again(lambda: waha.receive_image(channel.waha_session, CUSTOMER), every=3):
        yield
    waha.faults.clear()


@asynccontextmanager
async def strangers(channel: Channel) -> AsyncIterator[None]:
    """Somebody knows the address and not the key."""
    headers = {"X-Webhook-Hmac": "0" * 128, "X-Webhook-Hmac-Algorithm": "sha512"}
    async with (
        httpx.AsyncClient() as http,
        again_and_again(lambda: http.post(channel.webhook_url, content=b"{}", headers=headers)),
    ):
        yield


@pytest.mark.timeout(1200)
class TestWhatsApp:
    async def test_does_not_take_or_give(self, watch: Watch, tenant: Tenant) -> None:
        servers = [WahaSimulator(time_scale=0.25) for _ in range(4)]
        async with all_of(*servers):
            channels = await asyncio.gather(*map(tenant.channel, servers))
            for waha, channel in zip(servers, channels, strict=True):
                await writes(waha, channel)()
            await tenant.message_count(len(channels))
            away, refused, deaf, empty = channels
            await watch.sees(
                all_of(
                    absence(servers[0], tenant, away),
                    refusal(servers[1], tenant, refused),
                    silence(servers[2], tenant, deaf),
                    no_files(servers[3], empty),
                    strangers(empty),
                ),
                f"MessagesStall {away.id} pending",
                f"MessagesStall {refused.id} pending",
                "WahaFails",
                "WahaRefuses",
                f"ChannelDeaf {deaf.id}",
                "FilesFail",
                "IngressUnproven",
            )
