"""How late the event loop is: the sign that a process is asked for more than it can do."""

import asyncio
import time

from service_kit import metrics

TICK_SECONDS = 0.05


class Lag:
    """Sleeps over and over, and sees how much later than asked it is woken."""

    def __init__(self) -> None:
        self._last = 0.0
        self._due: float | None = None

    @property
    def seconds(self) -> float:
        """How late the loop was when it was looked at last, or is by now: within one turn of the
        loop, too, it becomes later with each task that has its turn."""
        now_late = 0.0 if self._due is None else time.monotonic() - self._due
        return max(self._last, now_late)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                self._due = time.monotonic() + TICK_SECONDS
                await asyncio.sleep(TICK_SECONDS)
                self._last = max(0.0, time.monotonic() - self._due)
                metrics.LOOP_LAG_SECONDS.observe(self._last)
        finally:
            self._due = None
