"""PostgreSQL: one pool, one kind of transaction, row-level security in every one of them.

SQLModel describes the tables, SQLAlchemy Core may compose a statement, asyncpg runs it: no ORM
session anywhere (docs/adr/0001). A transaction always names the tenant it acts for; the policies
of the tables compare it with each row, so a query that forgot its tenant sees nothing
(docs/architecture.md, "Data and tenancy").
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import ClauseElement
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from service_kit import metrics
from service_kit.cause import Cause
from service_kit.outbox import Outbox

DIALECT = cast(type[Dialect], PGDialect_asyncpg)()

Connection = asyncpg.Connection | PoolConnectionProxy
_TENANT = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_SCOPE = re.compile(r"[a-z]+")

_INFRASTRUCTURE: tuple[type[BaseException], ...] = (
    ConnectionError,  # NotConnectedError and the bus' BrokerDownError included
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # too many connections, out of memory
    asyncpg.TransactionRollbackError,  # deadlock, serialization failure
)


_WHOLE_TABLES = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
"""Ways to join that read all of a table."""
_STATEMENT_SECONDS = 30.0
_BEGIN_SECONDS = 5.0
_DEDICATED_SECONDS = 15.0

_BROKEN: tuple[type[BaseException], ...] = (
    *_INFRASTRUCTURE,
    asyncpg.InterfaceError,
    TimeoutError,
)
"""What BEGIN and ROLLBACK raise on a connection that is no more."""


def is_infrastructure(error: BaseException) -> bool:
    """Whether a dependency is away or busy, so that the same work may well succeed later.

    A statement that takes too long, one asyncpg cannot send and a file that is missing are no such
    thing: however often they are tried, what is asked stays as it is.
    """
    return isinstance(error, _INFRASTRUCTURE)


def is_busy(error: BaseException) -> bool:
    """Whether somebody else held what was wanted for too long: the same may go well in a moment."""
    return isinstance(error, asyncpg.LockNotAvailableError)


class NotConnectedError(ConnectionError):
    """There is no connection: the pool is not open, or could give none, or it broke in use."""


class _Connection(asyncpg.Connection):
    """Skips the pool's reset query: nothing here outlives its transaction (SET LOCAL only)."""

    def get_reset_query(self) -> str:
        return ""


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",  # one version byte, then the text
        encoder=lambda value: b"\x01" + orjson.dumps(value),
        decoder=lambda value: orjson.loads(value[1:]),
    )


def compile_statement(statement: ClauseElement) -> tuple[str, list[Any]]:
    """SQL text with `$n` places and the values for them, as asyncpg wants them."""
    compiled = statement.compile(dialect=DIALECT, compile_kwargs={"render_postcompile": True})
    if not isinstance(compiled, SQLCompiler):
        raise TypeError("only queries and data changes have values")
    return str(compiled), [compiled.params[name] for name in compiled.positiontup or ()]


