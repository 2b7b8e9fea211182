"""Declaring the bus: what is a service's own, after a look at what is everybody's.

Declaring again changes nothing, so every connection begins with it: a queue that was lost is back
within seconds. The exchanges come with the deployment, and in a virtual host of one's own, where a
service may do everything, from whoever looks first (docs/adr/0016).
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence

from aio_pika.abc import (
    AbstractRobustChannel,
    AbstractRobustConnection,
    AbstractRobustExchange,
    AbstractRobustQueue,
)
from aio_pika.exceptions import ChannelNotFoundEntity, ChannelPreconditionFailed
from faststream.rabbit import RabbitExchange, RabbitQueue
from shared_events import topology
from shared_events.services import ServiceName

from service_kit.connection import existing_exchange, existing_queue, short_channel

_log = logging.getLogger("faststream")

CONSUMERS_SECONDS = 30.0
_LOOK_SECONDS = 0.2


async def declare_own(
    connection: AbstractRobustConnection,
    queues: Iterable[topology.EventQueue],
    retry_delays: Sequence[float],
    partitions: int = topology.PARTITIONS,
) -> None:
    """Declare these queues, what brings messages to them, and last of all their dead letters."""
    await have_exchanges(connection)
    queues = tuple(queues)
    async with short_channel(connection) as channel:
        for service in {queue.service for queue in queues}:
            await _declare_delays(channel, service, retry_delays)
        for queue in queues:
            await _declare_parts(channel, queue, partitions)
    for queue in queues:
        await _declare_dead_letters(connection, queue)


async def have_exchanges(connection: AbstractRobustConnection) -> None:
    """Look for the exchanges that services share; where one is missing, make them.

    Raises ChannelAccessRefused where that is needed and not allowed: `migrate` makes them then.
    """
    try:
        async with short_channel(connection) as channel:
            for exchange in topology.SHARED_EXCHANGES:
                await existing_exchange(channel, exchange.name)
    except ChannelNotFoundEntity:
        async with short_channel(connection) as channel:
            for exchange in topology.SHARED_EXCHANGES:
                await _declare_exchange(channel, exchange)
            for fed in topology.EXCHANGES:
                declared = await existing_exchange(channel, fed.name)
                for source, key in fed.sources:
                    await declared.bind(source.name, key)


async def have_consumers(
    connection: AbstractRobustConnection, queues: Iterable[topology.EventQueue]
) -> None:
    """Wait until these queues are there and bound, for half a minute at most.

    An event that overtakes the declaration of one of its queues would never reach it. Dead letters
    are declared last and looking needs no right: where they are, all is.
    """
    awaited = sorted({queue.dead_letters.name for queue in queues})
    try:
        async with asyncio.timeout(CONSUMERS_SECONDS):
            while awaited:
                if await _is_there(connection, awaited[0]):
                    del awaited[0]
                else:
                    await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        _log.warning("%s is missing: what is told now does not wait for it", awaited[0])


async def renew_queues(connection: AbstractRobustConnection, queues: Iterable[RabbitQueue]) -> None:
    """Delete queues that earlier code declared otherwise, while nobody consumes from them.

    For request queues alone: what is in them is worth nothing after seconds. Raises
    ChannelPreconditionFailed while one is consumed by code of before.
    """
    for queue in queues:
        try:
            async with short_channel(connection) as channel:
                await channel.declare_queue(
                    queue.name, durable=queue.durable, auto_delete=queue.auto_delete
                )
        except ChannelPreconditionFailed:
            async with short_channel(connection) as channel:
                await channel.queue_delete(queue.name, if_unused=True)


async def _is_there(connection: AbstractRobustConnection, queue: str) -> bool:
    try:
        async with short_channel(connection) as channel:
            await existing_queue(channel, queue)
    except ChannelNotFoundEntity:
        return False
    return True


async def _declare_delays(
    channel: AbstractRobustChannel, service: ServiceName, retry_delays: Sequence[float]
) -> None:
    await _declare_exchange(channel, topology.returns(service))
    for delay in retry_delays:
        waiting_room, waiting = topology.retry(service, int(delay * 1000))
        await _declare_exchange(channel, waiting_room)
        await (await _declare_queue(channel, waiting)).bind(waiting_room.name, "#")


async def _declare_parts(
    channel: AbstractRobustChannel, queue: topology.EventQueue, partitions: int
) -> None:
    """From the end to the source: what is bound always leads somewhere."""
    if queue.spread is not None:
        await _declare_exchange(channel, queue.spread)
    for part, bindings in queue.parts(partitions):
        declared: AbstractRobustQueue | AbstractRobustExchange
        if isinstance(part, RabbitQueue):
            declared = await _declare_queue(channel, part)
        else:
            declared = await _declare_exchange(channel, part)
        for one in bindings:
            await declared.bind(one.source, one.key, arguments=dict(one.arguments))
    if queue.spread is not None:
        for part, bindings in queue.outgrown(partitions):
            outgrown = await channel.get_queue(part.name, ensure=False)
            for one in bindings:
                await outgrown.unbind(one.source, one.key, arguments=dict(one.arguments))
        # The release before spread by a hash that changes when the broker restarts.
        await channel.exchange_delete(queue.name)


async def _declare_dead_letters(
    connection: AbstractRobustConnection, queue: topology.EventQueue
) -> None:
    letters = queue.dead_letters
    try:
        async with short_channel(connection) as channel:
            dead = await _declare_queue(channel, letters)
            await dead.bind(queue.exchange.dead_letters.name, queue.name)
    except ChannelPreconditionFailed:
        # Declared before letters were kept for ever; docs/operations.md says how to renew it.
        _log.warning("%s exists with other arguments", letters.name)


async def _declare_exchange(
    channel: AbstractRobustChannel, exchange: RabbitExchange
) -> AbstractRobustExchange:
    return await channel.declare_exchange(
        exchange.name,
        exchange.type.value,
        durable=True,
        arguments=dict(exchange.arguments or {}),
        robust=False,
    )


async def _declare_queue(channel: AbstractRobustChannel, queue: RabbitQueue) -> AbstractRobustQueue:
    return await channel.declare_queue(
        queue.name, durable=True, arguments=dict(queue.arguments or {}), robust=False
    )
