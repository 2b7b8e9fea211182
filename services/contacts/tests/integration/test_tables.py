"""The database itself: models and migrations agree, and no tenant sees another's rows."""

from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from crm_contacts.contacts.models import Contact, ContactIdentity
from crm_contacts.tables import SCHEMA, Base
from crm_contacts.timeline.models import ContactEvent
from service_kit.service import Service
from shared_events.requests.contacts import CreateContact
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

TABLES = {Contact, ContactIdentity, ContactEvent}


class TestMigrations:
    async def test_make_the_tables_that_the_models_describe(
        self, admin_url: str, service: Service
    ) -> None:
        assert TABLES  # imported, so that they are in the metadata

        def differences(connection: Connection) -> list[Any]:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_schemas": True,
                    "include_name": lambda name, kind, _: kind != "schema" or name == SCHEMA,
                    "version_table_schema": SCHEMA,
                },
            )
            return list(compare_metadata(context, Base.metadata))

        engine = create_async_engine(
            admin_url.replace("postgresql://", "postgresql+asyncpg://"), poolclass=NullPool
        )
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await engine.dispose()


class TestRowLevelSecurity:
    @pytest.fixture
    async def tables(self, admin_url: str, service: Service) -> list[str]:
        """Every table with a tenant_id that the catalogue knows."""
        admin = await asyncpg.connect(admin_url)
        rows = await admin.fetch(
            "SELECT table_name FROM information_schema.columns"
            " WHERE table_schema = $1 AND column_name = 'tenant_id'",
            SCHEMA,
        )
        await admin.close()
        return [row["table_name"] for row in rows]

    async def test_is_forced_on_every_table(self, admin_url: str, tables: list[str]) -> None:
        admin = await asyncpg.connect(admin_url)
        rows = await admin.fetch(
            "SELECT relname, relrowsecurity AND relforcerowsecurity AS protected FROM pg_class"
            " WHERE relnamespace = $1::regnamespace AND relkind = 'r'",
            SCHEMA,
        )
        await admin.close()
        protected = {row["relname"] for row in rows if row["protected"]}
        assert protected == set(tables)
        assert {row["relname"] for row in rows} - protected == {
            "alembic_version",
            "processed_events",
        }

    async def test_shows_nothing_without_a_tenant_or_to_another(
        self, company: Any, other_company: Any, tables: list[str], service: Service, eventually: Any
    ) -> None:
        request = CreateContact(name="Maria", phone="11 98888-0001")
        await company.value(request, idempotency_key="k")
        await eventually(lambda: company.rows("SELECT 1 FROM contact_events"))
        for table in tables:
            count = f"SELECT count(*) AS n FROM {table}"  # noqa: S608
            assert (await company.rows(count))[0]["n"] > 0, table
            assert (await other_company.rows(count))[0]["n"] == 0, table
            async with service.database.acquire() as connection:
                assert await connection.fetchval(count) == 0, table

    async def test_refuses_to_write_for_another(self, company: Any, service: Service) -> None:
        created = await company.value(CreateContact(name="Maria"))
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with service.database.tenant(company.id) as tx:
                await tx.execute("UPDATE contacts SET tenant_id = $1", str(uuid4()))
        async with service.database.tenant(str(uuid4())) as tx:
            assert await tx.execute("UPDATE contacts SET name = 'x'") == 0
        assert (await company.contacts())[0] == created

    async def test_lets_the_trigram_index_answer_a_search(
        self, company: Any, admin_url: str, service: Service
    ) -> None:
        """LIKE under row-level security needs a leakproof operator; see the kit's migrations."""
        async with service.database.tenant(company.id) as tx:
            await tx.execute(
                "INSERT INTO contacts (id, tenant_id, name, source, search_text, sort_name,"
                " version, created_at, updated_at) SELECT gen_random_uuid(), $1, 'x', 'api',"
                " md5(i::text), 'x', 1, now(), now() FROM generate_series(1, 5000) AS i",
                company.id,
            )
        admin = await asyncpg.connect(admin_url)
        await admin.execute(f"VACUUM ANALYZE {SCHEMA}.contacts")
        await admin.close()
        async with service.database.tenant(company.id) as tx:
            plan = await tx.fetch(
                "EXPLAIN SELECT id FROM contacts"
                " WHERE deleted_at IS NULL AND search_text LIKE '%maria%'"
            )
        conditions = [row[0] for row in plan if "Index Cond" in row[0]]
        assert any("~~ '%maria%'" in condition for condition in conditions), plan
