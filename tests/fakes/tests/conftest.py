from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import Engine, WahaSession, WahaSimulator

KEY = "simulator-key"
HMAC_KEY = "channel-hmac-key"
CRM_EVENTS = ["session.status", "message.any", "message.ack", "message.ack.group"]


class Shop:
    """A simulator with one session whose webhooks go to a receiver, and a client of its API."""

    def __init__(
        self, waha: WahaSimulator, receiver: WebhookReceiver, http: aiohttp.ClientSession
    ) -> None:
        self.waha = waha
        self.receiver = receiver
        self.http = http

    def config(self, **hook: Any) -> dict[str, Any]:
        return {
            "metadata": {"channel.id": "chan-7"},
            "webhooks": [
                {"url": self.receiver.url, "events": CRM_EVENTS, "hmac": {"key": HMAC_KEY}} | hook
            ],
        }

    async def open(self, engine: Engine = "GOWS", name: str = "loja", **hook: Any) -> WahaSession:
        session = self.waha.create_session(name, self.config(**hook), engine=engine)
        self.waha.scan(name)
        await self.receiver.wait_for(
            lambda r: r.type == "session.status" and r.json["payload"]["status"] == "WORKING"
        )
        return session

    async def call(self, method: str, path: str, body: Any = None, **kwargs: Any) -> Any:
        async with self.http.request(method, path, json=body, **kwargs) as response:
            value = await response.json() if response.content_type == "application/json" else None
            return response.status, value

    async def send_text(self, text: str = "Olá", *, timeout: float = 10.0, **fields: Any) -> Any:
        body = {"session": "loja", "chatId": "5511988880001@c.us", "text": text} | fields
        return await self.call(
            "POST", "/api/sendText", body, timeout=aiohttp.ClientTimeout(timeout)
        )

    async def webhooks(self, event: str, count: int = 1) -> list[dict[str, Any]]:
        found = await self.receiver.wait_for_count(count, lambda r: r.type == event)
        return [request.json for request in found]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    # Who delivers ends first: what a server that leaves has just accepted, nobody closes.
    async with (
        WebhookReceiver() as receiver,
        WahaSimulator(api_key=KEY, time_scale=0.01) as waha,
        aiohttp.ClientSession(waha.url, headers={"X-Api-Key": KEY}) as http,
    ):
        yield Shop(waha, receiver, http)
