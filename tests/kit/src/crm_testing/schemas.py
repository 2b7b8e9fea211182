"""What the tests of every service's schema share: databases to work on, and two proofs.

The models and the migrations say the same, and no tenant sees or writes another's rows
(docs/architecture.md, "Data and tenancy").
"""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
import pytest
from pydantic import SecretStr
from service_kit import migrations
from service_kit.database import Database
from service_kit.drift import differences, models_of
from service_kit.settings import ServiceSettings
from shared_events.services import ServiceName
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from crm_testing.servers import PostgresServer

OF_NO_TENANT = frozenset({"alembic_version", "processed_events"})
"""Tables of the plumbing that say nothing about anybody."""

_TABLES = """
SELECT c.relname AS name,
    bool_or(a.attname = 'tenant_id') AS has_tenant,
    c.relrowsecurity AND c.relforcerowsecurity AS forced,
    coalesce(json_object_agg(a.attname, t.typname) FILTER (
        WHERE a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attname <> 'tenant_id'
    ), '{}') AS required
FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = $1::regnamespace AND c.relkind IN ('r', 'p')
GROUP BY c.oid
"""
_ANYTHING = {
    "uuid": "gen_random_uuid()",
    "varchar": "'x'",
    "text": "'x'",
    "int2": "1",
    "int4": "1",
    "int8": "1",
    "bool": "true",
    "date": "current_date",
    "timestamptz": "now()",
    "jsonb": "'{}'",
    "bytea": "''",
    "_text": "'{}'",
}
"""SQL of some value of each type that columns have."""


@dataclass(frozen=True)
class MigratedDatabase:
    """A service's database, as its administrator and as the service's runtime role reach it."""

    admin_url: str
    url: str
    schema: str

    @asynccontextmanager
    async def connected(self, pool_size: int = 8) -> AsyncIterator[Database]:
        """The database as the service uses it."""
        database = Database(self.url, self.schema, pool_size=pool_size)
        await database.connect()
        try:
            yield database
        finally:
            await database.close()


class Databases:
    """Databases of one service: copies of one that was migrated once."""

    def __init__(self, server: PostgresServer, service: ServiceName) -> None:
        self.service = service
        self._server = server
        self._template: str | None = None

    async def create(self) -> MigratedDatabase:
        """A database of one's own, empty and migrated."""
        if self._template is None:
            template = database_of(
                self.service, await self._server.create_database(f"{self.service.schema}_template")
            )
            await migrate(template, self.service.package)
            self._template = urlsplit(template.url).path.removeprefix("/")
        copied = await self._server.create_database(self.service.schema, self._template)
        return database_of(self.service, copied)


def database_of(service: ServiceName, admin_url: str) -> MigratedDatabase:
    """The database at an administrator's address, as this service is given it by `migrate`."""
    parts = urlsplit(admin_url)
    runtime = f"crm_{service.schema}_app:only-for-tests@{parts.hostname}:{parts.port}"
    return MigratedDatabase(admin_url, urlunsplit(parts._replace(netloc=runtime)), service.schema)


async def migrate(database: MigratedDatabase, package: str, revision: str = "head") -> None:
    """Bring a database to a revision, the code's by default, as `crm-<service> migrate` does."""
    settings = ServiceSettings(
        crm_env="test",
        database_url=SecretStr(database.url),
        rabbitmq_url=SecretStr("amqp://nobody:x@localhost/"),
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_ADMIN_URL", database.admin_url)
        await migrations.migrate(
            settings, package=package, schema=database.schema, revision=revision
        )


async def assert_models_match(database: MigratedDatabase, package: str, models: MetaData) -> None:
    """Fail with what Alembic would change to make the database what the models say."""
    assert models_of(package) is models
    address = urlunsplit(urlsplit(database.admin_url)._replace(scheme="postgresql+asyncpg"))
    engine = create_async_engine(address, poolclass=NullPool)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences, models, database.schema)
    await engine.dispose()
    assert found == []


async def assert_tenants_apart(
    database: MigratedDatabase, *, of_no_tenant: Collection[str] = OF_NO_TENANT
) -> None:
    """Fail unless every table in the catalogue shows and takes its own tenant's rows only.

    `of_no_tenant` are the tables that have no tenant_id, all others must. A row is planted in
    each, so the database should be one's own.
    """
    admin = await asyncpg.connect(
        database.admin_url, server_settings={"search_path": database.schema}
    )
    tables = await admin.fetch(_TABLES, database.schema)
    inserts = {t["name"]: _insert(t["name"], t["required"]) for t in tables if t["has_tenant"]}
    assert {t["name"] for t in tables} - inserts.keys() == set(of_no_tenant)
    assert [t["name"] for t in tables if t["has_tenant"] and not t["forced"]] == []
    await admin.execute("SET session_replication_role = replica")  # no foreign keys
    for insert in inserts.values():
        await admin.execute(insert)
    await admin.close()
    async with database.connected(pool_size=1) as connected:
        for table, insert in inserts.items():
            await _assert_apart(connected, table, insert)


async def _assert_apart(database: Database, table: str, insert: str) -> None:
    count = f"SELECT count(*) FROM {table}"  # noqa: S608 - a name of the catalogue
    async with database.acquire() as nobody:
        assert await nobody.fetchval(count) == 0, table
    async with database.tenant("ours") as tx:
        assert await tx.fetchval(count) == 1, table
    async with database.tenant("theirs") as tx:
        assert await tx.fetchval(count) == 0, table
        assert await tx.execute(f"UPDATE {table} SET tenant_id = tenant_id") == 0, table  # noqa: S608
        assert await tx.execute(f"DELETE FROM {table}") == 0, table  # noqa: S608
    for tenant, write in (
        ("theirs", insert),
        ("ours", f"UPDATE {table} SET tenant_id = 'theirs'"),  # noqa: S608
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with database.tenant(tenant) as tx:
                await tx.execute(write)


def _insert(table: str, required: str) -> str:
    columns: dict[str, str] = {"tenant_id": "'ours'"}
    for column, kind in orjson.loads(required).items():
        columns[column] = _ANYTHING[kind]
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(columns.values())})"  # noqa: S608
