"""Sends what is in hand: lanes decide who is next, an attempt is made, its result is handed on."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import aiohttp
import structlog
from service_kit import tracing
from service_kit.database import is_infrastructure
from service_kit.dialling import open_session
from service_kit.egress import Egress
from service_kit.sealing import WrongKeyError

from crm_webhooks.deliveries import attempt, metrics
from crm_webhooks.deliveries.attempt import Dispatch, Result
from crm_webhooks.deliveries.destinations import Destination, Destinations
from crm_webhooks.deliveries.lanes import Lane, Lanes, Owed
from crm_webhooks.deliveries.phases import tracing as tracing_phases
from crm_webhooks.deliveries.results import Results
from crm_webhooks.settings import WebhooksSettings

log = structlog.get_logger()

_PAUSE_SECONDS = 0.5
"""So that what cannot be sent does not go round and round."""


@dataclass(slots=True)
class _Flight:
    """An attempt under way and the kind of slot it holds.

    `changes` are those of the lane when it began, `version` is that of the endpoint it was made to.
    """

    lane: Lane
    owed: Owed
    slow: bool
    changes: int
    version: int | None = None


class Sender:
    """Everything this process has leased, from the lease to the result.

    `owner` marks our leases. `on_room` is called when a lane that left work in PostgreSQL runs
    dry.
    """

    def __init__(
        self,
        settings: WebhooksSettings,
        egress: Egress,
        destinations: Destinations,
        results: Results,
    ) -> None:
        self.owner = results.owner
        self.lanes = Lanes(
            slots=settings.webhook_concurrency,
            per_lane=settings.webhook_endpoint_concurrency,
            backlog=settings.webhook_backlog,
        )
        self.on_room: Callable[[], None] = lambda: None
        self._settings = settings
        self._links = settings.media_links
        self._egress = egress
        self._dispatch = Dispatch(settings, egress)
        self._destinations = destinations
        self._results = results
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        results.on_released = self.lanes.returned
        # Asked when somebody looks: to set them with every attempt would cost more than to count.
        metrics.IN_HAND.set_function(lambda: self.lanes.size)
        metrics.FAST_IN_FLIGHT.set_function(lambda: self.lanes.fast_in_flight)
        metrics.SLOW_IN_FLIGHT.set_function(lambda: self.lanes.slow_in_flight)

    async def run(self) -> None:
        """Keep sending until cancelled; then finish what is in flight and give back the rest."""
        async with open_session(self._egress, traces=[tracing_phases()]) as session:
            writing = asyncio.create_task(self._results.run(), name="results")
            self._session = session
            try:
                self._start_what_can()
                self.on_room()
                await asyncio.wait([writing])
                writing.result()  # it never ends by itself: raise what ended it
            finally:
                self._session = None
                self._results.release(self.lanes.give_all_back())
                if self._tasks:
                    await asyncio.wait(self._tasks, timeout=self._settings.webhook_timeout_seconds)
                await self._results.finish(writing)

    @property
    def accepting(self) -> bool:
        """Whether it sends at present, so that leases for it make sense."""
        return self._session is not None

    def accept(self, owed: Iterable[Owed], returns: int, left: Iterable[UUID] = ()) -> None:
        """Take leased deliveries in hand, in the order they are to be sent.

        `returns` is what `lanes.returns` was before they were leased: a lane that gave something
        back since gives these back as well, for they would overtake it. `left` are endpoints with
        more in PostgreSQL than was taken.
        """
        for delivery in owed:
            if self.lanes.overtakes(delivery, returns):
                self._give_back(self.lanes[delivery.endpoint_id], delivery)
            else:
                self.lanes.add(delivery)
        for endpoint_id in left:
            lane = self.lanes[endpoint_id]
            lane.more = lane.size > 0
            if lane.size == 0 or lane.limited:
                self.on_room()
        self._start_what_can()

    def forget_all(self) -> None:
        """Changes of endpoints may have gone unheard."""
        self._destinations.forget_all()

    def changed(self, endpoint_id: UUID) -> None:
        """The endpoint was edited, enabled or disabled."""
        self._destinations.forget(endpoint_id)
        lane = self.lanes[endpoint_id]
        lane.paused_until, lane.failures_in_a_row = 0.0, 0
        lane.changes += 1

    def _start_what_can(self) -> None:
        while self._session is not None and (started := self.lanes.next()):
            lane, owed = started
            flight = _Flight(lane, owed, lane.slow, lane.changes)
            task = asyncio.create_task(self._carry(flight, self._session))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, flight: _Flight, session: aiohttp.ClientSession) -> None:
        lane, owed = flight.lane, flight.owed
        try:
            result = await self._outcome(flight, session)
            if result is None:
                self._give_back(lane, owed)
            else:
                self._results.add(owed, result, flight.version, self._learn(flight, result))
        finally:
            self.lanes.finish(lane, owed, held_slow=flight.slow)
            if lane.more and lane.size <= self._settings.webhook_endpoint_concurrency:
                lane.more = False
                self.on_room()
            self._start_what_can()

    async def _outcome(self, flight: _Flight, session: aiohttp.ClientSession) -> Result | None:
        """How an attempt went; None when there was none.

        None is for what passes by itself: the endpoint is closed, the lease ends too soon, a rate
        limit wants another token, the lane is not ours, the database is away. Whatever else goes
        wrong is an attempt, so that it is seen, tried ever more rarely and given up in the end.
        """
        lane, owed = flight.lane, flight.owed
        loop = asyncio.get_running_loop()
        try:
            destination = await self._destinations.get(owed.endpoint_id, owed.endpoint_version)
        except WrongKeyError:
            log.error("endpoint_not_readable", endpoint=str(owed.endpoint_id))
            return Result.unsent("configuration")
        except Exception as error:
            if is_infrastructure(error):
                return None
            log.exception("endpoint_not_readable", endpoint=str(owed.endpoint_id))
            return Result.unsent("internal")
        now = loop.time()
        too_late = owed.lease_ends - now < self._settings.webhook_timeout_seconds
        if destination is None or too_late or lane.paused_until > now:
            return None
        if destination.limited and (owed.token_ends is None or owed.token_ends < now):
            return None
        lane.max_concurrency = destination.max_concurrency
        if not owed.owned and destination.max_concurrency is not None:
            return None
        flight.version = destination.version
        turning = loop.call_later(self._settings.webhook_slow_seconds, self._turn_slow, flight)
        try:
            return await self._attempt(session, destination, owed)
        except Exception:
            log.exception("attempt_failed", delivery=str(owed.id))
            return Result.unsent("internal")
        finally:
            turning.cancel()

    def _turn_slow(self, flight: _Flight) -> None:
        if not flight.slow:
            flight.slow = True
            self.lanes.turn_slow()
            self._start_what_can()

    async def _attempt(
        self, session: aiohttp.ClientSession, destination: Destination, owed: Owed
    ) -> Result:
        if owed.attempts == 0 and owed.prompt:
            metrics.LAG_SECONDS.observe((datetime.now(UTC) - owed.occurred_at).total_seconds())
        body = self._links.written_out(owed.body, owed.tenant_id)
        with tracing.span(f"deliver {owed.event_type}", owed.trace) as trace:
            return await self._dispatch.send(
                session, destination, str(owed.event_id), body, trace={**owed.trace, **trace}
            )

    def _learn(self, flight: _Flight, result: Result) -> float | None:
        """Make the lane wiser; returns for how long the endpoint is to be left alone, if at all."""
        lane = flight.lane
        metrics.ATTEMPTS.labels(result.error or "delivered").inc()
        metrics.ATTEMPT_SECONDS.observe(result.duration)
        lane.remember(
            result.duration,
            slow=result.duration > self._settings.webhook_slow_seconds,
            delivered=result.delivered,
        )
        pause = max(result.pause or 0.0, lane.pause or 0.0)
        if (pause or result.status == attempt.GONE) and flight.changes == lane.changes:
            self._give_back(lane, pause=pause or _PAUSE_SECONDS)
        elif self.lanes.overfull(lane):
            self._give_back(lane)
        return pause or None

    def _give_back(self, lane: Lane, *owed: Owed, pause: float = _PAUSE_SECONDS) -> None:
        """Nothing can be sent to it now: what waits for it waits in PostgreSQL, in order.

        The lane takes nothing new for `pause` seconds; newer deliveries must not overtake.
        """
        lane.paused_until = max(lane.paused_until, asyncio.get_running_loop().time() + pause)
        self._results.release(self.lanes.give_back(lane, *owed))
