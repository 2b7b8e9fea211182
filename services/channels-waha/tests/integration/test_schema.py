"""The migrated database is what the models say, and no tenant sees another's rows."""

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from crm_channels_waha.channels import models as channel_models
from crm_channels_waha.inbound import models as inbound_models
from crm_channels_waha.outbound import models as outbound_models
from crm_channels_waha.tables import SCHEMA, Table
from service_kit.service import Service
from service_kit.tables import plumbing
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

MODELS = (channel_models, inbound_models, outbound_models)


def differences(connection: Connection) -> list[Any]:
    wanted = MetaData(schema=SCHEMA)
    for table in Table.metadata.tables.values():
        table.to_metadata(wanted)
    plumbing(wanted)

    def ours(name: str | None, kind: str, parents: Any) -> bool:
        del parents
        return name == SCHEMA if kind == "schema" else name != "alembic_version"

    options = {"include_schemas": True, "include_name": ours, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, wanted))


class TestSchema:
    async def test_migrations_and_models_agree(self, admin_url: str, service: Service) -> None:
        await service.migrated.wait()
        assert MODELS
        engine = create_async_engine(admin_url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await engine.dispose()

    async def test_every_tenant_table_is_protected(self, service: Service) -> None:
        await service.migrated.wait()
        async with service.database.acquire() as connection:
            rows = await connection.fetch(
                "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
                " WHERE c.relnamespace = 'channels_waha'::regnamespace AND c.relkind = 'r'"
                " AND a.attname = 'tenant_id'"
                " AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
            )
        assert [row["relname"] for row in rows] == []

    @pytest.mark.parametrize(
        "table", ["channels", "raw_events", "lid_refs", "outbound_messages", "outbox_events"]
    )
    async def test_nobodys_transaction_sees_nothing(self, service: Service, table: str) -> None:
        await service.migrated.wait()
        async with service.database.tenant("nobody") as tx:
            rows = await tx.fetch(f"SELECT 1 FROM {table}")  # noqa: S608 - names from above
        assert rows == []
