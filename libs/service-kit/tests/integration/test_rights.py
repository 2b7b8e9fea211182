"""What a real broker lets the user of one service do: its own, and nothing of another's."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractRobustConnection
from aiormq.exceptions import ChannelAccessRefused
from crm_testing.servers import PASSWORD, RabbitServer
from pydantic import SecretStr
from service_kit.bus import BROKER_ERRORS, Publisher
from service_kit.declaring import declare_own, have_consumers
from service_kit.provisioning import provision
from service_kit.settings import ServiceSettings
from shared_events import topology
from shared_events.registry import EVENTS
from shared_events.services import CONTACTS, GATEWAY, SERVICES, ServiceName

THEIRS = topology.MESSAGING_CHANNEL_EVENTS
QUEUE = THEIRS.partitions(1)[0].name
DELAYS = (0.05,)

Attempt = Callable[[AbstractChannel], Awaitable[object]]


def as_user(vhost: str, service: ServiceName) -> str:
    """The virtual host as this service's user reaches it."""
    parts = urlsplit(vhost)
    login = f"{service.bus_user}:{PASSWORD}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=login))


@pytest.fixture(scope="module")
async def granted(rabbitmq_server: RabbitServer) -> str:
    """A virtual host as `migrate` of every service leaves it."""
    vhost = await rabbitmq_server.create_vhost("rights")
    for service in SERVICES:
        settings = ServiceSettings(crm_env="test", rabbitmq_url=SecretStr(as_user(vhost, service)))
        await provision(rabbitmq_server.administration, settings, service)
    return vhost


@asynccontextmanager
async def connected(vhost: str, service: ServiceName) -> AsyncIterator[AbstractRobustConnection]:
    """A connection as this service's user."""
    connection = await aio_pika.connect_robust(as_user(vhost, service))
    async with connection:
        assert isinstance(connection, AbstractRobustConnection)
        yield connection


async def publish(channel: AbstractChannel, exchange: str, key: str) -> None:
    """Publish, confirmed: RabbitMQ tells a refusal by closing the channel."""
    found = await channel.get_exchange(exchange, ensure=False)
    await found.publish(aio_pika.Message(b"{}"), key, mandatory=False)


async def ignore(message: AbstractIncomingMessage) -> None:
    """It returns to its queue with the connection."""


async def consume(channel: AbstractChannel, queue: str = QUEUE) -> object:
    return await (await channel.get_queue(queue)).consume(ignore)


async def get(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(QUEUE)).get(fail=False)


async def get_letters(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(THEIRS.dead_letters.name)).get(fail=False)


async def purge(channel: AbstractChannel) -> object:
    return await (await channel.get_queue(QUEUE)).purge()


async def delete(channel: AbstractChannel) -> object:
    return await channel.queue_delete(QUEUE)


async def bind(channel: AbstractChannel) -> object:
    queue = await channel.get_queue(QUEUE)
    return await queue.bind(topology.DOMAIN_EVENTS.name, "note.added")


async def declare_a_partition(channel: AbstractChannel) -> object:
    return await channel.declare_queue(f"{THEIRS.name}.7", durable=True)


async def declare_their_requests(channel: AbstractChannel) -> object:
    return await channel.declare_queue("messaging.commands", durable=True, auto_delete=True)


async def send_to_the_queue(channel: AbstractChannel) -> None:
    await channel.default_exchange.publish(aio_pika.Message(b"{}"), QUEUE)


async def return_to_the_queue(channel: AbstractChannel) -> None:
    await publish(channel, topology.returns(THEIRS.service).name, THEIRS.name)


async def bury_in_their_letters(channel: AbstractChannel) -> None:
    await publish(channel, THEIRS.exchange.dead_letters.name, THEIRS.name)


async def tell_their_event(channel: AbstractChannel) -> None:
    await publish(channel, topology.DOMAIN_EVENTS.name, "message.received")


async def tell_a_raw_webhook(channel: AbstractChannel) -> None:
    await publish(channel, topology.WAHA_EVENTS.name, "message")


