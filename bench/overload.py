"""Figure 9: one gateway that is asked for more than it can answer, while WAHA's webhooks come.

READS requests a second of several companies, by token and by API key, half of them for what has not
changed since (If-None-Match), whether they are answered or not; beside them WEBHOOKS a second, and
another company that asks 10 times a second. Alone: `python -m bench.overload`.
"""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
import psutil
import uvloop
from crm_dev.state import StackState

from bench import figures
from bench.figures import Figure
from bench.http import Client
from bench.load import Latencies, at_rate
from bench.platform import Company, Sink
from bench.stack import running, state_of

READS = int(os.environ.get("READS", "1000"))
WEBHOOKS = int(os.environ.get("WEBHOOKS", "75"))
SECONDS = int(os.environ.get("SECONDS", "20"))
_COMPANIES = 4
_CALM_READS, _CALM_SECONDS = 100, 10
_PATIENCE_SECONDS = 15.0
"""Who has no answer by then gives up, and counts as not answered."""
_QUICK_SECONDS = 0.25
_PORT_BASE = "19280"


@dataclass
class Asked:
    """What became of requests: how many of each status (0: no answer), and what they took."""

    statuses: Counter[int] = field(default_factory=Counter)
    took: defaultdict[int, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, status: int, seconds: float) -> None:
        """One more; not modified is as good as shown."""
        self.statuses[status] += 1
        self.took[200 if status == 304 else status].append(seconds)

    def __str__(self) -> str:
        counts = "  ".join(f"{status}: {n}" for status, n in sorted(self.statuses.items()))
        times = (f"{s}: {Latencies.of(took, 1)}" for s, took in sorted(self.took.items()))
        return "\n    ".join((counts, *times))


class Reader:
    """One company's machine, with a token or an API key, at an address of its own."""

    def __init__(self, url: str, address: str, headers: dict[str, str], etag: str) -> None:
        self._url = url
        self._client = Client(address)
        self._headers = (headers, {**headers, "If-None-Match": etag})

    async def read(self, number: int, asked: Asked) -> None:
        """Ask once, and write down what came of it."""
        begun, status = time.perf_counter(), 0
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                status = await self._client.get(self._url, self._headers[number % 2])
        asked.add(status, time.perf_counter() - begun)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


async def overloaded(company: Company, state: StackState) -> list[Figure]:
    """Ask for too much, and see what comes of the reads, of the webhooks and of the process."""
    gateway = _gateway(state)
    crowd = [each for n in range(_COMPANIES) for each in await _readers(company, f"127.0.1.{n}")]
    other = (await _readers(company, "127.0.2.1"))[0]
    calm = Asked()

    async def read_calmly(number: int) -> None:
        await crowd[number % len(crowd)].read(number // len(crowd), calm)

    await at_rate(read_calmly, per_second=_CALM_READS, seconds=2)  # warm
    before = figures.cpu_seconds(state)["gateway"]
    await at_rate(read_calmly, per_second=_CALM_READS, seconds=_CALM_SECONDS)
    each = (figures.cpu_seconds(state)["gateway"] - before) / (_CALM_READS * _CALM_SECONDS)

    reads, others, webhooks = Asked(), Asked(), Asked()
    prepared = [company.webhook(number) for number in range(WEBHOOKS * SECONDS)]
    waha = Client()

    async def read(number: int) -> None:
        await crowd[number % len(crowd)].read(number // len(crowd), reads)

    async def read_other(number: int) -> None:
        await other.read(number, others)

    async def post(number: int) -> None:
        webhook, begun, status = prepared[number], time.perf_counter(), 0
        with suppress(OSError):
            status = await waha.post(webhook.url, webhook.body, webhook.headers)
        webhooks.add(status, time.perf_counter() - begun)

    before = figures.cpu_seconds(state)["gateway"]
    with _peak(gateway) as memory:
        load = asyncio.gather(
            at_rate(read, per_second=READS, seconds=SECONDS),
            at_rate(read_other, per_second=10, seconds=SECONDS),
            at_rate(post, per_second=WEBHOOKS, seconds=SECONDS),
        )
        await asyncio.sleep(SECONDS)
        spent = figures.cpu_seconds(state)["gateway"] - before
        recovered = await _recovered(other)
        await load
    for reader in (*crowd, other):
        reader.close()
    waha.close()
    return [
        (f"9 processor time a read, {_CALM_READS}/s", f"{each * 1e3:.2f} ms of the gateway"),
        (f"9 reads at {READS}/s", str(reads)),
        ("9 another company's, 10/s", str(others)),
        (f"9 webhooks at {WEBHOOKS}/s", str(webhooks)),
        ("9 gateway", f"{spent:.1f} s of processor in {SECONDS} s, at most {max(memory)} MB"),
        ("9 quick again", f"after {recovered:.1f} s"),
    ]


async def _readers(of: Company, address: str) -> list[Reader]:
    """A new company's two machines: one with a token, one with an API key."""
    company = Company(of.api.removesuffix("/api/v1"), of.http)
    await company.register("http://127.0.0.1:9/")
    contact = await company.call("POST", "/contacts", {"name": "Bench"})
    key = await company.call("POST", "/api-keys", {"name": "b", "scopes": ["contacts.read"]})
    url = f"{company.api}/contacts/{contact['id']}"
    async with of.http.get(url, headers=company.headers) as answer:
        etag = answer.headers["ETag"]
    credentials: list[dict[str, str]] = [company.headers, {"X-Api-Key": key["key"]}]
    return [Reader(url, address, headers, etag) for headers in credentials]


def _gateway(state: StackState) -> psutil.Process:
    return next(family[0] for name, family in figures.families(state) if name == "gateway")


@contextmanager
def _peak(process: psutil.Process) -> Iterator[list[int]]:
    """Resident megabytes, looked at five times a second."""
    seen = [0]

    async def look() -> None:
        while True:
            seen.append(process.memory_info().rss // 10**6)
            await asyncio.sleep(0.2)

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()


async def _recovered(reader: Reader) -> float:
    """Seconds until five reads in a row are answered quickly."""
    begun, quick = time.perf_counter(), 0
    while quick < 5 and time.perf_counter() - begun < 120:
        asked, asking = Asked(), time.perf_counter()
        await reader.read(0, asked)
        fine = asked.statuses[200] and time.perf_counter() - asking < _QUICK_SECONDS
        quick = quick + 1 if fine else 0
    return time.perf_counter() - begun


async def _alone(state: StackState) -> list[Figure]:
    sink = Sink()
    await sink.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http:
        company = Company(state.addresses.gateway_url, http)
        await company.found(sink)
        found = await overloaded(company, state)
    await sink.stop()
    return found


if __name__ == "__main__":
    with running("bench-overload", _PORT_BASE) as directory:
        for figure in uvloop.run(_alone(state_of(directory))):
            print(*figure)
