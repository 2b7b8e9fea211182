"""The schema: as the models say, and closed to whoever names no tenant."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import crm_webhooks.deliveries.models
import crm_webhooks.endpoints.models
import crm_webhooks.event_log.models
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from crm_webhooks.deliveries.retention import purge
from crm_webhooks.models import SCHEMA, Base
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

MODELS = (
    crm_webhooks.deliveries.models,
    crm_webhooks.endpoints.models,
    crm_webhooks.event_log.models,
)


def differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
            "include_object": lambda _, name, *__: name != "alembic_version",
            "compare_type": True,
            "compare_server_default": True,
            "version_table_schema": SCHEMA,
        },
    )
    return list(compare_metadata(context, Base.metadata))


@pytest.fixture
async def admin(place: Any) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(place.admin_url)
    yield connection
    await connection.close()


class TestSchema:
    async def test_is_what_the_models_say(self, place: Any) -> None:
        url = place.admin_url.replace("postgresql:", "postgresql+asyncpg:").partition("?")[0]
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await engine.dispose()

    async def test_every_table_of_tenants_is_protected(self, admin: asyncpg.Connection) -> None:
        open_tables = await admin.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'"
            " AND a.attname = 'tenant_id' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)",
            SCHEMA,
        )
        assert open_tables == []

    async def test_without_a_tenant_there_are_no_rows(
        self, service: Any, tenant: Any, receiver: Any
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.contact_created()
        await tenant.settled(endpoint)
        async with service.database.acquire() as connection:
            for table in Base.metadata.tables.values():
                if "tenant_id" in table.columns:
                    count = await connection.fetchval(f"SELECT count(*) FROM {table.name}")  # noqa: S608
                    assert count == 0, table.name

    async def test_secrets_and_headers_are_not_readable(
        self, admin: asyncpg.Connection, tenant: Any, receiver: Any
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, headers={"Authorization": "Bearer abc"})
        rows = await admin.fetch(
            "SELECT e.headers, s.secret FROM webhooks.webhook_endpoints e"
            " JOIN webhooks.endpoint_secrets s ON s.endpoint_id = e.id WHERE e.id = $1",
            endpoint["id"],
        )
        assert len(rows) == 1
        assert b"Bearer" not in rows[0]["headers"]
        assert endpoint["headers"] == {"Authorization": "[hidden]"}


class TestEventLog:
    async def test_holds_every_event_once(
        self, place: Any, tenant: Any, service: Any, until: Any
    ) -> None:
        event_id = await place.publish_contact_created(tenant.id, times=3)
        last = await place.publish_contact_created(tenant.id)

        async def complete() -> Any:
            async with service.database.tenant(tenant.id) as tx:
                rows = await tx.fetch("SELECT * FROM domain_event_log ORDER BY recorded_at")
            return rows if last in {str(row["event_id"]) for row in rows} else None

        rows = await until(complete)
        assert sorted((str(r["event_id"]), r["event_type"]) for r in rows) == sorted(
            [(event_id, "contact.created"), (last, "contact.created")]
        )
        assert rows[0]["payload"]["contact"]["name"] == "Zé ☕"


class TestRetention:
    async def test_deletes_what_is_old_and_settled(
        self, service: Any, tenant: Any, receiver: Any
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.contact_created()
        await tenant.settled(endpoint)
        assert await purge(service.database, days=1) == 0
        assert await purge(service.database, days=0) >= 3
        assert await tenant.deliveries(endpoint) == []
