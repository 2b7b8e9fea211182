"""The CRM as a customer's program sees it: one tenant, HTTP only."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import uuid4

import httpx
from crm_fakes.receiver import ReceivedRequest, WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine

Json = dict[str, Any]
Value = TypeVar("Value")

PATIENCE_SECONDS = 60.0
PASSWORD = "correct horse battery"


class BusyError(AssertionError):
    """The platform did not answer in time, or a service of it is away: 503 or 504."""


async def eventually(
    look: Callable[[], Awaitable[Value | None]],
    what: str,
    *,
    seconds: float = PATIENCE_SECONDS,
    every: float = 0.05,
) -> Value:
    """The first truthy answer of `look`; fails naming `what` when none comes in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"within {seconds:g} s there was no {what}; last: {found!r}")
        await asyncio.sleep(every)


def of_type(event_type: str) -> Callable[[ReceivedRequest], bool]:
    """Whether a webhook tells of this type of event."""
    return lambda request: request.type == event_type


@dataclass
class Channel:
    """A number of this tenant, paired with a session of the WAHA simulator."""

    id: str
    name: str
    waha_session: str
    webhook_url: str
    hmac_key: str


class Tenant:
    """A company with its own admin, talking to the gateway."""

    def __init__(self, gateway_url: str) -> None:
        self.http = httpx.AsyncClient(base_url=f"{gateway_url}/api/v1", timeout=30)
        self.id = ""
        self.email = f"ana-{uuid4()}@example.com"
        self.user_id = ""

    async def register(self) -> "Tenant":
        """Create the company; later calls carry its admin's token."""
        answer = await self.http.post(
            "/auth/register",
            json={
                "name": "Ana Souza",
                "email": self.email,
                "password": PASSWORD,
                "organization": "Loja Exemplo",
            },
        )
        assert answer.status_code == 201, answer.text
        body = answer.json()
        self.id, self.user_id = body["tenant"]["id"], body["user"]["id"]
        self.http.headers["Authorization"] = f"Bearer {body['access_token']}"
        return self

    async def request(self, method: str, path: str, expect: int, **options: Any) -> Any:
        """One call that must answer `expect`; returns the decoded body, if there is one."""
        answer = await self.http.request(method, path, **options)
        said = f"{method} {path}: {answer.status_code} {answer.text}"
        if answer.status_code in {503, 504} - {expect}:
            raise BusyError(said)
        assert answer.status_code == expect, said
        return answer.json() if answer.content else None

    async def get(self, path: str, expect: int = 200, **query: Any) -> Any:
        """GET with a query."""
        return await self.request("GET", path, expect, params=query)

    async def post(
        self, path: str, body: Json | None = None, expect: int = 201, **headers: str
    ) -> Any:
        """POST a JSON body."""
        return await self.request("POST", path, expect, json=body or {}, headers=headers)

    async def rows(self, path: str, **query: Any) -> list[Json]:
        """All rows of a list, page by page."""
        rows: list[Json] = []
        cursor: str | None = None
        while True:
            position = {"cursor": cursor} if cursor else {}
            page = await self.request("GET", path, 200, params={"limit": 100, **query, **position})
            rows += page["data"]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                return rows

    async def channel(
        self, waha: WahaSimulator, *, engine: Engine = "GOWS", pair: bool = True, **settings: Any
    ) -> Channel:
        """Connect a number through the simulator and wait until WhatsApp is reached."""
        session = f"s-{uuid4().hex[:12]}"
        waha.engines[session] = engine
        created = await self.post(
            "/channels",
            {
                "name": f"Vendas {session}",
                "type": "waha",
                "waha": {"base_url": waha.url, "api_key": waha.api_key, "session": session},
                **settings,
            },
        )
        channel = Channel(
            created["id"],
            created["name"],
            session,
            created["webhook_url"],
            created["webhook_hmac_key"],
        )
        if pair:
            await self.post(f"/channels/{channel.id}/start", expect=200)
            await waha.sessions[session].reach(PATIENCE_SECONDS, "SCAN_QR_CODE")
            waha.scan(session)

            async def connected() -> bool:
                return bool((await self.get(f"/channels/{channel.id}"))["status"] == "connected")

            await eventually(connected, "connected channel")
        return channel

    async def endpoint(self, receiver: WebhookReceiver, *event_types: str) -> Json:
        """Have this tenant's events sent to the receiver, on a path of their own."""
        path = f"/{uuid4().hex[:8]}"
        created: Json = await self.post(
            "/webhook-endpoints",
            {"url": f"{receiver.url}{path}", "event_types": list(event_types) or ["*"]},
        )
        receiver.trust(created["secret"], path)
        return {**created, "path": path}

    async def messages(self, **query: Any) -> list[Json]:
        """This tenant's messages, in conversation order."""
        return await self.rows("/messages", **query)

    async def message_count(
        self, count: int, *, seconds: float = PATIENCE_SECONDS, **query: Any
    ) -> list[Json]:
        """Wait until there are exactly `count` messages (more fails at once)."""

        async def complete() -> list[Json] | None:
            try:
                found = await self.messages(**query)
            except BusyError:  # it is asked once more, as any client would
                return None
            assert len(found) <= count, f"{len(found)} messages instead of {count}"
            return found if len(found) == count else None

        return await eventually(complete, f"{count} messages", seconds=seconds, every=0.2)

    async def journey(self, message_id: str, *whats: str) -> Json:
        """A message's journey, once it has all these hops and the message waits for nothing."""

        async def look() -> Json | None:
            found: Json = await self.get(f"/messages/{message_id}/journey")
            there = set(whats) <= {hop["what"] for hop in found["hops"]}
            return found if there and found["waiting_for"] is None else None

        return await eventually(look, f"journey by {', '.join(whats)}")
