"""Standing tasks: started over when they raise, counted, told to health, and truly ended.

One supervisor per process runs all of them: connections, relay, sweeps, senders, spool.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from service_kit import metrics

log = structlog.get_logger()

Work = Callable[[], Awaitable[None]]

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_STEADY_SECONDS = 30.0
"""Who ran so long before it raised is no case of failing on and on."""
_FAILING = 3
_CANCEL_SECONDS = 2.0
_CANCELLATIONS = 5


class TaskFailsError(Exception):
    """A standing task ends as often as it is started."""


@dataclass(slots=True)
class _Standing:
    name: str
    work: Work
    started_at: float = 0.0
    failures: int = 0
    """In a row, each soon after its start."""


class Supervisor:
    """Runs named tasks until it is stopped; one that returns has done its work."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, name: str, work: Work) -> None:
        """Have a task run from `start` on; ValueError for a name that is taken."""
        if name in self._standing:
            raise ValueError(f"there are two standing tasks {name}")
        self._standing[name] = _Standing(name, work)

    def start(self) -> None:
        """Start them all, side by side."""
        self._tasks = [
            asyncio.create_task(self._keep(standing), name=standing.name)
            for standing in self._standing.values()
        ]

    async def stop(self) -> None:
        """Cancel all of them, again if need be; one that lives through it all is left behind.

        A library may drop a cancellation (aiormq has), and whoever waits for such a task without
        asking again waits for ever.
        """
        pending = set(self._tasks)
        for _ in range(_CANCELLATIONS):
            for task in pending:
                task.cancel()
            if pending:
                _, pending = await asyncio.wait(pending, timeout=_CANCEL_SECONDS)
        for task in pending:
            log.error("task_does_not_end", task=task.get_name())

    async def check(self) -> None:
        """Raise TaskFailsError while a task fails again and again."""
        failing = sorted(
            standing.name
            for standing in self._standing.values()
            if standing.failures >= _FAILING
            and time.monotonic() - standing.started_at < _STEADY_SECONDS
        )
        if failing:
            raise TaskFailsError(", ".join(failing))

    async def _keep(self, standing: _Standing) -> None:
        """Run a task to its end, starting it over with a growing pause whenever it raises."""
        while True:
            standing.started_at = time.monotonic()
            try:
                await standing.work()
                return
            except Exception as error:
                if time.monotonic() - standing.started_at > _STEADY_SECONDS:
                    standing.failures = 0
                pause = min(_FIRST_PAUSE_SECONDS * 2**standing.failures, _LONGEST_PAUSE_SECONDS)
                standing.failures = min(standing.failures + 1, 20)
                metrics.TASK_RESTARTS.labels(standing.name).inc()
                log.warning(
                    "task_restarts", task=standing.name, error=repr(error), pause=round(pause, 1)
                )
            await asyncio.sleep(pause)
