"""Webhooks as WAHA posts them, and where they have got to."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aio_pika
import httpx
from aio_pika.abc import AbstractIncomingMessage
from crm_gateway.settings import GatewaySettings
from crm_testing.services import eventually
from service_kit.service import Service
from shared_events import topology
from shared_events.channels import ingress


class WahaSession:
    """Posts webhooks as WAHA does for one channel."""

    def __init__(
        self,
        service: Service,
        client: httpx.AsyncClient,
        address: ingress.ChannelAddress | None = None,
    ) -> None:
        assert isinstance(service.settings, GatewaySettings)
        self.address = address or ingress.ChannelAddress(uuid4(), uuid4())
        master_key = service.settings.ingress_master_key.get_secret_value()
        self.path = f"/webhooks/waha/{ingress.channel_token(master_key, self.address)}"
        self.key = ingress.webhook_hmac_key(master_key, self.address)
        self._client = client

    async def post(self, body: bytes, **headers: str) -> httpx.Response:
        signed = {
            "Content-Type": "application/json",
            "X-Webhook-Hmac": ingress.body_signature(self.key, body),
            "X-Webhook-Hmac-Algorithm": "sha512",
        }
        return await self._client.post(self.path, content=body, headers={**signed, **headers})

    def owns(self, message: AbstractIncomingMessage) -> bool:
        return message.headers["channel_id"] == str(self.address.channel_id)


@asynccontextmanager
async def consuming(
    url: str, *queues: topology.EventQueue
) -> AsyncIterator[list[AbstractIncomingMessage]]:
    """What arrives in these queues, from now on and in their order."""
    arrived: list[AbstractIncomingMessage] = []

    async def keep(message: AbstractIncomingMessage) -> None:
        arrived.append(message)

    connection = await aio_pika.connect(url)
    async with connection:
        channel = await connection.channel()
        for part in itertools.chain(*(q.partitions(topology.PARTITIONS) for q in queues)):
            await (await channel.get_queue(part.name)).consume(keep, no_ack=True)
        yield arrived


async def take(url: str, waha: WahaSession, count: int) -> list[AbstractIncomingMessage]:
    """So many messages of this channel, from either of the gateway's queues."""
    async with consuming(url, topology.WAHA_MESSAGES, topology.WAHA_NOTICES) as arrived:

        async def complete() -> bool:
            return sum(waha.owns(message) for message in arrived) >= count

        await eventually(complete)
    mine = [message for message in arrived if waha.owns(message)]
    assert len(mine) == count
    return mine


async def spooled(service: Service, waha: WahaSession) -> int:
    """How many of the channel's company wait in the spool."""
    async with service.database.tenant(str(waha.address.tenant_id)) as tx:
        return int(await tx.fetchval("SELECT count(*) FROM ingress_spool"))
