"""The open streams of this gateway: how many there may be, what wakes them, what they read.

A stream waits for its bell and costs nothing meanwhile. When its company's feed has grown it reads
on from its own cursor, over the bus; those who want the same from the same place share the reading,
so what a page costs does not grow with its readers. Nothing is kept for anybody: who reads slowly
asks for the next page later.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, Protocol

from prometheus_client import Gauge
from service_kit.health import Health
from service_kit.request_client import RequestClient
from shared_events.requests import Principal
from shared_events.webhooks.event import FollowEvents

from crm_gateway.live import frames
from crm_gateway.problems.errors import HttpError, of_problem

OPEN = Gauge("crm_event_streams", "Event streams that are open")
_READINGS = 16
"""At once: all companies' streams may wake together, and other requests want their turn too."""
_DRAIN_LOOK_SECONDS = 0.25
_RETRY_AFTER_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Page:
    """What to write, and where the reader is then. Shared by readers."""

    chunks: list[bytes]
    cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds: between signs of life; between looks that no bell asked for; before what failed is
    tried again; for one write."""

    beat: float = 15.0
    look: float = 60.0
    again: float = 1.0
    write: float = 30.0


_PACE = Pace()


class Pages(Protocol):
    """Reads on in a feed."""

    async def read(self, request: FollowEvents, principal: Principal, correlation_id: str) -> Page:
        """The next page; raises ProblemError, and HttpError for a service's refusal."""
        ...

    def grown(self, tenant_id: str) -> None:
        """What is being read of this company's feed may be old already."""
        ...


class SharedPages:
    """Reads over the bus, once for all who ask for the same while it is on its way."""

    def __init__(self, bus: RequestClient) -> None:
        self._bus = bus
        self._turns = asyncio.Semaphore(_READINGS)
        self._reading: dict[str, dict[object, asyncio.Task[Page]]] = defaultdict(dict)

    async def read(self, request: FollowEvents, principal: Principal, correlation_id: str) -> Page:
        """The next page, of what this caller may see: that follows from its permissions, unless it
        sees only its own."""
        under_way = self._reading[principal.tenant_id]
        whose = principal.user_id if principal.own_only else None
        same = (
            principal.permissions,
            principal.own_only,
            whose,
            tuple(request.types),
            request.after,
        )
        if same not in under_way:
            reading = asyncio.create_task(self._ask(request, principal, correlation_id))
            under_way[same] = reading
            reading.add_done_callback(lambda _: under_way.pop(same))
        return await asyncio.shield(under_way[same])  # the others go on when this reader leaves

    def grown(self, tenant_id: str) -> None:
        """Share no reading that began before this."""
        self._reading.pop(tenant_id, None)

    async def _ask(self, request: FollowEvents, principal: Principal, correlation_id: str) -> Page:
        async with self._turns:
            reply = await self._bus.call(
                request, principal=principal, correlation_id=correlation_id
            )
        if reply.problem is not None:
            raise of_problem(reply.problem)
        assert reply.value is not None
        value = reply.value
        return Page(frames.chunks(value["data"]), value["next_cursor"], value["has_more"])


class Streams:
    """Who follows what, and the bells that wake them."""

    def __init__(self, pages: Pages, *, per_tenant: int, at_most: int, pace: Pace = _PACE) -> None:
        self.pages, self.pace = pages, pace
        self.closing = False
        """Set once the process is to be replaced: streams end and go on elsewhere."""
        self._per_tenant, self._at_most = per_tenant, at_most
        self._bells: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._open = 0

    def check(self, tenant_id: str) -> None:
        """Raise HttpError 429 when the company has as many streams as it may, or 503 when this
        gateway has."""
        many = {"Retry-After": str(_RETRY_AFTER_SECONDS)}
        if len(self._bells.get(tenant_id, ())) >= self._per_tenant:
            raise HttpError(429, "too_many_streams", "Close other streams first.", headers=many)
        if self._open >= self._at_most:
            raise HttpError(503, "too_many_streams", "Come back in a moment.", headers=many)

    @contextmanager
    def entered(self, tenant_id: str) -> Iterator[asyncio.Event]:
        """Be one of the open streams; gives the bell that rings when there may be something."""
        bell = asyncio.Event()
        self._bells[tenant_id].add(bell)
        self._open += 1
        OPEN.inc()
        try:
            yield bell
        finally:
            OPEN.dec()
            self._open -= 1
            self._bells[tenant_id].remove(bell)
            if not self._bells[tenant_id]:
                del self._bells[tenant_id]

    def ring(self, tenant_ids: Iterable[str]) -> None:
        """These companies' feeds have grown."""
        for tenant_id in tenant_ids:
            self.pages.grown(tenant_id)
            for bell in self._bells.get(tenant_id, ()):
                bell.set()

    def ring_all(self) -> None:
        """Any feed may have grown."""
        self.ring(list(self._bells))

    async def drain(self, health: Health) -> NoReturn:
        """End all streams once the process is told to stop; until then, and after that, wait.

        It looks, because a signal's handler wakes no task.
        """
        while True:
            if health.draining and not self.closing:
                self.closing = True
                self.ring_all()
            await asyncio.sleep(_DRAIN_LOOK_SECONDS)
