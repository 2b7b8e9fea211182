"""A webhooks service on real PostgreSQL and RabbitMQ, with a receiver for what it sends."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_dev.testing import PostgresServer, RabbitServer
from crm_fakes.receiver import WebhookReceiver
from crm_webhooks.app import PACKAGE, create_service
from crm_webhooks.endpoints.secrets import Vault
from crm_webhooks.models import SCHEMA
from crm_webhooks.settings import WebhooksSettings
from cryptography.fernet import Fernet
from pydantic import SecretStr
from service_kit import migrations
from service_kit.bus import Publisher
from service_kit.errors import UnavailableError
from service_kit.request_client import RequestClient
from service_kit.service import Service
from shared_events import topology
from shared_events.contact import ContactCreated
from shared_events.envelope import EventData
from shared_events.requests.base import Principal, Reply, Request
from shared_events.requests.webhooks import (
    CreateEndpoint,
    GetDelivery,
    ListDeliveries,
    ListEndpoints,
)
from shared_events.resources import Contact

KEY = Fernet.generate_key().decode()


async def until(look: Callable[[], Awaitable[Any]], timeout: float = 15.0) -> Any:
    """What `look` returns once it is truthy; TimeoutError after `timeout` seconds."""
    async with asyncio.timeout(timeout):
        while True:
            if found := await look():
                return found
            await asyncio.sleep(0.01)


class Place:
    """A database and a virtual host, where services may be started and stopped."""

    def __init__(self, admin_url: str, amqp_url: str) -> None:
        self.admin_url = admin_url
        self.amqp_url = amqp_url
        address = admin_url.rpartition("@")[2]
        self.database_url = f"postgresql://crm_webhooks_app:only-for-tests@{address}"

    def settings(self, **overrides: Any) -> WebhooksSettings:
        """Quick ones: fractions of a second instead of hours."""
        quick: dict[str, Any] = {
            "crm_env": "test",
            "database_url": SecretStr(self.database_url),
            "rabbitmq_url": SecretStr(self.amqp_url),
            "encryption_key": SecretStr(KEY),
            "retry_schedule_seconds": (0.1, 0.2, 0.3),
            "webhook_timeout_seconds": 1.0,
            "webhook_slow_seconds": 0.3,
            "webhook_lease_seconds": 2.0,
        }
        return WebhooksSettings(**{**quick, **overrides})

    async def migrate(self) -> None:
        os.environ["DATABASE_ADMIN_URL"] = self.admin_url
        try:
            await migrations.migrate(self.settings(), package=PACKAGE, schema=SCHEMA)
        finally:
            del os.environ["DATABASE_ADMIN_URL"]

    @asynccontextmanager
    async def running(self, **overrides: Any) -> AsyncIterator[Service]:
        """A service from start to clean stop."""
        service = create_service(self.settings(**overrides))
        async with service._lifespan(service.app):
            await until(service.migrated.wait)
            yield service

    async def publish_event(
        self,
        tenant_id: str,
        event: type[EventData],
        event_id: str,
        data: dict[str, Any],
        *,
        times: int = 1,
    ) -> None:
        """Put an event on the bus as a relay does; `times` over, at once."""
        envelope = {
            "event_id": event_id,
            "event_type": event.event_type,
            "event_version": event.event_version,
            "aggregate_id": str(uuid4()),
            "aggregate_type": event.aggregate_type,
            "aggregate_seq": 1,
            "tenant_id": tenant_id,
            "occurred_at": datetime.now(UTC).isoformat(),
            "data": data,
        }
        body = json.dumps(envelope).encode()
        await self.publish(tenant_id, event.event_type, body, event_id=event_id, times=times)

    async def publish_contact_created(self, tenant_id: str, *, times: int = 1) -> str:
        """As above; returns the event id."""
        event_id = str(uuid4())
        data = ContactCreated(contact=_contact(uuid4())).model_dump(mode="json")
        await self.publish_event(tenant_id, ContactCreated, event_id, data, times=times)
        return event_id

    async def publish(
        self,
        tenant_id: str,
        event_type: str,
        body: bytes,
        *,
        event_id: str | None = None,
        times: int = 1,
    ) -> None:
        """Put bytes on the bus under an event's headers."""
        publisher = Publisher(self.amqp_url)
        await publisher.connect()
        headers = {
            "event_id": event_id or str(uuid4()),
            "event_type": event_type,
            "event_version": "1",
            "tenant_id": tenant_id,
        }
        await asyncio.gather(
            *(
                publisher.publish(
                    topology.event_exchange(event_type),
                    event_type,
                    body,
                    message_id=str(uuid4()),
                    headers=headers,
                )
                for _ in range(times)
            )
        )
        await publisher.close()

    @asynccontextmanager
    async def asking(self, service: Service | None) -> AsyncIterator["MakeTenant"]:
        """Makes tenants of a service, once it answers."""
        client = RequestClient(self.amqp_url)
        await client.start()

        async def answers() -> bool:
            try:
                return bool(await Tenant(service, client).ask(ListEndpoints()))
            except UnavailableError:
                return False

        try:
            await until(answers, timeout=30)
            yield lambda tenant_id=None: Tenant(service, client, tenant_id)
        finally:
            await client.stop()


