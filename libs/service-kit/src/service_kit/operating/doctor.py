"""`doctor`: everything the service stands on, asked one by one, and what to do about what ails.

It connects by itself, with the service's own settings, so it tells what the process would meet
whether or not one runs.
"""

import asyncio
import urllib.error
import urllib.request
from argparse import ArgumentParser, Namespace
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aio_pika
import asyncpg
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPConnectionError, ChannelNotFoundEntity
from aiormq.exceptions import (
    ConnectionNotAllowed,
    ProbableAuthenticationError,
)
from shared_events import topology
from shared_events.services import ServiceName

from service_kit.ailments import Ailment, Examination
from service_kit.database import NotConnectedError
from service_kit.operating.command import Command, Operated, Report
from service_kit.revisions import check_revision
from service_kit.settings import ServiceSettings

if TYPE_CHECKING:
    from service_kit.temporal import Temporal

_SECONDS = 15.0
_CONNECT_SECONDS = 5.0
_SKEW_SECONDS = 5.0
_WAITS_SECONDS = 60.0
_ROLE = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_OUTBOX = """
SELECT count(*) FILTER (WHERE failed_at IS NOT NULL) AS parked,
    coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE failed_at IS NULL)), 0)::float
        AS waits
FROM outbox_events WHERE processed_at IS NULL
"""
_NOT_LET_IN = (ProbableAuthenticationError, ConnectionNotAllowed)
_MIGRATE = "run `{program} migrate` with DATABASE_ADMIN_URL and RABBITMQ_ADMIN_URL"


def commands() -> tuple[Command, ...]:
    """Those of every service."""
    return (
        Command(
            ("doctor",),
            "ask everything the service stands on; say what ails and what to do",
            _doctor,
            _takes,
        ),
    )


def _takes(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--no-process", action="store_true", help="do not ask for the process on this machine"
    )


def _doctor(operated: Operated, asked: Namespace) -> Report:
    return asyncio.run(_examine(operated, process=not asked.no_process))


async def _examine(operated: Operated, *, process: bool) -> Report:
    settings = operated.settings
    try:
        service = operated.service()
    except OSError as error:  # a directory that cannot be had
        cure = "look at the files and directories that the settings name"
        return Report((f"ILL   settings: {error}", f"      -> {cure}"), ok=False)
    program = f"crm-{operated.name.name}"
    migrate = _MIGRATE.format(program=program)
    examinations: dict[str, Examination] = {
        "postgresql": lambda: _postgresql(settings, operated.name, migrate),
        "rabbitmq": lambda: _rabbitmq(settings, operated.name, migrate),
    }
    if service.temporal is not None:
        temporal = service.temporal
        examinations["temporal"] = lambda: _temporal(temporal, settings)
    examinations |= service.examinations
    if process:
        examinations["process"] = lambda: asyncio.to_thread(_process, settings.server_port)
    with suppress(NotConnectedError):  # told by the examination of the database
        await service.database.connect()
    try:
        found = await asyncio.gather(*map(_carefully, examinations.values()))
    finally:
        await service.database.close()
        await service.release()
    lines: list[str] = []
    for name, ailments in zip(examinations, found, strict=True):
        if not ailments:
            lines.append(f"ok    {name}")
        for ailment in ailments:
            lines += [f"ILL   {name}: {ailment.said}", f"      -> {ailment.cure}"]
    return Report(tuple(lines), ok=not any(found))


async def _carefully(examination: Examination) -> list[Ailment]:
    try:
        async with asyncio.timeout(_SECONDS):
            return await examination()
    except TimeoutError:
        said = f"no answer within {_SECONDS:.0f} s"
    except Exception as error:  # whatever it is, the others are still to be told of
        said = f"{type(error).__name__}: {error}"
    return [Ailment(said, "see what that server logs at this moment, then docs/operations.md")]


async def _postgresql(settings: ServiceSettings, name: ServiceName, migrate: str) -> list[Ailment]:
    place = _place(settings.postgres_dsn, 5432)
    try:
        connection = await asyncpg.connect(
            settings.postgres_dsn,
            timeout=_CONNECT_SECONDS,
            server_settings={"search_path": name.schema},
        )
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError):
        cure = f"{migrate}: it sets the role's password"
        return [Ailment(f"{place} does not let the runtime role in", cure)]
    except asyncpg.InvalidCatalogNameError:
        return [Ailment(f"{place} has no such database", f"{migrate}: it makes the database")]
    except asyncpg.TooManyConnectionsError:
        cure = "raise max_connections, or lower DB_POOL_SIZE or replicas (docs/scaling.md)"
        return [Ailment(f"{place} has no connection left", cure)]
    except (OSError, asyncpg.PostgresError) as error:
        cure = "start the server; else look at DB_HOST, DB_PORT, TLS and the network between"
        return [Ailment(f"{place} does not answer ({type(error).__name__})", cure)]
    try:
        return await _ailments_of_schema(connection, name, migrate)
    finally:
        await connection.close()


