import asyncio
from collections.abc import Callable
from urllib.parse import quote

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from crm_scratch import eventually
from crm_testing.servers import PostgresServer
from pydantic import SecretStr
from service_kit import migrations
from service_kit.settings import ConfigurationError, ServiceSettings
from service_kit.tables import plumbing
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

ODD_PASSWORD = "a/b+c%'d"
MakeSettings = Callable[..., ServiceSettings]


class TestMigrate:
    async def test_changes_nothing_the_second_time(
        self, make_settings: MakeSettings, admin_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_ADMIN_URL", admin_url)
        for _ in range(2):
            await migrations.migrate(make_settings(), package="crm_scratch", schema="scratch")
        admin = await asyncpg.connect(admin_url)
        assert await admin.fetchval("SELECT version_num FROM scratch.alembic_version") == "0001"
        await admin.close()

    async def test_lets_another_make_an_index_concurrently_while_it_waits(
        self, make_settings: MakeSettings, admin_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_ADMIN_URL", admin_url)
        other, admin = await asyncpg.connect(admin_url), await asyncpg.connect(admin_url)
        await other.execute("SELECT pg_advisory_lock(x'43524D'::int)")
        task = asyncio.create_task(
            migrations.migrate(make_settings(), package="crm_scratch", schema="scratch")
        )

        async def waits() -> bool:
            found: int = await admin.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_%advisory_lock%'"
                " AND pid <> ALL($1::int[]) AND datname = current_database()",
                [other.get_server_pid(), admin.get_server_pid()],
            )
            return found > 0

        await eventually(waits)
        await other.execute("CREATE INDEX CONCURRENTLY idx_slow ON scratch.things (name)")
        await other.close()  # and with it the lock
        await task
        await admin.close()

    async def test_makes_the_database_too(
        self, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admin_url = postgres_server.url
        login = f"crm_new_app:{quote(ODD_PASSWORD, safe='')}"
        url = admin_url.replace("postgres:only-for-this-test-run", login)
        settings = ServiceSettings(
            crm_env="test",
            database_url=SecretStr(url.rpartition("/")[0] + "/made_by_migrate"),
            rabbitmq_url=SecretStr("amqp://nobody:x@localhost/"),
        )
        monkeypatch.setenv("DATABASE_ADMIN_URL", admin_url)
        await migrations.migrate(settings, package="crm_scratch", schema="scratch")
        connection = await asyncpg.connect(settings.postgres_dsn)
        assert await connection.fetchval("SELECT count(*) FROM scratch.things") == 0
        await connection.close()

    async def test_says_what_it_needs(
        self, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("DATABASE_ADMIN_URL", raising=False)
        with pytest.raises(ConfigurationError, match="DATABASE_ADMIN_URL"):
            await migrations.migrate(make_settings(), package="crm_scratch", schema="scratch")


class TestPlumbing:
    async def test_is_what_the_migrated_database_has(self, admin_url: str) -> None:
        metadata = MetaData(schema="scratch")
        plumbing(metadata)

        def differences(connection: Connection) -> list[object]:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_schemas": True,
                    "include_name": lambda name, kind, _: kind != "schema" or name == "scratch",
                    "include_object": lambda o, name, kind, *_: (
                        kind != "table"
                        or name not in ("things", "shared_things", "alembic_version")
                    ),
                    "compare_server_default": True,
                },
            )
            return list(compare_metadata(context, metadata))

        engine = create_async_engine(admin_url.replace("postgresql:", "postgresql+asyncpg:"))
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
        await engine.dispose()
