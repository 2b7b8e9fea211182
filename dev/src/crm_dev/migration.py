"""`make migration`: the next revision of a service, from its models and an empty PostgreSQL."""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr
from service_kit import migrations
from service_kit.drift import models_of, write_revision
from service_kit.settings import ServiceSettings
from shared_events.services import SERVICES, ServiceName
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from crm_dev import process
from crm_dev.ports import free_ports
from crm_dev.postgres import postgres
from crm_dev.tidying import tidy

_PASSWORD = "only-for-this-comparison"


def write(name: str, message: str) -> Path | None:
    """Write a service's revision; returns its path, None when models and schema agree already."""
    service = next(service for service in SERVICES if service.name == name)
    written = asyncio.run(_compare(service, message))
    if written is not None:
        tidy([written])
    return written


async def _compare(service: ServiceName, message: str) -> Path | None:
    async with _server() as url:
        await _migrate(url, service)
        engine = create_async_engine(
            urlunsplit(urlsplit(url)._replace(scheme="postgresql+asyncpg")),
            poolclass=NullPool,
        )
        try:
            async with engine.connect() as connection:
                return await connection.run_sync(
                    write_revision,
                    service.package,
                    models_of(service.package),
                    service.schema,
                    message,
                )
        finally:
            await engine.dispose()


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    """A PostgreSQL of one's own, gone afterwards; its administrator's URL."""
    with tempfile.TemporaryDirectory(prefix="crm-migration-") as name:
        (port,) = free_ports(1)
        piece = postgres(Path(name) / "postgres", port, _PASSWORD, durable=False)
        running = await process.spawn(piece, Path(name) / "postgres.log")
        try:
            await process.become_ready(piece, running)
            yield piece.url
        finally:
            process.kill_group(running.pid)
            await running.wait()


async def _migrate(url: str, service: ServiceName) -> None:
    parts = urlsplit(url)
    runtime = f"crm_{service.schema}_app:{_PASSWORD}@{parts.hostname}:{parts.port}"
    settings = ServiceSettings(
        crm_env="test",
        database_url=SecretStr(urlunsplit(parts._replace(netloc=runtime))),
        rabbitmq_url=SecretStr("amqp://nobody:x@localhost/"),
    )
    os.environ["DATABASE_ADMIN_URL"] = url
    await migrations.migrate(settings, package=service.package, schema=service.schema)
