"""The scratch service at work, and what can be seen of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aio_pika.exceptions import ChannelNotFoundEntity
from crm_testing.services import SIGNATURES
from httpx import ASGITransport, AsyncClient
from service_kit.request_client import RequestClient
from service_kit.service import Service
from service_kit.settings import ServiceSettings
from shared_events import topology
from shared_events.channels.channel import ChannelDeleted
from shared_events.requests import Principal

from crm_scratch.bus import looking_into
from crm_scratch.things import (
    QUEUE,
    SCRATCH,
    TENANT,
    GetThing,
    MakeThing,
    get_thing,
    make_thing,
    store_deleted,
)

ME = Principal(tenant_id=TENANT)
MakeSettings = Callable[..., ServiceSettings]


def scratch(settings: ServiceSettings) -> Service:
    """A service that stores what it is asked to make, and every `channel.deleted` once more."""
    service = Service(SCRATCH, settings)
    service.on(QUEUE, ChannelDeleted, store_deleted)
    service.answer(MakeThing, make_thing)
    service.answer(GetThing, get_thing)
    return service


@asynccontextmanager
async def living(service: Service) -> AsyncIterator[AsyncClient]:
    """The service between its start and its stop; a client of its HTTP port."""
    async with (
        service.app.router.lifespan_context(service.app),
        AsyncClient(transport=ASGITransport(service.app), base_url="http://scratch") as http,
    ):
        yield http


async def ready(http: AsyncClient) -> bool:
    """Whether it takes traffic."""
    return (await http.get("/health/ready")).status_code == 200


async def down(http: AsyncClient) -> bool:
    """Whether it says that it does not."""
    return not await ready(http)


async def rows(service: Service) -> int:
    """How many things the tenant has."""
    async with service.database.tenant(TENANT) as tx:
        return int(await tx.fetchval("SELECT count(*) FROM things"))


@asynccontextmanager
async def asking(url: str) -> AsyncIterator[RequestClient]:
    """A client of the bus."""
    client = RequestClient(url, SIGNATURES)
    await client.start()
    try:
        yield client
    finally:
        await client.stop()


async def made(client: RequestClient, name: str) -> bool:
    """Whether a thing could be made: one of each name, however often it is tried."""
    try:
        reply = await client.call(
            MakeThing(name=name), principal=ME, correlation_id="req-1", idempotency_key=name
        )
    except Exception:  # not there yet, or not any more
        return False
    return reply.problem is None


async def has(service: Service, count: int) -> bool:
    """Whether the tenant has so many things."""
    return await rows(service) == count


async def declared(url: str, queue: topology.EventQueue = QUEUE) -> bool:
    """Whether all of its own is there: dead letters come last."""
    async with looking_into(url) as bus:
        try:
            await bus.depth(queue.dead_letters.name)
        except Exception:  # the channel closes when the queue is not there
            return False
    return True


async def consumed(url: str, queue: topology.EventQueue = QUEUE) -> bool:
    """Whether a queue has its one consumer."""
    if not await declared(url, queue):
        return False
    async with looking_into(url) as bus:
        try:
            return await bus.consumers(queue.name) == 1
        except ChannelNotFoundEntity:
            return False
