"""Load on loopback: bounded in count and time, open loop where latency is measured."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

Call = Callable[[int], Awaitable[None]]


@dataclass(frozen=True)
class Latencies:
    """What a run of calls took, in milliseconds."""

    count: int
    seconds: float
    p50: float
    p99: float
    worst: float

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.count / self.seconds

    @classmethod
    def of(cls, values: list[float], seconds: float) -> "Latencies":
        """From single latencies in seconds."""
        ranks = statistics.quantiles(values, n=100) if len(values) > 1 else values * 99
        return cls(len(values), seconds, ranks[49] * 1e3, ranks[98] * 1e3, max(values) * 1e3)

    def __str__(self) -> str:
        return f"p50 {self.p50:6.1f} ms   p99 {self.p99:6.1f} ms   worst {self.worst:6.1f} ms"


async def as_fast_as_possible(call: Call, *, count: int, workers: int) -> Latencies:
    """`count` calls by `workers` clients, each starting its next when the last is answered."""
    numbers = iter(range(count))
    taken: list[float] = []

    async def work() -> None:
        for number in numbers:
            begun = time.perf_counter()
            await call(number)
            taken.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(workers)))
    return Latencies.of(taken, time.perf_counter() - begun)


async def at_rate(
    call: Call, *, per_second: float, seconds: float, over: asyncio.Event | None = None
) -> Latencies:
    """Calls at a steady rate, whatever the answers do; latency counts from the planned moment.

    For so many seconds, or until it is `over`.
    """
    loop = asyncio.get_running_loop()
    begun = loop.time()
    taken: list[float] = []

    async def one(number: int, planned: float) -> None:
        await call(number)
        taken.append(loop.time() - planned)

    async with asyncio.TaskGroup() as calls:
        for number in range(int(per_second * seconds)):
            planned = begun + number / per_second
            await asyncio.sleep(max(0.0, planned - loop.time()))
            if over is not None and over.is_set():
                break
            calls.create_task(one(number, planned))
    return Latencies.of(taken, loop.time() - begun)
