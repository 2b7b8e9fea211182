"""The platform under test: one company with a channel and a webhook endpoint."""

import asyncio
import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

import aiohttp
import orjson
from crm_fakes import examples

from bench.http import Client, SinkConnection

WAHA_ATTEMPTS = 16
CUSTOMERS = 200


@dataclass(frozen=True, slots=True)
class Webhook:
    """A message's id at WhatsApp, and its signed webhook with where it goes."""

    bare_id: str
    url: str
    body: bytes
    headers: dict[str, str]


class Traffic(Protocol):
    """Who writes, and to whom."""

    def webhook(self, number: int) -> Webhook:
        """A signed text message of one of CUSTOMERS people."""

    async def post(self, webhook: Webhook) -> None:
        """Hand one webhook to the ingress."""


class Sink:
    """A customer's system: answers 200 and remembers when each message's webhook came."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}
        self.webhooks = 0
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self.url = ""

    async def start(self) -> None:
        """Listen on a free loopback port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: SinkConnection(self._take), "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}/"

    async def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.close()

    def _take(self, content: bytes) -> None:
        now = time.perf_counter()
        body = orjson.loads(content)
        self.webhooks += 1
        if body["type"] == "message.received":
            self.arrived.setdefault(body["data"]["message"]["external_id"], now)
            self._changed.set()

    async def wait_for(self, wanted: set[str], seconds: float) -> int:
        """Wait until these messages have arrived; returns how many are missing after `seconds`."""
        deadline = time.perf_counter() + seconds
        while missing := len(wanted - self.arrived.keys()):
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.01, deadline - time.perf_counter())):
                    await self._changed.wait()
            except TimeoutError:
                return missing
        return 0


@dataclass(frozen=True)
class Channel:
    """A number whose WAHA webhooks the bench writes itself."""

    webhook_url: str
    hmac_key: bytes
    payload: dict[str, Any]

    def text(self, phone: str, bare_id: str) -> tuple[bytes, dict[str, str]]:
        """A text message of this person under this id: the signed body and its headers."""
        payload = {
            **self.payload["payload"],
            "id": f"false_{phone}@c.us_{bare_id}",
            "from": f"{phone}@c.us",
            "timestamp": int(time.time()),
        }
        body = orjson.dumps({**self.payload, "id": f"evt_{bare_id}", "payload": payload})
        return body, {
            "Content-Type": "application/json",
            "X-Webhook-Hmac": hmac.digest(self.hmac_key, body, "sha512").hex(),
            "X-Webhook-Hmac-Algorithm": "sha512",
        }


class Company:
    """A tenant, its endpoint, and the channel that the figures write to."""

    def __init__(self, gateway_url: str, http: aiohttp.ClientSession) -> None:
        self.http = http
        self._waha = Client()
        self.api = f"{gateway_url}/api/v1"
        self.headers: dict[str, str] = {}
        self.refused = 0
        self.tenant_id = ""
        self._channel: Channel | None = None

    async def found(self, sink: Sink) -> None:
        """Register, subscribe the sink to received messages, create a channel."""
        await self.register(sink.url)
        self._channel = await self.channel("bench")

    async def register(self, sink_url: str) -> None:
        """Register, and have received messages told to this address."""
        joined = await self.call(
            "POST",
            "/auth/register",
            {
                "name": "Bench",
                "email": f"{uuid4()}@example.com",
                "password": secrets.token_hex(8),
                "organization": "Bench",
            },
        )
        self.headers = {"Authorization": f"Bearer {joined['access_token']}"}
        self.tenant_id = joined["tenant"]["id"]
        await self.subscribe(sink_url)

    async def subscribe(self, sink_url: str) -> None:
        """One more endpoint that is told of received messages."""
        wanted = {"url": sink_url, "event_types": ["message.received"]}
        await self.call("POST", "/webhook-endpoints", wanted)

    async def channel(self, session: str) -> Channel:
        """Create a channel that stands for this session of WAHA."""
        waha = {"base_url": "http://127.0.0.1:9", "api_key": "x", "session": session}
        created = await self.call(
            "POST", "/channels", {"name": session, "type": "waha", "waha": waha}
        )
        example = examples.by_name("text_inbound_dm_gows").body
        return Channel(
            created["webhook_url"],
            created["webhook_hmac_key"].encode(),
            {**example, "session": session},
        )

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """One REST call that must succeed."""
        async with self.http.request(
            method, f"{self.api}{path}", json=body, headers=self.headers
        ) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: {answer.status} {content!r}")
            return orjson.loads(content) if content else None

    def webhook(self, number: int) -> Webhook:
        """A signed text message of one of CUSTOMERS people."""
        bare_id = f"AC{secrets.token_hex(15).upper()}"
        body, headers = self._founded.text(f"55119{number % CUSTOMERS:08}", bare_id)
        return Webhook(bare_id, self._founded.webhook_url, body, headers)

    @property
    def _founded(self) -> Channel:
        if self._channel is None:
            raise RuntimeError("a company is founded first")
        return self._channel

    async def post(self, webhook: Webhook) -> None:
        """Hand one webhook to the ingress; a refused one comes again after 2 s, as WAHA does."""
        for _ in range(WAHA_ATTEMPTS):
            if await self._waha.post(webhook.url, webhook.body, webhook.headers) == 200:
                return
            self.refused += 1
            await asyncio.sleep(2)
        raise RuntimeError("the ingress refused a webhook 16 times")


class Crowd:
    """CUSTOMERS companies, each with one customer."""

    def __init__(self, gateway_url: str, http: aiohttp.ClientSession) -> None:
        self.companies = [Company(gateway_url, http) for _ in range(CUSTOMERS)]

    async def found(self, sink: Sink) -> None:
        """Make them all, a few at a time: a password is hashed for each."""
        for start in range(0, CUSTOMERS, 4):
            await asyncio.gather(*(c.found(sink) for c in self.companies[start : start + 4]))

    def webhook(self, number: int) -> Webhook:
        """A message of the customer of one of the companies."""
        return self.companies[number % CUSTOMERS].webhook(0)

    async def post(self, webhook: Webhook) -> None:
        """Hand one webhook to the ingress."""
        await self.companies[0].post(webhook)
