"""A webhooks service on real PostgreSQL and RabbitMQ, with a receiver for what it sends."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.servers import PostgresServer, RabbitServer
from crm_testing.services import Company, Outside, eventually, running
from crm_webhooks.app import create_service
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.settings import WebhooksSettings
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit.sealing import Seal
from service_kit.service import Service
from shared_events import topology
from shared_events.contacts.contact import Contact, ContactCreated
from shared_events.envelope import EventData
from shared_events.services import WEBHOOKS
from shared_events.webhooks.delivery import GetDelivery, ListDeliveries
from shared_events.webhooks.endpoint import CreateEndpoint, ListEndpoints

KEY = Fernet.generate_key().decode()


class Tenant(Company):
    """A company with webhook endpoints; things happen to its contacts."""

    async def endpoint(self, url: str, **fields: Any) -> dict[str, Any]:
        return await self.value(CreateEndpoint.model_validate({"url": url, **fields}))

    async def contact_created(self, *, contact_id: UUID | None = None, count: int = 1) -> list[str]:
        """Tell `contact.created` through the service's own outbox, relay and broker."""
        async with self.database.tenant(self.id) as tx:
            return [
                str(tx.outbox.add(ContactCreated(contact=contact), contact.id))
                for contact in (_contact(contact_id or uuid4()) for _ in range(count))
            ]

    async def publish_contact_created(self, *, times: int = 1) -> str:
        """Put `contact.created` on the bus as a relay does, `times` over; returns its id."""
        envelope = self.envelope(ContactCreated(contact=_contact(uuid4())))
        await asyncio.gather(*(self.outside.publish(envelope) for _ in range(times)))
        return str(envelope.event_id)

    async def publish_traced(self, correlation_id: str, **trace: str) -> str:
        """Put `contact.created` on the bus with what strangers wrote beside it; returns its id."""
        envelope = self.envelope(ContactCreated(contact=_contact(uuid4())))
        named = {"event_type": envelope.event_type, "event_id": str(envelope.event_id)}
        await self.outside.publisher.publish(
            topology.event_exchange(envelope.event_type),
            envelope.event_type,
            envelope.model_dump_json().encode(),
            message_id=str(envelope.event_id),
            correlation_id=correlation_id,
            headers={**named, "event_version": "1", "tenant_id": self.id, **trace},
        )
        return str(envelope.event_id)

    async def publish_anything(self, event: type[EventData], data: dict[str, Any]) -> str:
        """Put an event on the bus whose data may be anything; returns its id."""
        template = self.envelope(ContactCreated(contact=_contact(uuid4())))
        named = {"event_type": event.event_type, "aggregate_type": event.aggregate_type}
        body = {**template.model_dump(mode="json"), **named, "data": data}
        await self.outside.publish_body(
            orjson.dumps(body),
            event_type=event.event_type,
            event_id=template.event_id,
            tenant_id=self.id,
        )
        return str(template.event_id)

    async def deliveries(self, endpoint: dict[str, Any], **filters: Any) -> list[dict[str, Any]]:
        request = ListDeliveries(endpoint_id=endpoint["id"], **filters)
        found: list[dict[str, Any]] = (await self.value(request))["data"]
        return found

    async def settled(
        self, endpoint: dict[str, Any], status: str = "delivered", timeout: float = 10
    ) -> dict[str, Any]:
        """Its one delivery, with the attempts, once it has this status."""

        async def has_status() -> bool:
            found = await self.deliveries(endpoint)
            return bool(found) and found[0]["status"] == status

        await eventually(has_status, timeout)
        newest = (await self.deliveries(endpoint))[0]
        return await self.value(GetDelivery(delivery_id=newest["id"]))


def _contact(contact_id: UUID) -> Contact:
    now = datetime.now(UTC)
    return Contact(
        id=contact_id, name="Zé ☕", source="test", version=1, created_at=now, updated_at=now
    )


MakeTenant = Callable[..., Tenant]


class Place:
    """A database and a virtual host, where services may be started and stopped."""

    def __init__(self, database: MigratedDatabase, amqp_url: str) -> None:
        self.database = database
        self.amqp_url = amqp_url

    def settings(self, **overrides: Any) -> WebhooksSettings:
        """Quick ones: fractions of a second instead of hours."""
        quick: dict[str, Any] = {
            "crm_env": "test",
            "database_url": SecretStr(self.database.url),
            "rabbitmq_url": SecretStr(self.amqp_url),
            "encryption_key": SecretStr(KEY),
            "retry_schedule_seconds": (0.1, 0.2, 0.3),
            "webhook_timeout_seconds": 1.0,
            "webhook_slow_seconds": 0.3,
            "webhook_lease_seconds": 2.0,
        }
        return WebhooksSettings(**{**quick, **overrides})

    def running(self, **overrides: Any) -> AbstractAsyncContextManager[Service]:
        """A service from start to clean stop."""
        return running(create_service(self.settings(**overrides)))

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[MakeTenant]:
        """Makes tenants once a service answers, in whatever process."""
        async with self.database.connected() as database, Outside(self.amqp_url) as outside:
            await outside.answered(ListEndpoints())
            yield lambda *known: Tenant(database, outside, *known)


NewPlace = Callable[[], Awaitable[Place]]


@pytest.fixture(scope="session")
def databases(postgres_server: PostgresServer) -> Databases:
    return Databases(postgres_server, WEBHOOKS)


@pytest.fixture(scope="session")
def new_place(databases: Databases, rabbitmq_server: RabbitServer) -> NewPlace:
    async def make() -> Place:
        return Place(await databases.create(), await rabbitmq_server.create_vhost("webhooks"))

    return make


@pytest.fixture(scope="session")
async def place(new_place: NewPlace) -> Place:
    return await new_place()


@pytest.fixture(scope="session")
async def service(place: Place) -> AsyncIterator[Service]:
    async with place.running() as service:
        yield service


@pytest.fixture(scope="session")
async def tenants(place: Place, service: Service) -> AsyncIterator[MakeTenant]:
    async with place.asking() as make:
        yield make


@pytest.fixture
def tenant(tenants: MakeTenant) -> Tenant:
    return tenants()


@pytest.fixture
def seal() -> Callable[[str], bytes]:
    """Encrypts a secret as the service would."""
    return Vault(Seal(SecretStr(KEY))).seal


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver
