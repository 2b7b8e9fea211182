"""Connections to RabbitMQ: opened, watched and closed; one that was lost is never used again.

aio-pika would reconnect by itself, to what the broker was: queues that are gone meanwhile stay
gone, an exclusive queue is still held by the connection that was lost, and a broker that says
nothing is noticed after minutes. So each connection belongs to a standing task that watches it,
and ends when it is lost or silent; the supervisor then begins anew, and everything is declared
anew (docs/adr/0012).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from weakref import WeakSet

from aio_pika.abc import (
    AbstractConnection,
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustExchange,
    AbstractRobustQueue,
)
from faststream.rabbit import RabbitBroker

OPEN_SECONDS = 10.0
"""From dialling to the broker's welcome."""
_START_SECONDS = 30.0
DECLARE_SECONDS = 60.0
_CLOSE_SECONDS = 5.0
_LOOK_SECONDS = 1.0
_ANSWER_SECONDS = 2.0
_LONGEST_ANSWER_SECONDS = 30.0

Look = Callable[[AbstractRobustChannel], Awaitable[None]]
"""Asks the broker something; raises when the answer shows that something is missing."""

Prepare = Callable[[AbstractRobustConnection], Awaitable[None]]
"""Declares what the publishers and subscribers of a broker object begin with."""

_leaving: set[asyncio.Task[None]] = set()
_given: WeakSet[AbstractConnection] = WeakSet()
"""Connections that somebody has, and closes."""


class BrokerDownError(ConnectionError):
    """The broker did not confirm. The message may still have arrived: consumers deduplicate."""


class ConnectionLostError(BrokerDownError):
    """The connection broke with the message on its way, which may have been the reason."""


async def connect(broker: RabbitBroker, prepare: Prepare | None = None) -> AbstractRobustConnection:
    """Start a new broker object once all is prepared, or close it for good and raise.

    One whose start failed half-way never heals (its publishes and consumers hang after the
    reconnect), so whoever tries again makes a new one.
    """
    connection: AbstractRobustConnection | None = None
    try:
        connection = await _opened(broker)
        _given.add(connection)
        if prepare is not None:
            async with asyncio.timeout(DECLARE_SECONDS):
                await prepare(connection)
        async with asyncio.timeout(_START_SECONDS):
            await broker.start()
    except BaseException:
        await discard(broker, connection)
        raise
    return connection


async def _opened(broker: RabbitBroker) -> AbstractRobustConnection:
    """Its connection; whoever is cancelled meanwhile waits for the end.

    aio-pika's connection takes a cancellation while it opens for a failure, and tries for ever what
    nobody can close any more: the process would never end. The broker has OPEN_SECONDS to welcome
    us; one that falls silent after that is lost when it misses its heartbeats.
    """
    opening = asyncio.create_task(broker.connect())
    try:
        return await asyncio.shield(opening)
    finally:
        await asyncio.wait({opening})


def close_if_nobodys(connection: AbstractConnection | None, _: object) -> None:
    """End what was lost before `connect` could give it to anybody, for aio-pika's `on_close`.

    It would reconnect for ever, and there is nobody to close it.
    """
    if connection is not None and connection not in _given:
        _behind_our_back(connection.close())  # which waits for those who are told of the loss


def is_blocked(connection: AbstractRobustConnection) -> bool:
    """Whether the broker takes nothing from it for now, being short of memory or disk.

    It says so to who publishes; all that is sent after that waits in this process.
    """
    if connection.transport is None:
        return True
    waiting = connection.transport.ready().__await__()
    try:
        next(waiting)
    except StopIteration:
        return False
    waiting.close()
    return True


def _behind_our_back(closing: Coroutine[None, None, None]) -> None:
    task = asyncio.create_task(closing)
    _leaving.add(task)
    task.add_done_callback(_leaving.discard)


async def discard(broker: RabbitBroker, connection: AbstractRobustConnection | None) -> None:
    """Close a broker object in whatever state it is, so that nothing of it reconnects.

    The connection goes first: what its consumers hold returns to the queues in its place. A
    consumer that is cancelled before would let the next one begin behind that.
    """
    if connection is not None:
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await connection.close()
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await broker.stop()


@asynccontextmanager
async def short_channel(
    connection: AbstractRobustConnection,
) -> AsyncIterator[AbstractRobustChannel]:
    """A channel for declaring and probing."""
    channel = await connection.channel()
    try:
        yield channel
    finally:
        # Shielded: aiormq drops a cancellation that arrives while a channel is closing,
        # and whoever was cancelled would work on for ever.
        await asyncio.shield(channel.close())


@asynccontextmanager
async def held(
    broker: RabbitBroker, prepare: Prepare | None = None
) -> AsyncIterator[AbstractRobustConnection]:
    """A connection for as long as it is good.

    One that was lost is closed behind the caller's back: a broker that is silent lets nobody go,
    and the next connection need not wait for that.
    """
    connection = await connect(broker, prepare)
    try:
        yield connection
    except Exception:
        _behind_our_back(discard(broker, connection))
        raise
    except BaseException:
        await discard(broker, connection)
        raise
    await discard(broker, connection)


class Patience:
    """How long a broker may be silent: two seconds, and longer while it, or this machine, is slow.

    Kept over connections: one that begins anew declares everything, so replacing the connections
    to a broker that is merely slow makes it slower still.
    """

    def __init__(self) -> None:
        self.seconds = _ANSWER_SECONDS

    def answered(self, after: float) -> None:
        """The broker took so many seconds: allow four times that, and ever less than before."""
        wanted = max(_ANSWER_SECONDS, 4 * after, 0.9 * self.seconds)
        self.seconds = min(wanted, _LONGEST_ANSWER_SECONDS)

    def lost(self) -> None:
        """The broker did not answer in time: allow the next connection twice as much."""
        self.seconds = min(2 * self.seconds, _LONGEST_ANSWER_SECONDS)


async def watch(
    connection: AbstractRobustConnection,
    look: Look,
    patience: Patience,
    over: asyncio.Event | None = None,
) -> None:
    """Look once a second while the connection lives; returns when the caller sets `over`.

    Raises BrokerDownError as soon as the connection is lost, or when the broker does not answer for
    as long as the caller has patience, and whatever `look` raises.
    """
    clock = asyncio.get_running_loop().time
    over = over or asyncio.Event()
    is_lost = not connection.connected.is_set()

    def lost(*_: object) -> None:
        nonlocal is_lost
        is_lost = True
        over.set()

    connection.close_callbacks.add(lost)
    channel: AbstractRobustChannel | None = None
    while not is_lost and not over.is_set():
        asked = clock()
        try:
            async with asyncio.timeout(patience.seconds):
                channel = channel or await connection.channel()
                await look(channel)
            patience.answered(clock() - asked)
        except TimeoutError:
            patience.lost()
            raise BrokerDownError("the broker does not answer") from None
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await over.wait()
    if is_lost:
        raise BrokerDownError("the connection was lost")


async def existing_queue(channel: AbstractRobustChannel, name: str) -> AbstractRobustQueue:
    """A queue the broker has; raises ChannelNotFoundEntity when it has not."""
    # Not robust: aio-pika would answer from its own notes the next time.
    return await channel.declare_queue(name, passive=True, robust=False)


async def existing_exchange(channel: AbstractRobustChannel, name: str) -> AbstractRobustExchange:
    """An exchange the broker has; raises ChannelNotFoundEntity when it has not."""
    return await channel.declare_exchange(name, passive=True, robust=False)
