"""`outbox`: events that were not published, looked at and tried again, and those of a time."""

import asyncio
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from service_kit import relay
from service_kit.database import Database
from service_kit.operating.command import Command, Operated, Report, report

_PARKED = """
SELECT event_id, event_type, aggregate_id, tenant_id, occurred_at, failed_at,
    retry_count AS attempts, error_message AS reason
FROM outbox_events WHERE failed_at IS NOT NULL
    AND ($2::text IS NULL OR tenant_id = $2) AND ($3::text IS NULL OR event_type = $3)
ORDER BY seq LIMIT $1
"""
_WAITING = """
SELECT event_id, event_type, aggregate_id, tenant_id, occurred_at, retry_count AS attempts,
    next_attempt_at, error_message AS reason
FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL
    AND ($2::text IS NULL OR tenant_id = $2) AND ($3::text IS NULL OR event_type = $3)
ORDER BY seq LIMIT $1
"""
Found = TypeVar("Found")


def commands() -> tuple[Command, ...]:
    """Those of every service."""
    return (
        Command(("outbox", "list"), "one line for each parked event, oldest first", _list, _takes),
        Command(
            ("outbox", "redrive"),
            "give parked events another set of attempts; prints how many",
            _redrive,
            _takes_limit,
        ),
        Command(
            ("outbox", "replay"),
            "publish all events of since a time once more, after a restore; prints how many",
            _replay,
            _takes_since,
        ),
    )


def _takes_limit(parser: ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=1000, help="events at most (1000)")


def _takes_since(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--since",
        type=datetime.fromisoformat,
        required=True,
        metavar="TIME",
        help="when the backup was begun or before, such as 2026-01-31T03:00:00+00:00",
    )


def _takes(parser: ArgumentParser) -> None:
    _takes_limit(parser)
    parser.add_argument("--waiting", action="store_true", help="those that still wait, instead")
    parser.add_argument("--tenant", help="whose they are")
    parser.add_argument("--type", help="the event's type")


def _list(operated: Operated, asked: Namespace) -> Report:
    async def look(database: Database) -> list[dict[str, Any]]:
        statement = _WAITING if asked.waiting else _PARKED
        async with database.system("relay") as tx:
            rows = await tx.fetch(statement, asked.limit, asked.tenant, asked.type)
        return [dict(row) for row in rows]

    return report(asyncio.run(_asking(operated, look)))


def _redrive(operated: Operated, asked: Namespace) -> Report:
    async def redrive(database: Database) -> int:
        return await relay.redrive(database, limit=asked.limit)

    return report([asyncio.run(_asking(operated, redrive))])


def _replay(operated: Operated, asked: Namespace) -> Report:
    async def replay(database: Database) -> int:
        return await relay.replay(database, asked.since.astimezone(UTC))

    return report([asyncio.run(_asking(operated, replay))])


async def _asking(operated: Operated, ask: Callable[[Database], Awaitable[Found]]) -> Found:
    database = Database(operated.settings.postgres_dsn, operated.name.schema, pool_size=1)
    await database.connect()
    try:
        return await ask(database)
    finally:
        await database.close()
