import asyncio
import logging
from collections.abc import AsyncIterator

import pytest
from aio_pika.abc import AbstractRobustConnection
from crm_scratch import eventually
from crm_scratch.bus import RETRY_DELAYS, Bus, deleted
from crm_scratch.things import QUEUE, SCRATCH
from service_kit import declaring
from service_kit.bus import Publisher, make_broker
from service_kit.connection import BrokerDownError, connect
from service_kit.declaring import declare_own, have_consumers
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted


@pytest.fixture
async def connection(vhost: str) -> AsyncIterator[AbstractRobustConnection]:
    """A connection to the empty virtual host."""
    connection = await connect(make_broker(vhost))
    yield connection
    await connection.close()


async def names(bus: Bus, *queues: str) -> list[str]:
    """Which of these queues are there."""
    found = []
    for name in queues:
        try:
            await bus.depth(name)
        except Exception:  # a missing one closes the channel
            await bus.channel.reopen()
        else:
            found.append(name)
    return found


class TestDeclareOwn:
    async def test_declares_what_a_service_needs_and_nothing_of_others(
        self, connection: AbstractRobustConnection, bus: Bus
    ) -> None:
        await declare_own(connection, [QUEUE], RETRY_DELAYS)
        delays = [topology.retry(SCRATCH, int(1000 * delay))[1].name for delay in RETRY_DELAYS]
        own = [QUEUE.name, QUEUE.dead_letters.name, *delays]
        assert await names(bus, *own) == own
        assert await names(bus, *(queue.name for queue in topology.QUEUES)) == []

    async def test_makes_missing_exchanges_and_what_feeds_them(
        self, connection: AbstractRobustConnection, bus: Bus
    ) -> None:
        await declare_own(connection, [QUEUE], ())
        await bus.queue("end of the chain", topology.WEBHOOKS_OUTBOUND.name, "#")
        exchange = await bus.channel.get_exchange(topology.DOMAIN_EVENTS.name)
        await exchange.publish(deleted(), ChannelDeleted.event_type)
        assert (await bus.take(QUEUE.name)).routing_key == ChannelDeleted.event_type
        contacts = await bus.channel.get_exchange(topology.CONTACT_EVENTS.name)
        await bus.queue("all", topology.DOMAIN_EVENTS.name, "contact.*")
        await contacts.publish(deleted(), "contact.created")
        assert (await bus.take("all")).routing_key == "contact.created"


class TestHaveConsumers:
    async def test_waits_until_the_last_of_a_queue_is_declared(
        self, connection: AbstractRobustConnection
    ) -> None:
        waiting = asyncio.create_task(have_consumers(connection, [QUEUE]))
        done, _ = await asyncio.wait({waiting}, timeout=0.5)
        assert not done
        await declare_own(connection, [QUEUE], ())
        await asyncio.wait_for(waiting, 60)

    async def test_goes_on_without_one_that_does_not_come(
        self,
        connection: AbstractRobustConnection,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(declaring, "CONSUMERS_SECONDS", 0.3)
        with caplog.at_level(logging.WARNING):
            await have_consumers(connection, [QUEUE])
        assert f"{QUEUE.dead_letters.name} is missing" in caplog.text


class TestPublisher:
    async def test_tells_nothing_before_its_consumers_are_there(
        self, vhost: str, connection: AbstractRobustConnection, bus: Bus
    ) -> None:
        publisher = Publisher(vhost, [ChannelDeleted])
        running = asyncio.create_task(publisher.run((), (), [QUEUE]))

        async def told() -> bool:
            try:
                await publisher.publish_event(
                    ChannelDeleted.event_type,
                    b"{}",
                    message_id="1",
                    headers={},
                    correlation_id=None,
                )
            except BrokerDownError:
                return False
            return True

        await asyncio.wait_for(publisher.declared.wait(), 60)
        assert not await told()
        await declare_own(connection, [QUEUE], ())
        await eventually(told)
        assert await bus.depth(QUEUE.name) == 1
        running.cancel()
        await asyncio.wait({running})