async def ask(channel: AbstractChannel) -> None:
    await publish(channel, topology.CRM_REQUESTS.name, "contacts.contact.get")


async def hear_their_requests(channel: AbstractChannel) -> None:
    queue = await channel.declare_queue("contacts.queries", durable=True, auto_delete=True)
    await queue.bind(topology.CRM_REQUESTS.name, "messaging.message.send")


async def hear_all_requests(channel: AbstractChannel) -> None:
    queue = await channel.declare_queue("contacts.queries", durable=True, auto_delete=True)
    await queue.bind(topology.CRM_REQUESTS.name, "#")


async def hear_other_events(channel: AbstractChannel) -> None:
    queue = await channel.get_queue(topology.CONTACTS_TIMELINE.name)
    await queue.bind(topology.DOMAIN_EVENTS.name, "#")


async def hear_replies(channel: AbstractChannel) -> None:
    queue = await channel.declare_queue("contacts.queries", durable=True, auto_delete=True)
    await queue.bind(topology.CRM_REPLIES.name, "replies.1")


async def delete_an_exchange(channel: AbstractChannel) -> None:
    await channel.exchange_delete(topology.DOMAIN_EVENTS.name)


async def make_an_exchange(channel: AbstractChannel) -> None:
    await channel.declare_exchange("contacts.anything", durable=True)


class TestContacts:
    """What somebody who has taken this one service over cannot do to the others."""

    @pytest.mark.parametrize(
        "attempt",
        [
            consume,
            get,
            get_letters,
            purge,
            delete,
            bind,
            declare_a_partition,
            declare_their_requests,
            send_to_the_queue,
            return_to_the_queue,
            bury_in_their_letters,
            tell_their_event,
            tell_a_raw_webhook,
            ask,
            hear_their_requests,
            hear_all_requests,
            hear_other_events,
            hear_replies,
            delete_an_exchange,
            make_an_exchange,
        ],
        ids=lambda attempt: attempt.__name__,
    )
    async def test_may_not(self, granted: str, attempt: Attempt) -> None:
        async with await aio_pika.connect(as_user(granted, CONTACTS)) as connection:
            channel = await connection.channel()
            with pytest.raises(ChannelAccessRefused):
                await attempt(channel)


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
class TestEveryService:
    async def test_may_declare_and_tell_its_own(self, granted: str, service: ServiceName) -> None:
        queues = tuple(topology.queues_of(service))
        publisher = Publisher(as_user(granted, service), EVENTS[service])
        async with connected(granted, service) as connection:
            await declare_own(connection, queues, DELAYS)
            await have_consumers(connection, topology.queues_told(service))
        await publisher.connect()
        for event in EVENTS[service]:
            await publisher.publish_event(
                event.event_type, b"{}", message_id="1", headers={}, correlation_id=None
            )
        for queue in queues:
            waiting_room, _ = topology.retry(service, int(DELAYS[0] * 1000))
            for exchange in (queue.exchange.dead_letters, topology.returns(service), waiting_room):
                await publisher.publish(exchange, queue.name, b"{}", message_id="1", headers={})
        await publisher.close()

    async def test_may_take_what_is_its_own(self, granted: str, service: ServiceName) -> None:
        async with connected(granted, service) as connection:
            for queue in topology.queues_of(service):
                parts = queue.partitions(topology.PARTITIONS)
                for one in (*parts, queue.dead_letters):
                    await consume(await connection.channel(), one.name)


class TestGateway:
    async def test_may_tell_any_webhook(self, granted: str) -> None:
        async with connected(granted, GATEWAY) as connection:
            for name in ("message.any", "session.status", "unknown.brand.new"):
                await publish(await connection.channel(), topology.WAHA_EVENTS.name, name)


class TestWithoutRights:
    async def test_nobody_gets_in(self, rabbitmq_server: RabbitServer, granted: str) -> None:
        stranger = await rabbitmq_server.create_vhost("elsewhere")
        with pytest.raises(BROKER_ERRORS):
            await aio_pika.connect(as_user(stranger, CONTACTS))
        assert granted
