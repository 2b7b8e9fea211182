from uuid import UUID

import asyncpg
import crm_messaging.messages.models
import crm_messaging.replicas.models
import crm_messaging.sessions.models
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_status_reported
from crm_messaging.schema import SCHEMA, Base
from messaging_scene import Scene
from service_kit.tables import plumbing
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

MODELS = (
    crm_messaging.messages.models,
    crm_messaging.replicas.models,
    crm_messaging.sessions.models,
)


def declared() -> MetaData:
    """The tables the code believes in."""
    metadata = MetaData(schema=SCHEMA)
    plumbing(metadata)
    for table in Base.metadata.tables.values():
        table.to_metadata(metadata)
    return metadata


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection,
        opts={
            "include_schemas": True,
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, parents: kind != "schema" or name == SCHEMA,
            "version_table_schema": SCHEMA,
        },
    )
    return list(compare_metadata(context, declared()))


class TestMigrations:
    async def test_make_what_the_models_say(self, admin_url: str) -> None:
        engine = create_async_engine(admin_url.replace("postgresql://", "postgresql+asyncpg://"))
        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
        await engine.dispose()
        assert found == []


class TestPlans:
    async def test_lists_start_at_the_cursor_in_the_index(self, scene: Scene) -> None:
        """A million messages later the page after this one must cost the same."""
        after = f"ROW(said_at, seq, id) > ROW(now(), 1, '{UUID(int=1)}'::uuid)"
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
            plan = await tx.fetch(
                f"EXPLAIN SELECT * FROM messages WHERE tenant_id = '{scene.tenant_id}'"  # noqa: S608
                f" AND {after} ORDER BY said_at, seq, id LIMIT 50"
            )
        text = "\n".join(row[0] for row in plan)
        assert "idx_messages_tenant" in text
        assert "ROW(said_at, seq, id) >" in text.partition("Index Cond:")[2].partition("\n")[0]


class TestRowLevelSecurity:
    async def test_every_table_with_a_tenant_shows_and_takes_only_its_own_rows(
        self, scene: Scene, admin_url: str
    ) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_status_reported, scene.receipt("unknown", "read"))
        admin = await asyncpg.connect(admin_url)
        tables = await admin.fetch(
            "SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'"
            " AND a.attname = 'tenant_id'",
            SCHEMA,
        )
        await admin.close()
        names = {table["name"] for table in tables}
        assert {"sessions", "messages", "identity_refs", "outbox_events"} <= names
        assert all(table["forced"] for table in tables)
        for name in sorted(names):
            async with scene.database.acquire() as connection:
                assert await connection.fetchval(f"SELECT count(*) FROM {name}") == 0  # noqa: S608
            async with scene.database.tenant("another-tenant") as tx:
                assert await tx.fetchval(f"SELECT count(*) FROM {name}") == 0  # noqa: S608
                assert await tx.execute(f"UPDATE {name} SET tenant_id = tenant_id") == 0  # noqa: S608
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with scene.database.tenant("another-tenant") as tx:
                await tx.execute(
                    "INSERT INTO contact_refs (tenant_id, contact_id, name)"
                    " VALUES ($1, gen_random_uuid(), 'intruder')",
                    scene.tenant_id,
                )

    async def test_the_sweep_sees_sessions_and_no_messages(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        async with scene.database.system("sweep") as tx:
            assert await tx.fetchval("SELECT count(*) FROM sessions") == 1
            assert await tx.fetchval("SELECT count(*) FROM messages") == 0
