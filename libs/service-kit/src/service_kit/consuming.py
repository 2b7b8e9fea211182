"""All that a service hears and answers, on one connection: subscribed, watched, left in order."""

import asyncio
import itertools
from collections.abc import Sequence

from aio_pika.abc import (
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustExchange,
    AbstractRobustQueue,
)
from faststream.rabbit import RabbitExchange, RabbitQueue
from shared_events.queues import Part

from service_kit.batch import BatchSubscriber
from service_kit.bus import Publisher, make_broker
from service_kit.connection import Patience, existing_exchange, existing_queue, held, watch
from service_kit.declaring import declare_own, renew_queues
from service_kit.request_server import RequestServer
from service_kit.router import RequestSubscriber, Router
from service_kit.settings import ServiceSettings
from service_kit.subscriptions import Subscriptions

_BIND_EVERY = 2
"""Looks: bindings cannot be asked for, so now and then they are made once more."""


class NotConsumingError(Exception):
    """Nothing is taken from the queues, or from one of them."""


class Consuming:
    """The consuming half of a service; `run` is a standing task."""

    def __init__(
        self,
        settings: ServiceSettings,
        publisher: Publisher,
        subscriptions: Subscriptions,
        requests: RequestServer,
    ) -> None:
        self._settings = settings
        self._publisher = publisher
        self._subscriptions = subscriptions
        self._requests = requests
        self._patience = Patience()
        self._is_leaving = False
        self._over = asyncio.Event()
        self._left = asyncio.Event()
        self._left.set()
        self.subscribed = asyncio.Event()
        """Set while it answers and consumes."""

    async def run(self) -> None:
        """Subscribe once the bus is declared, and watch; raises when something is lost.

        Returns after `leave`, once what was in hand is settled.
        """
        await self._publisher.declared.wait()
        self._over = asyncio.Event()
        if self._is_leaving:
            return
        router = self._subscriptions.router()
        broker = make_broker(self._settings.amqp_url, confirms=False)
        broker.include_router(router)
        self._left.clear()
        try:
            async with held(broker, self._declare) as connection:
                try:
                    await self._requests.bind(broker)
                    self.subscribed.set()
                    await watch(connection, self._looking(router), self._patience, self._over)
                    await _finish(router)
                finally:
                    self.subscribed.clear()
                    await self._subscriptions.leave()
        finally:
            self._left.set()

    async def _declare(self, connection: AbstractRobustConnection) -> None:
        """Its own queues once more: what was lost may be what it stood on."""
        delays = self._settings.consumer_retry_delays_seconds
        queues, partitions = self._subscriptions.queues, self._settings.bus_partitions
        await declare_own(connection, queues, delays, partitions)
        await renew_queues(connection, self._requests.queues)

    async def leave(self) -> None:
        """Take nothing new; returns when what was in hand is settled and the connection closed."""
        self._is_leaving = True
        self._over.set()
        await self._left.wait()

    def _looking(self, router: Router) -> "Look":
        partitions = self._settings.bus_partitions
        events = [list(queue.parts(partitions)) for queue in self._subscriptions.queues]
        requests = [[part] for part in self._requests.parts]
        return Look(router, self._subscriptions, [*events, *requests])

    async def check(self) -> None:
        """Raise unless it consumes, and none of its batches has been in hand for too long."""
        if not self.subscribed.is_set():
            raise NotConsumingError("not subscribed")
        stuck = self._subscriptions.stuck()
        if stuck:
            raise NotConsumingError(f"stuck: {', '.join(stuck)}")


class Look:
    """Asks of one queue after the other whether all of it is there, and binds parts anew.

    Bindings are lost with an exchange that somebody else declares anew. Not asked is how many
    consumers a queue has: of a quorum queue RabbitMQ knows that only seconds later, and one it
    cancels while the queue stays is subscribed again by aio-pika.
    """

    def __init__(
        self,
        router: Router,
        subscriptions: Subscriptions,
        things: Sequence[Sequence[Part]],
    ) -> None:
        """`things` are looked at one after the other, each with all its parts at once.

        Bound is one part at a time: it may have many bindings, and a look must not take long.
        """
        self._subscriptions = subscriptions
        self._batches = [s for s in router.subscribers if isinstance(s, BatchSubscriber)]
        self._things = itertools.cycle(things) if things else None
        self._parts = itertools.cycle(itertools.chain.from_iterable(things))
        self._turns = itertools.cycle(range(_BIND_EVERY))

    async def __call__(self, channel: AbstractRobustChannel) -> None:
        """Raise when something is amiss."""
        for subscriber in self._batches:
            subscriber.check()
        self._subscriptions.check()
        if self._things is None:
            return
        for part, _ in next(self._things):
            await _existing(channel, part)
        if next(self._turns) == 0:
            part, bindings = next(self._parts)
            found = await _existing(channel, part)
            for one in bindings:
                await found.bind(one.source, one.key, arguments=dict(one.arguments))


async def _existing(
    channel: AbstractRobustChannel, part: RabbitQueue | RabbitExchange
) -> AbstractRobustQueue | AbstractRobustExchange:
    if isinstance(part, RabbitQueue):
        return await existing_queue(channel, part.name)
    return await existing_exchange(channel, part.name)


async def _finish(router: Router) -> None:
    """Settle what is in hand: batches, and the requests, whose callers wait."""
    finishing = [
        subscriber.finish() if isinstance(subscriber, BatchSubscriber) else subscriber.stop()
        for subscriber in router.subscribers
        if isinstance(subscriber, BatchSubscriber | RequestSubscriber)
    ]
    await asyncio.gather(*finishing, return_exceptions=True)
