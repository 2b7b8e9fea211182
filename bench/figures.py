"""The figures, in the order of docs/benchmarks.md."""

import asyncio
import time
from collections.abc import Callable, Iterator

import psutil
from crm_dev.state import StackState

from bench.load import Latencies, as_fast_as_possible, at_rate
from bench.platform import CUSTOMERS, Company, Sink, Traffic, Webhook

Figure = tuple[str, str]


async def ingress(company: Company, sink: Sink) -> list[Figure]:
    """1: how fast WAHA's webhooks are accepted, and how long one waits at 200/s."""
    prepared = [company.webhook(number) for number in range(6000)]

    async def accept(number: int) -> None:
        await company.post(prepared[number])

    await as_fast_as_possible(accept, count=500, workers=8)  # warm

    async def accept_next(number: int) -> None:
        await accept(500 + number)

    fastest = await as_fast_as_possible(accept_next, count=3500, workers=32)
    await sink.wait_for({w.bare_id for w in prepared[:4000]}, 120)

    async def accept_last(number: int) -> None:
        await accept(4000 + number)

    steady = await at_rate(accept_last, per_second=200, seconds=10)
    await sink.wait_for({w.bare_id for w in prepared}, 120)
    return [
        ("1 ingress accepts", f"{fastest.rate:6.0f}/s   (32 clients, everything else running)"),
        ("1 ingress at 200/s", str(steady)),
    ]


async def ingress_alone(company: Company) -> list[Figure]:
    """1: how fast WAHA's webhooks are accepted into the broker while nobody consumes them."""
    prepared = [company.webhook(number) for number in range(6000)]

    async def accept(number: int) -> None:
        await company.post(prepared[number])

    fastest = await as_fast_as_possible(accept, count=6000, workers=32)
    return [("1 ingress accepts, alone", f"{fastest.rate:6.0f}/s   (the services behind stopped)")]


async def end_to_end(
    traffic: Traffic, of: str, sink: Sink, state: StackState, tell: Callable[[list[Figure]], None]
) -> None:
    """2: from WAHA's POST to the customer's webhook, unloaded, loaded, and how much is carried.

    Every customer writes once before, so that their sessions are open: what is measured is a
    conversation going on, not one beginning.
    """
    first = [traffic.webhook(number) for number in range(CUSTOMERS)]

    async def greet(number: int) -> None:
        await traffic.post(first[number])

    await at_rate(greet, per_second=40, seconds=CUSTOMERS / 40)
    await sink.wait_for({w.bare_id for w in first}, 60)
    await asyncio.sleep(5)  # the sessions' workflows
    for rate, seconds in ((20, 15), (100, 15), (300, 20)):
        prepared = [traffic.webhook(number) for number in range(rate * seconds)]
        sent: dict[str, float] = {}

        async def post(
            number: int, prepared: list[Webhook] = prepared, sent: dict[str, float] = sent
        ) -> None:
            sent[prepared[number].bare_id] = time.perf_counter()
            await traffic.post(prepared[number])

        before = cpu_seconds(state)
        begun = time.perf_counter()
        await at_rate(post, per_second=rate, seconds=seconds)
        posted = time.perf_counter() - begun
        backlog = len(sent.keys() - sink.arrived.keys())
        missing = await sink.wait_for(set(sent), 120)
        took = [sink.arrived[i] - at for i, at in sent.items() if i in sink.arrived]
        latency = Latencies.of(took, time.perf_counter() - begun)
        tell([(f"2 {of}: at {rate}/s", str(latency))])
        if rate == 100:
            tell([(f"2 {of}: processor time", spent(before, cpu_seconds(state), len(sent)))])
        if rate >= 300:
            carried = f"{len(sent) / latency.seconds:6.0f}/s"
            left = f"in {posted:.0f} s, backlog at the end {backlog}, lost {missing}"
            tell([(f"2 {of}: carried of {rate}/s", f"{carried}   {left}")])


def cpu_seconds(state: StackState) -> dict[str, float]:
    """Processor seconds each piece has used so far, its children included."""
    used: dict[str, float] = {}
    for piece, family in families(state):
        used[piece] = sum(_cpu_seconds(member) for member in family)
    return used


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # a backend of PostgreSQL that has just ended
        return 0.0
    return float(times.user + times.system)


def spent(before: dict[str, float], after: dict[str, float], messages: int) -> str:
    """What each piece has used meanwhile, for each of so many."""
    each = {name: (after[name] - used) / messages * 1e3 for name, used in before.items()}
    parts = "  ".join(f"{name} {ms:.2f}" for name, ms in each.items())
    return f"{sum(each.values()):6.2f} ms in all: {parts}"


def families(state: StackState) -> Iterator[tuple[str, list[psutil.Process]]]:
    """Each running piece with its process and all processes below it."""
    for piece in state.pieces:
        if piece.pid and not piece.one_shot:
            try:
                process = psutil.Process(piece.pid)
                family = [process, *process.children(recursive=True)]
            except psutil.NoSuchProcess:
                continue
            yield piece.name, family


async def rest(company: Company) -> list[Figure]:
    """5: REST reads and writes at 50 requests a second."""
    contact = await company.call("POST", "/contacts", {"name": "Bench", "phone": "+5511987650000"})

    async def read(number: int) -> None:
        path = f"/contacts/{contact['id']}" if number % 2 else "/messages?limit=20"
        await company.call("GET", path)

    async def write(number: int) -> None:
        await company.call("POST", "/contacts", {"name": f"Contato {number}"})

    reads = await at_rate(read, per_second=50, seconds=10)
    writes = await at_rate(write, per_second=50, seconds=10)
    return [("5 REST read at 50/s", str(reads)), ("5 REST write at 50/s", str(writes))]


def memory(state: StackState) -> Iterator[Figure]:
    """7: resident memory of each service after all this."""
    for name, family in families(state):
        resident = max(member.memory_info().rss for member in family)
        yield f"7 memory of {name}", f"{resident / 1e6:6.0f} MB"


async def settle() -> None:
    """Let caches and connections of the last figure go quiet before the next begins."""
    await asyncio.sleep(1)
