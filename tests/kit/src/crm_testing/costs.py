"""What a batch costs: statements, and the rows that are read where nobody analysed the tables."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import orjson
from service_kit.database import Database, Transaction
from service_kit.incoming import Incoming

from crm_testing.schemas import MigratedDatabase

Message = TypeVar("Message", bound=Incoming[Any])

_TABLES = "SELECT relid::regclass::text FROM pg_stat_user_tables WHERE schemaname = $1"
_BY_INDEX = "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE schemaname = $1"
_BY_SCAN = "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables WHERE schemaname = $1"


@contextmanager
def counting(tx: Transaction) -> Iterator[list[str]]:
    """The statements asked meanwhile, one for each time the database was asked."""
    asked: list[str] = []
    with tx.connection.query_logger(lambda logged: asked.append(logged.query)):
        yield asked


async def statements(
    database: Database,
    handler: Callable[[Transaction, Sequence[Message]], Awaitable[None]],
    messages: Sequence[Message],
) -> int:
    """How many statements a batch of whatever companies takes, with the events it tells."""
    async with database.tenants(sorted({message.tenant_id for message in messages})) as tx:
        with counting(tx) as asked:
            await handler(tx, messages)
            await tx.write_events()
    return len(asked)


@dataclass(frozen=True)
class Plan:
    """How statements were carried out: the indexes used, the tables read from end to end, rows."""

    indexes: frozenset[str]
    whole: frozenset[str]
    rows: int


async def plan_of(tx: Transaction, work: Awaitable[object]) -> Plan:
    """How what the work asks for is found, in the transaction it works in.

    The statements are the work's own, and so are their values.
    """
    asked: list[tuple[str, tuple[Any, ...]]] = []
    with tx.connection.query_logger(lambda logged: asked.append((logged.query, logged.args))):
        await work
    await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
    assert asked
    nodes: list[dict[str, Any]] = []
    for query, values in asked:
        ours = "pg_catalog." not in query  # the driver asks for types, the first time
        if ours and query.lstrip().startswith(("SELECT", "WITH")):
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"
            (found,) = orjson.loads(await tx.fetchval(explain, *values))
            nodes += _nodes(found["Plan"])
    scans = [node for node in nodes if "Scan" in node["Node Type"]]
    return Plan(
        frozenset(node["Index Name"] for node in scans if "Index Name" in node),
        frozenset(node["Relation Name"] for node in scans if node["Node Type"] == "Seq Scan"),
        sum(
            node["Actual Loops"] * (node["Actual Rows"] + node.get("Rows Removed by Filter", 0))
            for node in scans
        ),
    )


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


@dataclass(frozen=True)
class Reads:
    """Rows read in a schema since it was made, through its indexes and from end to end."""

    by_index: int
    by_scan: int


async def never_analyse(database: MigratedDatabase) -> None:
    """Leave the planner with what it believes of empty tables, whatever comes into them."""
    admin = await asyncpg.connect(database.admin_url)
    for (table,) in await admin.fetch(_TABLES, database.schema):
        await admin.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    await admin.close()


async def reads(database: MigratedDatabase) -> Reads:
    """What connections that are closed by now have read."""
    admin = await asyncpg.connect(database.admin_url)
    by_index = await admin.fetchval(_BY_INDEX, database.schema)
    by_scan = await admin.fetchval(_BY_SCAN, database.schema)
    await admin.close()
    return Reads(by_index, by_scan)
