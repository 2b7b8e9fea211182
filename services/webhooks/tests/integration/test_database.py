"""The schema: as the models say, and closed to whoever names no tenant."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.signatures import secret_bytes
from crm_testing.scenes.webhooks import Tenant
from crm_testing.schemas import Databases, assert_models_match, assert_tenants_apart
from crm_testing.services import eventually
from crm_webhooks.deliveries.retention import purge
from crm_webhooks.tables import Base
from shared_events.services import WEBHOOKS


@pytest.fixture
async def admin(place: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(place.database.admin_url)
    yield connection
    await connection.close()


class TestSchema:
    async def test_is_what_the_models_say(self, databases: Databases) -> None:
        await assert_models_match(await databases.create(), WEBHOOKS.package, Base.metadata)

    async def test_keeps_tenants_apart(self, databases: Databases) -> None:
        await assert_tenants_apart(await databases.create())

    async def test_secrets_and_headers_are_not_readable(
        self, admin: asyncpg.Connection, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, headers={"Authorization": "Bearer abc"})
        rows = await admin.fetch(
            "SELECT e.headers, s.secret FROM webhooks.webhook_endpoints e"
            " JOIN webhooks.endpoint_secrets s ON s.endpoint_id = e.id WHERE e.id = $1",
            endpoint["id"],
        )
        assert len(rows) == 1
        assert b"Bearer" not in rows[0]["headers"]
        assert secret_bytes(endpoint["secret"]) not in base64.urlsafe_b64decode(rows[0]["secret"])
        assert endpoint["secret"].encode() not in rows[0]["secret"]
        assert endpoint["headers"] == {"Authorization": "[hidden]"}


class TestEventLog:
    async def test_holds_every_event_once(self, place: Any, tenant: Tenant, service: Any) -> None:
        event_id = await tenant.publish_contact_created(times=3)
        last = await tenant.publish_contact_created()

        async def complete() -> Any:
            rows = await tenant.rows("SELECT * FROM domain_event_log ORDER BY recorded_at")
            return rows if last in {str(row["event_id"]) for row in rows} else None

        rows = await eventually(complete)
        assert sorted((str(r["event_id"]), r["event_type"]) for r in rows) == sorted(
            [(event_id, "contact.created"), (last, "contact.created")]
        )
        assert rows[0]["payload"]["contact"]["name"] == "Zé ☕"


class TestRetention:
    async def test_deletes_what_is_old_and_settled(
        self, service: Any, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.contact_created()
        await tenant.settled(endpoint)
        await purge(service.database, days=1)
        assert len(await tenant.deliveries(endpoint)) == 1
        assert await purge(service.database, days=0) >= 1
        assert await tenant.deliveries(endpoint) == []
