"""Who writes and who answers: customers on the simulator's phones, an agent's program over REST."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
from crm_fakes.waha import WahaSimulator

AWAY = (OSError, TimeoutError, aiohttp.ClientError)
"""A gateway that is not there, or did not get to the end of its answer."""
_PAUSE_SECONDS = 1.0
_ANSWER = aiohttp.ClientTimeout(total=30)


class Api:
    """One company's REST API, through all gateways in turn, until it answers."""

    def __init__(self, gateways: list[str], http: aiohttp.ClientSession) -> None:
        self._gateways = gateways
        self._http = http
        self._turn = 0
        self.headers: dict[str, str] = {}
        self.refused = Counter[int]()

    def request(
        self, method: str, path: str, headers: Mapping[str, str], **options: Any
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Ask the next gateway once."""
        self._turn += 1
        url = f"{self._gateways[self._turn % len(self._gateways)]}/api/v1{path}"
        return self._http.request(method, url, headers={**self.headers, **headers}, **options)

    async def ask(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """The answer's body, or None where the API says no; asked again under one key."""
        key = {"Idempotency-Key": str(uuid4())} if body is not None else {}
        while True:
            try:
                async with self.request(
                    method, path, key, json=body, params=query, timeout=_ANSWER
                ) as answer:
                    content = await answer.read()
                    if answer.status < 300:
                        return orjson.loads(content) if content else {}
                    if answer.status < 429:
                        self.refused[answer.status] += 1
                        return None
            except AWAY:
                pass
            await asyncio.sleep(_PAUSE_SECONDS)


@dataclass
class Customer:
    """Somebody writing to one channel: what they wrote last, and who they are in the CRM."""

    api: Api
    session: str
    channel_id: str
    phone: str
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    wrote: str = ""
    contact_id: str = ""

    async def known(self) -> bool:
        """Whether the CRM has heard of them."""
        if not self.contact_id:
            found = await self.api.ask("GET", "/contacts", search=self.phone)
            self.contact_id = found["data"][0]["id"] if found and found["data"] else ""
        return bool(self.contact_id)


class Traffic:
    """What both sides do, chosen at random; `acts` counts it by name."""

    def __init__(
        self, waha: WahaSimulator, customers: list[Customer], chance: random.Random
    ) -> None:
        self._waha = waha
        self._customers = customers
        self._chance = chance
        self.acts = Counter[str]()
        self.written: list[str] = []
        """The ids of customers' messages, as WhatsApp has them."""

    async def act(self, number: int) -> None:
        """One customer does something, or an agent about one."""
        customer = self._chance.choice(self._customers)
        async with customer.turn:
            [act] = self._chance.choices(list(_SHARES), list(_SHARES.values()))
            if not customer.wrote or not await customer.known():
                act = Traffic._write
            self.acts[act.__name__.lstrip("_")] += 1
            await act(self, customer, f"{number}")

    async def _write(self, customer: Customer, what: str) -> None:
        message = await self._waha.receive_text(customer.session, customer.phone, what)
        customer.wrote = message.bare_id
        self.written.append(message.bare_id)

    async def _edit(self, customer: Customer, what: str) -> None:
        await self._waha.edit(customer.session, customer.wrote, f"{what}, mended")

    async def _revoke(self, customer: Customer, _: str) -> None:
        await self._waha.revoke(customer.session, customer.wrote)
        customer.wrote = ""

    async def _react(self, customer: Customer, _: str) -> None:
        await self._waha.react(customer.session, customer.wrote, "👍")

    async def _answer(self, customer: Customer, what: str) -> None:
        to = {"contact_id": customer.contact_id, "channel_id": customer.channel_id}
        await customer.api.ask("POST", "/messages/send", {**to, "content": what})

    async def _note(self, customer: Customer, what: str) -> None:
        path = f"/contacts/{customer.contact_id}/notes"
        await customer.api.ask("POST", path, {"content": what})

    async def _rename(self, customer: Customer, what: str) -> None:
        path = f"/contacts/{customer.contact_id}"
        await customer.api.ask("PATCH", path, {"name": f"Cliente {what}"})

    async def _tag(self, customer: Customer, what: str) -> None:
        path = f"/contacts/{customer.contact_id}/tags"
        await customer.api.ask("POST", path, {"tags": [f"t{int(what) % 40}"]})

    async def _close(self, customer: Customer, _: str) -> None:
        who = {"status": "active", "contact_id": customer.contact_id}
        active = await customer.api.ask("GET", "/sessions", **who)
        for session in active["data"] if active else []:
            await customer.api.ask("POST", f"/sessions/{session['id']}/close", {})


_SHARES: dict[Callable[[Traffic, Customer, str], Awaitable[None]], int] = {
    Traffic._write: 50,
    Traffic._answer: 20,
    Traffic._note: 6,
    Traffic._rename: 6,
    Traffic._tag: 5,
    Traffic._react: 4,
    Traffic._edit: 4,
    Traffic._close: 3,
    Traffic._revoke: 2,
}
"""How often each is done, of a hundred."""
