"""What the tests of every service share: the service at work, and companies that use it.

The other services' side of the bus is played here: they ask, as the gateway does, and they tell
events, as their relays do.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, cast
from uuid import UUID, uuid4

from aio_pika import connect_robust
from aio_pika.abc import AbstractRobustConnection
from asyncpg import Record
from faststream.rabbit import RabbitBroker, RabbitQueue
from service_kit.bus import Publisher, make_broker
from service_kit.connection import connect
from service_kit.database import Database
from service_kit.declaring import declare_own, have_exchanges
from service_kit.errors import UnavailableError
from service_kit.relay import envelope
from service_kit.request_client import RequestClient
from service_kit.request_server import RequestServer
from service_kit.router import Router
from service_kit.service import Service
from service_kit.signing import Signatures
from shared_events import registry, topology
from shared_events.envelope import Envelope, EventData
from shared_events.identity import conversation_id
from shared_events.requests import Principal, Problem, Reply, Request
from shared_events.services import ServiceName
from shared_events.slots import SLOT, slot_of

SIGNATURES = Signatures("development")
"""The key of a service that was given none."""

PATIENCE_SECONDS = 60.0
"""How long is waited for what must come: nobody waits so long but who waits in vain."""

_OUTBOX = """
SELECT * FROM outbox_events WHERE $1::text IS NULL OR event_type = $1 ORDER BY seq
"""


async def eventually(look: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS) -> Any:
    """What `look` returns once it is truthy; TimeoutError after `seconds`."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


async def declare_told(service: ServiceName, amqp_url: str) -> None:
    """Have the queues that the service's events must reach, as their owners do before it comes."""
    async with await connect_robust(amqp_url) as connection:
        told = topology.queues_told(service)
        await declare_own(cast(AbstractRobustConnection, connection), told, ())


@asynccontextmanager
async def running(service: Service, neighbours: str = "") -> AsyncIterator[Service]:
    """The service in this process, from when it answers and consumes to its clean stop.

    `neighbours` is the AMQP URL of those it tells, where its own may not declare their queues.
    """
    await declare_told(service.name, neighbours or service.settings.amqp_url)
    async with service.app.router.lifespan_context(service.app):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await service.consuming.subscribed.wait()
        yield service


@asynccontextmanager
async def answering(server: RequestServer, amqp_url: str) -> AsyncIterator[RabbitBroker]:
    """The server at work; the broker is FastStream's, whose stop ends it early."""
    router = Router()
    server.subscribe(router)
    broker = make_broker(amqp_url, confirms=False)
    broker.include_router(router)
    await connect(broker, have_exchanges)
    await server.bind(broker)
    yield broker
    await broker.stop()


class Outside:
    """The other services' connections to the bus."""

    def __init__(self, amqp_url: str) -> None:
        self.client = RequestClient(amqp_url, SIGNATURES)
        self.publisher = Publisher(amqp_url)

    async def __aenter__(self) -> Self:
        await self.publisher.connect()
        await self.client.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.stop()
        await self.publisher.close()

    async def answered(self, request: Request[Any]) -> None:
        """Wait for a service in another process until it answers such a request."""

        async def answers() -> bool:
            try:
                await self.client.call(
                    request, principal=Principal(tenant_id="nobody"), correlation_id="start"
                )
            except UnavailableError:
                return False
            return True

        await eventually(answers)

    async def buried(self, queue: RabbitQueue, count: int) -> None:
        """Wait until so many dead letters rest in a queue of theirs."""

        async def rest() -> bool:
            async with self.publisher.channel() as amqp:
                found = await amqp.declare_queue(queue.name, passive=True)
            return found.declaration_result.message_count == count

        await eventually(rest)

    async def publish(self, envelope: Envelope[Any]) -> None:
        """Publish an event; the same one twice is a redelivery."""
        body = envelope.model_dump_json().encode()
        slot = slot_of(envelope.aggregate_id)
        await self.publish_body(body, slot=slot, **envelope.model_dump(exclude={"data"}))

    async def publish_body(
        self, body: bytes, *, event_type: str, slot: int = 0, **headers: Any
    ) -> None:
        """Publish bytes, whatever they are, as an event of this type."""
        named = {"event_type": event_type, "event_version": "1", "event_id": uuid4(), **headers}
        await self.publisher.publish(
            topology.event_exchange(event_type),
            event_type,
            body,
            message_id=str(uuid4()),
            headers={**{name: str(value) for name, value in named.items()}, SLOT: slot},
        )


