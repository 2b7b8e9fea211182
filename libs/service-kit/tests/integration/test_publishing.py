import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aio_pika.abc import AbstractRobustConnection
from crm_scratch.bus import Bus
from crm_testing.wire import Wire
from faststream.rabbit import RabbitBroker
from service_kit.bus import BROKER_ERRORS, make_broker
from service_kit.connection import connect, discard

Lose = Callable[[Wire, RabbitBroker, AbstractRobustConnection], Awaitable[None]]


async def cut(wire: Wire, *_: object) -> None:
    wire.cut()


async def give_up(_: Wire, broker: RabbitBroker, connection: AbstractRobustConnection) -> None:
    """As a watch does with a broker that says nothing."""
    await discard(broker, connection)


class TestConfirm:
    @pytest.mark.parametrize("lose", [cut, give_up])
    async def test_that_cannot_come_is_a_failure_and_ends_nobody(
        self, vhost: str, bus: Bus, lose: Lose
    ) -> None:
        """aiormq cancels who waits for it, which would end a request or a task without a word."""
        await bus.channel.declare_queue("somebody", durable=True)
        async with Wire(vhost) as wire:
            broker = make_broker(wire.url)
            connection = await connect(broker)
            await broker.publish(b"x", queue="somebody")
            wire.fall_silent()
            publishing = asyncio.create_task(broker.publish(b"x", queue="somebody"))
            for _ in range(10):
                await asyncio.sleep(0)
            await lose(wire, broker, connection)
            with pytest.raises(BROKER_ERRORS):
                await publishing
            await discard(broker, connection)

    async def test_is_waited_for_no_longer_by_who_is_told_to_stop(
        self, vhost: str, bus: Bus
    ) -> None:
        await bus.channel.declare_queue("somebody", durable=True)
        async with Wire(vhost) as wire:
            broker = make_broker(wire.url)
            connection = await connect(broker)
            wire.fall_silent()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await broker.publish(b"x", queue="somebody")
            wire.cut()
            await discard(broker, connection)
