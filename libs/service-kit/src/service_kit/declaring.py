"""Declaring the bus: exchanges, queues with their dead letters, delay queues.

Declaring again changes nothing, so every connection begins with it: a broker that came back empty
heals by itself.
"""

import logging
from collections.abc import Iterable, Sequence

from aio_pika.abc import AbstractRobustConnection, AbstractRobustExchange, AbstractRobustQueue
from aio_pika.exceptions import ChannelPreconditionFailed
from faststream.rabbit import RabbitBroker, RabbitQueue
from shared_events import topology

from service_kit.connection import short_channel

_log = logging.getLogger("faststream")


async def declare_topology(
    broker: RabbitBroker,
    connection: AbstractRobustConnection,
    queues: Iterable[topology.EventQueue],
    retry_delays: Sequence[float],
    partitions: int = topology.PARTITIONS,
) -> None:
    """Declare the exchanges of the bus, these queues with their dead letters, the delay queues."""
    for exchange in (*topology.EXCHANGES, topology.CRM_REQUESTS, topology.RETURNS):
        await broker.declare_exchange(exchange)
    for exchange in topology.EXCHANGES:
        declared = await broker.declare_exchange(exchange)
        for source, key in exchange.sources:
            await declared.bind(source.name, key)
        await broker.declare_exchange(exchange.dead_letters)
    for queue in queues:
        await _declare_queue(broker, queue, partitions)
        await _declare_dead_letters(connection, queue)
    for delay in retry_delays:
        waiting_room, waiting = topology.retry(int(delay * 1000))
        await broker.declare_exchange(waiting_room)
        await (await broker.declare_queue(waiting)).bind(waiting_room.name, "#")


async def _declare_queue(broker: RabbitBroker, queue: topology.EventQueue, partitions: int) -> None:
    """From the end to the source: what is bound always leads somewhere."""
    if queue.spread is not None:
        await broker.declare_exchange(queue.spread)
    for part, sources in queue.parts(partitions):
        declared: AbstractRobustQueue | AbstractRobustExchange
        if isinstance(part, RabbitQueue):
            declared = await broker.declare_queue(part)
        else:
            declared = await broker.declare_exchange(part)
        for exchange, key in sources:
            await declared.bind(exchange, key)


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


async def _declare_dead_letters(
    connection: AbstractRobustConnection, queue: topology.EventQueue
) -> None:
    letters = queue.dead_letters
    try:
        async with short_channel(connection) as channel:
            dead = await channel.declare_queue(
                letters.name, durable=True, arguments=dict(letters.arguments)
            )
            await dead.bind(queue.exchange.dead_letters.name, queue.name)
    except ChannelPreconditionFailed:
        # Declared before letters were kept for ever; docs/operations.md says how to renew it.
        _log.warning("%s exists with other arguments", letters.name)