class Tenant:
    """One company: asks the service over the bus and makes things happen to its contacts."""

    def __init__(
        self, service: Service | None, client: RequestClient, tenant_id: str | None = None
    ) -> None:
        self.id = tenant_id or str(uuid4())
        self._service = service
        self._client = client

    async def ask(self, request: Request, **options: Any) -> Reply:
        return await self._client.call(
            request,
            principal=Principal(tenant_id=self.id, user_id=None),
            correlation_id=str(uuid4()),
            **options,
        )

    async def value(self, request: Request, **options: Any) -> dict[str, Any]:
        reply = await self.ask(request, **options)
        assert reply.value is not None, reply.problem
        return reply.value

    async def endpoint(self, url: str, **fields: Any) -> dict[str, Any]:
        return await self.value(CreateEndpoint.model_validate({"url": url, **fields}))

    async def contact_created(self, *, contact_id: UUID | None = None, count: int = 1) -> list[str]:
        """Publish `contact.created` through the outbox, the relay and the broker."""
        assert self._service is not None
        async with self._service.database.tenant(self.id) as tx:
            return [
                str(tx.outbox.add(ContactCreated(contact=contact), contact.id))
                for contact in (_contact(contact_id or uuid4()) for _ in range(count))
            ]

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

        await until(has_status, timeout=timeout)
        newest = (await self.deliveries(endpoint))[0]
        return await self.value(GetDelivery(delivery_id=newest["id"]))


def _contact(contact_id: UUID) -> Contact:
    now = datetime.now(UTC)
    return Contact(
        id=contact_id, name="Zé ☕", source="test", version=1, created_at=now, updated_at=now
    )


MakeTenant = Callable[..., Tenant]
NewPlace = Callable[[], Awaitable[Place]]


@pytest.fixture(scope="session")
def new_place(postgres_server: PostgresServer, rabbitmq_server: RabbitServer) -> NewPlace:
    async def make() -> Place:
        place = Place(
            await postgres_server.create_database("webhooks"),
            await rabbitmq_server.create_vhost("webhooks"),
        )
        await place.migrate()
        return place

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
    async with place.asking(service) as make:
        yield make


@pytest.fixture
def tenant(tenants: MakeTenant) -> Tenant:
    return tenants()


@pytest.fixture(name="until")
def patience() -> Callable[..., Awaitable[Any]]:
    return until


@pytest.fixture
def seal() -> Callable[[str], bytes]:
    """Encrypts a secret as the service would."""
    return Vault(KEY).seal


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with WebhookReceiver() as receiver:
        yield receiver
