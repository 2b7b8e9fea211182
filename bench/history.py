"""Figure 10: an import of MESSAGES of a channel's history, and what live messages wait meanwhile.

Through the gateway, with everything running; WAHA is the simulator, in this process. Another
company's customers write RATE messages a second, first alone and then beside the import. Alone:
`MESSAGES=100000 python -m bench.history`.
"""

import asyncio
import os
import time
from typing import Any

import aiohttp
import asyncpg
import uvloop
from crm_dev.state import StackState
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Message

from bench import figures
from bench.figures import Figure
from bench.imports import ended
from bench.load import Latencies, at_rate
from bench.platform import CUSTOMERS, Company, Sink
from bench.stack import running, state_of

MESSAGES = int(os.environ.get("MESSAGES", "50000"))
CHATS = 100
RATE = 20
_SESSION = "historia"
_ALONE_SECONDS = 60
_LONGEST_SECONDS = 1800
_STORED = "SELECT count(*) FROM messaging.messages WHERE historical"
_PORT_BASE = "19280"


async def imported(
    importing: Company, live: Company, sink: Sink, state: StackState
) -> list[Figure]:
    """Import MESSAGES into one company while the customers of another write."""
    async with WahaSimulator(acks="none", echo=False) as waha:
        channel = await _connected(importing, waha)
        _remember(waha)
        await _live(live, sink, seconds=CUSTOMERS / RATE)  # their sessions are open then
        alone = await _live(live, sink, seconds=_ALONE_SECONDS)
        over = asyncio.Event()
        before = figures.cpu_seconds(state)
        beside = asyncio.create_task(_live(live, sink, seconds=_LONGEST_SECONDS, over=over))
        begun = time.perf_counter()
        job = await importing.call("POST", f"/channels/{channel['id']}/history-imports", {})
        job = await ended(importing, "history-imports", job)
        await _all_stored(state)
        seconds = time.perf_counter() - begun
        over.set()
        spent = figures.spent(before, figures.cpu_seconds(state), MESSAGES)
    rate = f"{MESSAGES} messages in {seconds:.0f} s: {MESSAGES / seconds:.0f}/s, {job['state']}"
    return [
        ("10 history", f"{rate}, errors {job['errors']}"),
        ("10 history, processor time", spent),
        ("10 live, alone", f"{alone}   ({RATE}/s)"),
        ("10 live, beside the import", f"{await beside}   ({RATE}/s)"),
    ]


async def _connected(company: Company, waha: WahaSimulator) -> Any:
    settings = {"base_url": waha.url, "api_key": waha.api_key, "session": _SESSION}
    channel = await company.call(
        "POST", "/channels", {"name": _SESSION, "type": "waha", "waha": settings}
    )
    await company.call("POST", f"/channels/{channel['id']}/start")
    while channel["status"] != "pairing":
        await asyncio.sleep(0.2)
        channel = await company.call("GET", f"/channels/{channel['id']}")
    waha.scan(_SESSION)
    while channel["status"] != "connected":
        await asyncio.sleep(0.2)
        channel = await company.call("GET", f"/channels/{channel['id']}")
    return channel


def _remember(waha: WahaSimulator) -> None:
    """Of CHATS people what they wrote, one message a second, every third of them ours."""
    session = waha.session(_SESSION)
    begun = int(time.time()) - MESSAGES - 120
    for n in range(MESSAGES):
        message = Message(
            bare_id=f"OLD{n:09}",
            session=_SESSION,
            chat=f"55119777{n % CHATS:05}@c.us",
            from_me=n % 3 == 0,
            kind="text",
            text=f"mensagem {n} de antes, com algumas palavras",
            timestamp=begun + n,
        )
        waha.remember(session, message)


async def _live(
    company: Company, sink: Sink, *, seconds: float, over: asyncio.Event | None = None
) -> Latencies:
    """What a message takes from WAHA's webhook to the customer's."""
    sent: dict[str, float] = {}

    async def post(number: int) -> None:
        webhook = company.webhook(number)
        sent[webhook.bare_id] = time.perf_counter()
        await company.post(webhook)

    begun = time.perf_counter()
    await at_rate(post, per_second=RATE, seconds=seconds, over=over)
    await sink.wait_for(set(sent), 60)
    took = [sink.arrived[id_] - at for id_, at in sent.items() if id_ in sink.arrived]
    return Latencies.of(took, time.perf_counter() - begun)


async def _all_stored(state: StackState) -> None:
    connection = await asyncpg.connect(state.addresses.database_url)
    try:
        async with asyncio.timeout(300):
            while await connection.fetchval(_STORED) < MESSAGES:  # noqa: ASYNC110 - tells nothing
                await asyncio.sleep(0.5)
    finally:
        await connection.close()


async def _alone(state: StackState) -> list[Figure]:
    sink = Sink()
    await sink.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        live = Company(state.addresses.gateway_url, http)
        await live.found(sink)
        importing = Company(state.addresses.gateway_url, http)
        await importing.register(sink.url)
        found = await imported(importing, live, sink, state)
    await sink.stop()
    return found


if __name__ == "__main__":
    with running("bench-history", _PORT_BASE) as directory:
        for figure in uvloop.run(_alone(state_of(directory))):
            print(*figure)