@dataclass
class Company:
    """A tenant: it asks a service, others tell of it, and its tables can be looked into."""

    database: Database
    outside: Outside
    id: str = field(default_factory=lambda: str(uuid4()))
    user_id: UUID = field(default_factory=uuid4)
    own_only: bool = False

    async def ask(self, request: Request[Any], **options: Any) -> Reply:
        """Send a request over the bus, as the gateway does.

        Again where nobody took it: on a slow machine a connection is now and then made anew.
        """
        principal = Principal(tenant_id=self.id, user_id=self.user_id, own_only=self.own_only)
        options.setdefault("correlation_id", f"req-{uuid4()}")

        async def answer() -> Reply | None:
            try:
                return await self.outside.client.call(request, principal=principal, **options)
            except UnavailableError:
                return None

        reply: Reply = await eventually(answer)
        return reply

    async def value(self, request: Request[Any], **options: Any) -> dict[str, Any]:
        """The value of a request that must succeed."""
        reply = await self.ask(request, **options)
        assert reply.problem is None, reply.problem
        assert reply.value is not None
        return reply.value

    async def problem(self, request: Request[Any], **options: Any) -> Problem:
        """The problem of a request that must fail."""
        problem = (await self.ask(request, **options)).problem
        assert problem is not None
        return problem

    async def refusal(self, request: Request[Any], **options: Any) -> tuple[str, str]:
        """Kind and code of a request that must fail; the code is the field's, if it names one."""
        problem = await self.problem(request, **options)
        return problem.kind, problem.errors[0].code if problem.errors else problem.code

    def envelope(self, data: EventData, seq: int = 1) -> Envelope[Any]:
        """The data as an event of this tenant, as `event_of` makes it."""
        return event_of(self.id, data, seq)

    async def publish(self, data: EventData) -> UUID:
        """Publish an event of this tenant; returns its id."""
        envelope = self.envelope(data)
        await self.outside.publish(envelope)
        return envelope.event_id

    async def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Look into the tables as this tenant."""
        async with self.database.tenant(self.id) as tx:
            return [dict(row) for row in await tx.fetch(query, *values)]

    async def outbox(self, event_type: str | None = None) -> list[Record]:
        """The outbox's rows of this tenant, oldest first."""
        async with self.database.tenant(self.id) as tx:
            return await tx.fetch(_OUTBOX, event_type)

    async def told(self, event_type: str) -> list[dict[str, Any]]:
        """What this tenant's events of a type said, oldest first."""
        return [row["payload"] for row in await self.outbox(event_type)]


def event_of(tenant_id: str, data: EventData, seq: int = 1) -> Envelope[Any]:
    """The data as an event of a tenant, as another service tells it.

    What is told of one chat is of one aggregate, so that it keeps its order over the partitions;
    anything else is of an aggregate of its own.
    """
    return Envelope(
        event_id=uuid4(),
        event_type=data.event_type,
        event_version=data.event_version,
        aggregate_id=_chat_of(data) or uuid4(),
        aggregate_type=data.aggregate_type,
        aggregate_seq=seq,
        tenant_id=tenant_id,
        occurred_at=datetime.now(UTC),
        correlation_id="req-told",
        data=data,
    )


def _chat_of(data: EventData) -> UUID | None:
    channel_id = getattr(getattr(data, "message", data), "channel_id", None)
    chat_id = getattr(data, "to", None) or getattr(data, "chat_id", None)
    return conversation_id(channel_id, chat_id) if channel_id and chat_id else None


def read_back(row: Record) -> Envelope[Any]:
    """An event of the outbox as its consumers will read it."""
    return registry.parse_any(row["event_type"], row["event_version"], envelope(row))
