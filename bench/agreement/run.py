"""One run: companies, what both sides do for an hour, and what the three accounts say of it."""

import asyncio
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import aiohttp
import orjson
from crm_fakes.waha import WahaSimulator

from bench.agreement.accounts import Account, Event, Reader, disagreements
from bench.agreement.people import Api, Customer, Traffic
from bench.http import SinkConnection
from bench.load import at_rate
from bench.soak.storm import GoneError, Storm, plan
from bench.stack import state_of

_PEOPLE = 20
_LOOK_SECONDS = 0.5
_PATIENCE_SECONDS = 120.0
"""How long nothing may move before what is missing counts as missed."""


@dataclass(frozen=True)
class Wish:
    """What a run is to be; `per_second` counts acts of both sides."""

    seconds: float
    per_second: float
    kill_every: float
    broker_restarts: int = 1
    companies: int = 2
    seed: int = 0


class Company:
    """A tenant whose events are heard in three ways from the moment `listen` returns."""

    def __init__(self, gateways: list[str], http: aiohttp.ClientSession) -> None:
        self.api = Api(gateways, http)
        self._reader = Reader(self.api)
        self.accounts = {name: Account() for name in ("webhooks", "stream", "feed")}
        self.log = Account()
        self._begun = ""
        self._server: asyncio.Server | None = None
        self._following: list[asyncio.Task[None]] = []

    async def found(self) -> None:
        """Register, and go on by an API key, which no login ends."""
        who = {"email": f"{uuid4()}@example.com", "password": secrets.token_hex(8)}
        joined = await self.api.ask(
            "POST", "/auth/register", {"name": "Ana", "organization": "Mixed", **who}
        )
        self.api.headers = {"Authorization": f"Bearer {joined['access_token']}"}
        key = await self.api.ask("POST", "/api-keys", {"name": "mixed"})
        self.api.headers = {"X-Api-Key": key["key"]}

    async def people(self, waha: WahaSimulator, number: int) -> list[Customer]:
        """Customers of a channel that is connected."""
        session = f"mixed-{number}"
        access = {"base_url": waha.url, "api_key": waha.api_key, "session": session}
        channel = await self.api.ask(
            "POST", "/channels", {"name": session, "type": "waha", "waha": access}
        )
        await self.api.ask("POST", f"/channels/{channel['id']}/start", {})
        await waha.sessions[session].reach(60, "SCAN_QR_CODE")
        waha.scan(session)
        await self._connected(channel["id"])
        phones = (f"55119{number:02}{n:06}" for n in range(_PEOPLE))
        return [Customer(self.api, session, channel["id"], phone) for phone in phones]

    async def _connected(self, channel_id: str) -> None:
        status = ""
        while status != "connected":
            await asyncio.sleep(_LOOK_SECONDS)
            status = (await self.api.ask("GET", f"/channels/{channel_id}"))["status"]

    async def listen(self) -> None:
        """Hear of everything from now on, in all three ways."""
        loop = asyncio.get_running_loop()
        hear = self.accounts["webhooks"].hear
        self._server = await loop.create_server(
            lambda: SinkConnection(lambda body: hear(orjson.loads(body))), "127.0.0.1", 0
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        await self.api.ask(
            "POST",
            "/webhook-endpoints",
            {"url": f"http://{host}:{port}/", "event_types": ["*"]},
        )
        self._begun = await self._reader.read(None, lambda _: None)
        self._following = [
            asyncio.create_task(self._reader.follow(self._begun, self.accounts["stream"])),
            asyncio.create_task(self._reader.keep_reading(self._begun, self.accounts["feed"])),
        ]

    async def heard(self) -> list[str]:
        """Where the three differ from the log, read anew from where they began."""
        self.log = Account()
        await self._reader.read(self._begun, self.log.hear)
        return disagreements(self.log, self.accounts)

    def stop(self) -> None:
        """Hear no more."""
        for task in self._following:
            task.cancel()
        if self._server is not None:
            self._server.close()

    def __str__(self) -> str:
        told = "  ".join(
            f"{name} {len(account.events)} ({account.again} again)"
            for name, account in self.accounts.items()
        )
        return f"log {len(self.log.events)}: {told}, {self._reader.streams} streams"


async def run(directory: Path, wish: Wish, tell: Callable[[str], None]) -> list[str]:
    """Let it all happen; returns what was lost and where the accounts disagree."""
    gateways = state_of(directory).addresses.gateway_urls
    chance = random.Random(wish.seed)
    async with aiohttp.ClientSession() as http, WahaSimulator() as waha:
        companies = [Company(gateways, http) for _ in range(wish.companies)]
        customers: list[Customer] = []
        for number, company in enumerate(companies):
            await company.found()
            customers += await company.people(waha, number)
            await company.listen()
        traffic = Traffic(waha, customers, chance)
        storm = Storm(directory, chance, lambda blow: tell(f"{'':8}{blow}"))
        blows = plan(wish.seconds, every=wish.kill_every, broker=wish.broker_restarts, database=0)
        raging = asyncio.create_task(storm.rage(blows))
        try:
            await at_rate(traffic.act, per_second=wish.per_second, seconds=wish.seconds)
            await raging
            await storm.passed()
            await waha.settled(timeout=300)
            faults = await _settled(companies, tell)
        except GoneError as error:
            faults = [str(error)]
        finally:
            raging.cancel()
            for company in companies:
                company.stop()
        tell(f"acts {dict(traffic.acts.most_common())}")
        tell(f"refused {[dict(company.api.refused) for company in companies]}")
        tell(f"{storm.kills} processes killed, {storm.restarts} servers restarted")
        told = [event for company in companies for event in company.log.events.values()]
        return faults + _lost(traffic.written, told)


async def _settled(companies: list[Company], tell: Callable[[str], None]) -> list[str]:
    """Wait until the accounts agree, or as long as something still moves."""
    loop = asyncio.get_running_loop()
    moved, last = loop.time(), ""
    while True:
        faults = [fault for company in companies for fault in await company.heard()]
        now = "\n".join(str(company) for company in companies)
        if now != last:
            moved, last = loop.time(), now
        quiet = loop.time() - moved
        if quiet > (_PATIENCE_SECONDS if faults else 10.0):
            tell(now)
            return faults
        await asyncio.sleep(_LOOK_SECONDS)


def _lost(written: list[str], told: list[Event]) -> list[str]:
    """Messages of customers that are not told exactly once."""
    received = [
        event["data"]["message"]["external_id"]
        for event in told
        if event["type"] == "message.received"
    ]
    lost, doubled = len(set(written) - set(received)), len(received) - len(set(received))
    counted = {"written and never told": lost, "told twice as something new": doubled}
    return [f"{count} messages {what}" for what, count in counted.items() if count]
