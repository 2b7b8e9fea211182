from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from crm_dev.testing import PostgresServer
from crm_gateway.agents.models import AgentRow
from crm_gateway.auth.models import LoginFailure, Project, RefreshToken, User
from crm_gateway.ingress.models import SpooledWebhook
from crm_gateway.models import Base
from service_kit.service import Service
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

TABLES = (AgentRow, LoginFailure, Project, RefreshToken, SpooledWebhook, User)


@pytest.fixture
def admin_dsn(database_url: str, postgres_server: PostgresServer) -> str:
    return f"{postgres_server.url.rpartition('/')[0]}/{database_url.rpartition('/')[2]}"


class TestMigrations:
    async def test_make_what_the_models_describe(self, admin_dsn: str) -> None:
        assert {table.__tablename__ for table in TABLES} < {
            table.name for table in Base.metadata.sorted_tables
        }

        def differences(connection: Connection) -> list[Any]:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_schemas": True,
                    "include_name": lambda name, kind, _: kind != "schema" or name == "gateway",
                    "version_table_schema": "gateway",
                    "compare_type": True,
                },
            )
            return list(compare_metadata(context, Base.metadata))

        engine = create_async_engine(admin_dsn.replace("postgresql:", "postgresql+asyncpg:"))
        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
        await engine.dispose()
        assert found == []


class TestTenancy:
    async def test_every_table_with_a_tenant_is_protected_even_from_its_owner(
        self, admin_dsn: str
    ) -> None:
        connection = await asyncpg.connect(admin_dsn)
        rows = await connection.fetch(
            "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity AS protected"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
            " WHERE c.relnamespace = 'gateway'::regnamespace AND c.relkind = 'r'"
            " AND a.attname = 'tenant_id'"
        )
        await connection.close()
        assert len(rows) == 7
        assert all(row["protected"] for row in rows)

    @pytest.mark.parametrize("table", ["projects", "users", "agents", "refresh_tokens"])
    async def test_without_a_tenant_or_as_another_nothing_is_seen(
        self, gateway: Service, account: object, table: str
    ) -> None:
        del account
        query = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
        async with gateway.database.acquire() as connection:
            assert await connection.fetchval(query) == 0
        async with gateway.database.tenant(str(uuid4())) as tx:
            assert await tx.fetchval(query) == 0

    async def test_nothing_can_be_written_for_another_tenant(self, gateway: Service) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with gateway.database.tenant(str(uuid4())) as tx:
                await tx.execute(
                    "INSERT INTO projects (id, tenant_id, name) VALUES ($1, $2, 'x')",
                    uuid4(),
                    str(uuid4()),
                )

    async def test_the_login_scope_sees_users_and_refresh_tokens_only(
        self, gateway: Service, account: object
    ) -> None:
        del account
        async with gateway.database.system("login") as tx:
            assert await tx.fetchval("SELECT count(*) FROM users") > 0
            for table in ("projects", "agents", "ingress_spool", "outbox_events"):
                query = f"SELECT count(*) FROM {table}"  # noqa: S608 - our own names
                assert await tx.fetchval(query) == 0
