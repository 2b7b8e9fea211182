"""`crm-<service> migrate`: database, two roles, schema, then Alembic.

An owner role holds the tables and migrates; the runtime role is not the owner, cannot bypass
row-level security and has rights in its own schema only. With DATABASE_ADMIN_URL both are made
here; without it they must exist and DATABASE_OWNER_URL says how to become the owner.
"""

import asyncio
from importlib.resources import files
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from service_kit.environment import administrator
from service_kit.roles import login, quoted
from service_kit.settings import ConfigurationError, ServiceSettings

_LOCK = 0x43524D  # one migration at a time, whoever starts it
_TRY_LOCK = f"SELECT pg_try_advisory_lock({_LOCK})"
# New roles do not; only a superuser may say so of one that is there.
_BYPASSES = "SELECT rolbypassrls FROM pg_roles WHERE rolname = $1"
_LOCK_PAUSE_SECONDS = 0.1
"""Whoever waits inside a statement holds a snapshot, which an index made CONCURRENTLY waits for:
with the lock in the hand of that index, PostgreSQL calls it a deadlock. So the lock is tried."""


def alembic_config(package: str) -> Config:
    """Alembic for the service's revisions: `<package>/migrations/versions`."""
    config = Config()
    config.set_main_option("script_location", str(files("service_kit") / "alembic"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(files(package) / "migrations" / "versions"))
    return config


async def migrate(
    settings: ServiceSettings, *, package: str, schema: str, revision: str = "head"
) -> None:
    """Bring the service's schema to a revision: the code's. Running it again changes nothing."""
    admin_url = administrator("DATABASE_ADMIN_URL")
    owner = f"crm_{schema}_owner"
    if admin_url:
        await _provision(admin_url, settings, schema, owner)
        url = _with_database(admin_url, _database_name(settings))
    elif owner_url := administrator("DATABASE_OWNER_URL"):
        url = owner_url
    else:
        raise ConfigurationError(["set DATABASE_ADMIN_URL or DATABASE_OWNER_URL to migrate"])
    engine = create_async_engine(_sqlalchemy_url(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            while not await connection.scalar(text(_TRY_LOCK)):
                await connection.rollback()
                await asyncio.sleep(_LOCK_PAUSE_SECONDS)
            await connection.execute(text(f"SET ROLE {owner}"))
            await connection.execute(text(f"SET search_path = {schema}"))
            await connection.commit()
            await connection.run_sync(_upgrade, package, schema, revision)
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, package: str, schema: str, revision: str) -> None:
    config = alembic_config(package)
    config.attributes.update(connection=connection, schema=schema)
    command.upgrade(config, revision)


async def _provision(admin_url: str, settings: ServiceSettings, schema: str, owner: str) -> None:
    database = _database_name(settings)
    user, password = login(settings)
    admin = await asyncpg.connect(admin_url)
    try:
        await _lock(admin)
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await admin.execute(f'CREATE DATABASE "{database}"')
        await _ensure_role(admin, owner, "NOLOGIN")
        await _ensure_role(admin, user, f"LOGIN PASSWORD {quoted(password)}")
        if await admin.fetchval(_BYPASSES, user):
            await admin.execute(f'ALTER ROLE "{user}" NOBYPASSRLS')
    finally:
        await admin.close()
    target = await asyncpg.connect(_with_database(admin_url, database))
    try:
        await _lock(target)
        await target.execute(
            f"""
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT {owner} TO CURRENT_USER;
            CREATE SCHEMA IF NOT EXISTS {schema} AUTHORIZATION {owner};
            GRANT USAGE ON SCHEMA {schema} TO "{user}";
            ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}
                GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{user}";
            ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema}
                GRANT USAGE, SELECT ON SEQUENCES TO "{user}";
            """
        )
        await _ensure_extensions(target)
    finally:
        await target.close()


async def _lock(admin: asyncpg.Connection) -> None:
    while not await admin.fetchval(_TRY_LOCK):  # noqa: ASYNC110 - the lock is elsewhere
        await asyncio.sleep(_LOCK_PAUSE_SECONDS)


async def _ensure_extensions(admin: asyncpg.Connection) -> None:
    """Trusted extensions for indexes, in a schema of their own that everybody may use."""
    await admin.execute(
        """
        CREATE SCHEMA IF NOT EXISTS extensions;
        GRANT USAGE ON SCHEMA extensions TO PUBLIC;
        CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions;
        CREATE EXTENSION IF NOT EXISTS btree_gin SCHEMA extensions;
        """
    )


async def _ensure_role(admin: asyncpg.Connection, role: str, options: str) -> None:
    exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    await admin.execute(f'{"ALTER" if exists else "CREATE"} ROLE "{role}" {options}')


def _database_name(settings: ServiceSettings) -> str:
    return urlsplit(settings.postgres_dsn).path.lstrip("/") or settings.db_name


def _with_database(url: str, database: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _sqlalchemy_url(url: str) -> str:
    parts = urlsplit(url)
    query = parts.query.replace("sslmode=", "ssl=")
    return urlunsplit(parts._replace(scheme="postgresql+asyncpg", query=query))


def run_migrate(settings: ServiceSettings, *, package: str, schema: str) -> None:
    """The `migrate` subcommand."""
    asyncio.run(migrate(settings, package=package, schema=schema))
