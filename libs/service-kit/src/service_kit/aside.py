"""Messages set aside: a company whose rows are held by somebody makes only its own messages wait.

An ordered queue has one consumer for all companies. What meets a lock that is not let go in time is
taken out of the way, with everything that follows for the same company, and tried again beside the
queue, in order. It stays unacknowledged meanwhile (docs/adr/0013).
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import structlog

from service_kit import metrics

log = structlog.get_logger()

MOST = 500
"""Messages of a company that wait aside before all others wait with them: they take the queue's
prefetch from the others, and nothing may overtake them."""
LONGEST_SECONDS = 60.0
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0

Item = TypeVar("Item")

Attempt = Callable[[Sequence[Item]], Awaitable[bool]]
"""Applies items; False while they meet a lock. Settles them in any other case."""

GiveUp = Callable[[Sequence[Item]], Awaitable[None]]
"""Settles items that have waited for too long."""


@dataclass(slots=True)
class _Lane(Generic[Item]):
    waiting: deque[Item] = field(default_factory=deque)
    since: float = field(default_factory=time.monotonic)
    task: asyncio.Task[None] | None = None
    room: asyncio.Event = field(default_factory=asyncio.Event)


class Aside(Generic[Item]):
    """What one consumer has set aside, by company. One company is tried at a time."""

    def __init__(self, consumer: str, attempt: Attempt[Item], give_up: GiveUp[Item]) -> None:
        self._consumer = consumer
        self._attempt = attempt
        self._give_up = give_up
        self._lanes: dict[str, _Lane[Item]] = {}
        self._turn = asyncio.Lock()

    def __contains__(self, tenant_id: str) -> bool:
        """Whether a company's messages must wait their turn here."""
        return tenant_id in self._lanes

    def oldest_seconds(self) -> float:
        """How long the company that waits longest has waited."""
        return max((time.monotonic() - lane.since for lane in self._lanes.values()), default=0.0)

    def check(self) -> None:
        """Raise what ended the work on a company's messages, if anything did."""
        for lane in self._lanes.values():
            if lane.task is not None and lane.task.done():
                lane.task.result()

    async def add(self, tenant_id: str, items: Sequence[Item]) -> None:
        """Set these aside, behind those of the same company that wait already.

        Returns once there is room for more.
        """
        lane = self._lanes.get(tenant_id)
        if lane is None:
            lane = self._lanes[tenant_id] = _Lane()
            lane.task = asyncio.create_task(
                self._work_off(tenant_id, lane), name=f"aside-{self._consumer}"
            )
            log.warning("messages_set_aside", consumer=self._consumer)
        lane.waiting.extend(items)
        metrics.SET_ASIDE.labels(self._consumer).inc(len(items))
        while len(lane.waiting) > MOST and self._lanes.get(tenant_id) is lane:
            lane.room.clear()
            await lane.room.wait()

    async def leave(self) -> None:
        """Try none of them again here; unacknowledged, they return to the queue."""
        lanes = list(self._lanes.values())
        self._lanes.clear()
        for lane in lanes:
            lane.room.set()
        tasks = [lane.task for lane in lanes if lane.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work_off(self, tenant_id: str, lane: _Lane[Item]) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while lane.waiting:
            items = list(lane.waiting)
            if time.monotonic() - lane.since > LONGEST_SECONDS:
                await self._give_up(items)
                done = True
            else:
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                items = list(lane.waiting)
                async with self._turn:
                    done = await self._attempt(items)
            if done:
                for _ in items:
                    lane.waiting.popleft()
                pause, lane.since = _FIRST_PAUSE_SECONDS, time.monotonic()
                lane.room.set()
        if self._lanes.get(tenant_id) is lane:
            del self._lanes[tenant_id]