class Transaction:
    """One database transaction acting for one tenant (or one named system scope).

    Statements are SQL text with `$1`-style values, or a SQLAlchemy Core statement without
    values. Events added to `outbox` are written with the commit.
    """

    def __init__(self, connection: Connection, cause: Cause) -> None:
        self.connection = connection
        self.outbox = Outbox(cause)
        self._tenants: tuple[str, ...] = ()
        self._committed: list[Callable[[], None]] = []

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the transaction is committed; never when it is rolled back."""
        self._committed.append(callback)

    @property
    def tenant_id(self) -> str:
        """The one tenant this transaction acts for; RuntimeError when it is none, or several."""
        if len(self._tenants) != 1:
            many = "several tenants" if self._tenants else "no tenant"
            raise RuntimeError(f"this transaction acts for {many}")
        return self._tenants[0]

    async def act_for(self, *tenant_ids: str) -> None:
        """Act for other tenants from here on; events added so far are written first."""
        if tenant_ids != self._tenants:
            await self.write_events()
            await self.connection.execute(_set_tenants(tenant_ids))
            self._tenants = tenant_ids

    async def write_events(self) -> None:
        """Write the events added so far; those that name no tenant are the transaction's one's."""
        if self.outbox.pending:
            only = self._tenants[0] if len(self._tenants) == 1 else None
            await self.outbox.write(only, self.connection.execute)

    async def fetch(self, statement: str | ClauseElement, *values: Any) -> list[asyncpg.Record]:
        """All rows."""
        if not isinstance(statement, str):
            statement, values = _compiled(statement)
        rows: list[asyncpg.Record] = await self.connection.fetch(statement, *values)
        return rows

    async def fetchrow(self, statement: str | ClauseElement, *values: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        if not isinstance(statement, str):
            statement, values = _compiled(statement)
        return await self.connection.fetchrow(statement, *values)

    async def fetchval(self, statement: str | ClauseElement, *values: Any) -> Any:
        """The first column of the first row, or None."""
        row = await self.fetchrow(statement, *values)
        return row[0] if row else None

    async def execute(self, statement: str | ClauseElement, *values: Any) -> int:
        """Run it; returns how many rows it touched."""
        if not isinstance(statement, str):
            statement, values = _compiled(statement)
        tag = await self.connection.execute(statement, *values)
        count = tag.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


def _compiled(statement: ClauseElement) -> tuple[str, tuple[Any, ...]]:
    text, values = compile_statement(statement)
    return text, tuple(values)


def is_tenant_id(tenant_id: str) -> bool:
    """Whether a text can be a tenant id at all (it is put into SQL as it is)."""
    return _TENANT.fullmatch(tenant_id) is not None


def _set_tenants(tenant_ids: Iterable[str]) -> str:
    """What the policies of the tables compare each row with (`service_kit.ddl`)."""
    tenants = tuple(tenant_ids)
    if not all(map(is_tenant_id, tenants)):
        raise ValueError("a tenant id has letters, digits, dot, dash and underscore only")
    return f"SET LOCAL app.tenant_id = '{','.join(tenants)}'"


class Database:
    """The service's own schema in PostgreSQL, reached as its runtime role."""

    def __init__(
        self,
        dsn: str,
        schema: str,
        *,
        pool_size: int = 8,
        purpose: str = "pool",
        statement_seconds: float = _STATEMENT_SECONDS,
        lock_seconds: float = 0.0,
        by_key: bool = False,
    ) -> None:
        """`lock_seconds` is how long a statement may wait for a lock, 0 for as long as it takes.

        `by_key`: every statement looks rows up by an index, one by one. Left to itself, PostgreSQL
        joins a batch with all of a table it believes small, and keeps that plan while it grows.
        """
        self.dsn = dsn
        self.schema = schema
        self._pool_size = pool_size
        self._purpose = purpose
        self._statement_seconds = statement_seconds
        self._lock_seconds = lock_seconds
        self._plans = dict.fromkeys(_WHOLE_TABLES, "off") if by_key else {}
        self._waits = metrics.DB_POOL_WAIT_SECONDS.labels(purpose)
        self._pool: asyncpg.Pool | None = None

    async def connect(self) -> None:
        """Open the pool, once; raises NotConnectedError while the database is away.

        An open pool heals by itself: a second one would only keep its connections as well.
        """
        if self._pool is not None:
            return
        try:
            self._pool = await asyncpg.create_pool(
                self.dsn,
                min_size=1,
                max_size=self._pool_size,
                init=_prepare,
                connection_class=_Connection,
                server_settings=self._server_settings(self._purpose),
                # A little later than the server's, so that one hears what took too long.
                command_timeout=self._statement_seconds + 1,
                timeout=5,
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise NotConnectedError(f"no connection: {error}") from error

    async def close(self) -> None:
        """Close the pool, waiting a little for what is still running."""
        if self._pool is not None:
            pool, self._pool = self._pool, None
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    def _server_settings(self, purpose: str) -> dict[str, str]:
        return {
            "search_path": self.schema,
            "application_name": f"crm-{self.schema}-{purpose}",
            "statement_timeout": _milliseconds(self._statement_seconds),
            "lock_timeout": _milliseconds(self._lock_seconds),
            "idle_in_transaction_session_timeout": _milliseconds(_STATEMENT_SECONDS),
            # What disks with heads cost is no measure: by that the planner reads a small table from
            # end to end for each key, and keeps such a plan while the table grows.
            "random_page_cost": "1.1",
            **self._plans,
            # The server's side: it must let go of the locks of a client that vanished.
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[Connection]:
        """A pooled connection without a transaction (health checks)."""
        pool = self._pool
        if pool is None:
            raise NotConnectedError("the database is not connected")
        begun = time.perf_counter()
        try:
            connection = await pool.acquire(timeout=5)
        except Exception as error:  # whatever it is, nothing was asked yet
            raise NotConnectedError(f"no connection: {type(error).__name__}") from error
        finally:
            self._waits.observe(time.perf_counter() - begun)
        try:
            yield connection
        finally:
            await pool.release(connection)

    async def answers(self) -> bool:
        """Whether the database carries out a statement right now."""
        try:
            async with asyncio.timeout(5), self.acquire() as connection:
                await connection.fetchval("SELECT 1")
        except Exception:
            return False
        return True

    async def dedicated(self, purpose: str) -> asyncpg.Connection:
        """A connection outside the pool, for LISTEN or an advisory lock; the caller closes it."""
        connection: asyncpg.Connection = await asyncpg.connect(
            self.dsn,
            server_settings=self._server_settings(purpose),
            timeout=5,
            # A database that fails over in silence is noticed by the first statement.
            command_timeout=_DEDICATED_SECONDS,
        )
        await _prepare(connection)
        return connection

    @asynccontextmanager
    async def tenant(
        self, tenant_id: str, *, cause: Cause | None = None, read_only: bool = False
    ) -> AsyncIterator[Transaction]:
        """A transaction for one tenant: commits at the end, rolls back on any exception."""
        begin = "BEGIN READ ONLY" if read_only else "BEGIN"
        begin = f"{begin}; {_set_tenants([tenant_id])}"
        async with self.acquire() as connection, _begun(connection, begin, cause) as tx:
            tx._tenants = (tenant_id,)
            yield tx

    @asynccontextmanager
    async def tenants(
        self, tenant_ids: Sequence[str], *, lock_seconds: float | None = None
    ) -> AsyncIterator[Transaction]:
        """A transaction for several tenants: it sees and writes their rows and nobody else's.

        Whoever uses it joins by `tenant_id` in every statement, and writes it into every row.
        `lock_seconds`: how long to wait for a lock, unless that is as ever.
        """
        begin = f"BEGIN; {_set_tenants(tenant_ids)}"
        if lock_seconds is not None:
            begin += f"; SET LOCAL lock_timeout = {_milliseconds(lock_seconds)}"
        async with self.acquire() as connection, _begun(connection, begin, None) as tx:
            tx._tenants = tuple(tenant_ids)
            yield tx

    @asynccontextmanager
    async def system(self, scope: str) -> AsyncIterator[Transaction]:
        """A transaction across tenants, as far as policies for this named scope allow.

        The only exceptions from tenancy there are: each table that allows one says so in its
        migration (`allow_scope`). `act_for` narrows it to a tenant for writing.
        """
        if not _SCOPE.fullmatch(scope):
            raise ValueError("a scope is one lower-case word")
        begin = f"BEGIN; SET LOCAL app.scope = '{scope}'"
        async with self.acquire() as connection, _begun(connection, begin, None) as tx:
            yield tx


async def _roll_back(connection: Connection) -> None:
    """Nobody leaves before it is done, cancelled or not: the next has the same connection."""
    rolling = asyncio.create_task(connection.execute("ROLLBACK"))
    try:
        await asyncio.shield(rolling)
    except asyncio.CancelledError:
        await asyncio.wait([rolling])
        raise


@asynccontextmanager
async def _begun(
    connection: Connection, begin: str, cause: Cause | None
) -> AsyncIterator[Transaction]:
    try:
        # One round trip for BEGIN and the tenant; a connection that is silent is no connection.
        await connection.execute(begin, timeout=_BEGIN_SECONDS)
    except _BROKEN as error:
        connection.terminate()
        raise NotConnectedError(f"the connection broke: {type(error).__name__}") from error
    tx = Transaction(connection, cause or Cause())
    try:
        yield tx
        await tx.write_events()
        await connection.execute("COMMIT")
    except BaseException as error:
        try:
            await _roll_back(connection)
        except _BROKEN:
            # The connection is gone, and so is its work: that was it, whatever it looked like.
            if isinstance(error, asyncpg.InterfaceError | TimeoutError):
                raise NotConnectedError("the connection broke") from error
        raise
    for callback in tx._committed:
        callback()