async def _ailments_of_schema(
    connection: asyncpg.Connection, name: ServiceName, migrate: str
) -> list[Ailment]:
    found = []
    if await connection.fetchval(_ROLE):
        found.append(
            Ailment(
                "the runtime role may bypass row-level security, which keeps companies apart",
                "ALTER ROLE ... NOSUPERUSER NOBYPASSRLS, or set DB_USER to the role of `migrate`",
            )
        )
    skew = abs((await connection.fetchval("SELECT now()") - datetime.now(UTC)).total_seconds())
    if skew > _SKEW_SECONDS:
        said = f"its clock and ours differ by {skew:.0f} s"
        found.append(Ailment(said, "synchronise both by NTP"))
    try:
        await check_revision(connection, name.package)
    except NotConnectedError as error:
        return [*found, Ailment(str(error), migrate)]
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return [*found, Ailment("the service's schema is not there", migrate)]
    async with connection.transaction(readonly=True):
        await connection.execute("SET LOCAL app.scope = 'relay'")
        (row,) = await connection.fetch(_OUTBOX)
    if row["parked"]:
        found.append(
            Ailment(
                f"{row['parked']} events are parked",
                f"`crm-{name.name} outbox list` says why; then `outbox redrive`",
            )
        )
    if row["waits"] > _WAITS_SECONDS:
        found.append(
            Ailment(
                f"an event has waited for {row['waits']:.0f} s to be published",
                "is the broker there, and a process of the service? Each publishes what waits",
            )
        )
    return found


async def _rabbitmq(settings: ServiceSettings, name: ServiceName, migrate: str) -> list[Ailment]:
    place = _place(settings.amqp_url, 5672)
    try:
        connection = await aio_pika.connect(settings.amqp_url, timeout=_CONNECT_SECONDS)
    except _NOT_LET_IN:
        cure = f"{migrate}: it makes the virtual host and the user, with its password"
        return [Ailment(f"{place} does not let {name.bus_user} in", cure)]
    except (OSError, AMQPConnectionError):
        cure = "start the server; else look at RABBITMQ_HOST, its port and the network between"
        return [Ailment(f"{place} does not answer", cure)]
    async with connection:
        return await _ailments_of_bus(connection, settings, name, migrate)


async def _ailments_of_bus(
    connection: AbstractConnection, settings: ServiceSettings, name: ServiceName, migrate: str
) -> list[Ailment]:
    missing, dead = [], []
    for queue in topology.queues_of(name):
        for part in queue.partitions(settings.bus_partitions):
            if await _waiting(connection, part.name) is None:
                missing.append(part.name)
        letters = await _waiting(connection, queue.dead_letters.name)
        if letters is None:
            missing.append(queue.dead_letters.name)
        elif letters:
            cure = f"`crm-{name.name} dlq list {queue.name}` says why; then `dlq redrive` or `drop`"
            dead.append(Ailment(f"{letters} dead letters of {queue.name}", cure))
    if missing:
        dead.insert(0, Ailment(f"there is no queue {', '.join(missing)}", migrate))
    return dead


async def _waiting(connection: AbstractConnection, queue: str) -> int | None:
    """How many messages wait in a queue, None if there is none of that name."""
    channel = await connection.channel()
    try:
        found = await channel.declare_queue(queue, passive=True)
    except ChannelNotFoundEntity:
        return None
    finally:
        if not channel.is_closed:
            await channel.close()
    return found.declaration_result.message_count


async def _temporal(temporal: "Temporal", settings: ServiceSettings) -> list[Ailment]:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError, RPCStatusCode

    place, namespace = settings.temporal_address, settings.temporal_namespace
    try:
        client = await temporal.connect()
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace)
        )
        return []
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            cure = f"temporal operator namespace create {namespace}"
            return [Ailment(f"{place} has no namespace {namespace}", cure)]
        if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
            cure = "look at TEMPORAL_API_KEY, or TEMPORAL_TLS_CERT and TEMPORAL_TLS_KEY"
            return [Ailment(f"{place} does not let us in", cure)]
        said = f"{place} does not serve ({error.status.name})"
    except (RuntimeError, OSError):
        said = f"{place} does not answer"
    cure = "start it, by day: nothing waits for it. Else look at TEMPORAL_ADDRESS and TEMPORAL_TLS"
    return [Ailment(said, cure)]


def _process(port: int) -> list[Ailment]:
    url = f"http://127.0.0.1:{port}/health/ready"
    try:
        with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS):
            return []
    except urllib.error.HTTPError as refusal:
        with refusal:
            said = refusal.read().decode()
        return [Ailment(f"it is not ready: {said}", "what is not healthy in it, is named above")]
    except OSError:
        cure = "start it (`run`), or say --no-process where none should run"
        return [Ailment(f"nobody answers at {url}", cure)]


def _place(url: str, port: int) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or port}"
