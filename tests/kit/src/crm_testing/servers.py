"""Real servers for tests: one PostgreSQL, RabbitMQ and Temporal per test run, begun on demand.

A pytest plugin (registered by this package), so that every package's tests may ask for
`postgres_server`, `rabbitmq_server` and `temporal_server`. They listen on free ports, keep their
data in a temporary directory and die with the run, however it ends. Isolation is cheap: a database
or a virtual host of one's own, instead of a server of one's own.
"""

import asyncio
import os
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import psutil
import pytest
import structlog
from crm_dev import logs, process
from crm_dev.piece import Piece, PieceMissingError
from crm_dev.ports import free_ports
from crm_dev.postgres import postgres
from crm_dev.process import StartFailedError
from crm_dev.rabbitmq import DEBIAN_SCRIPT, ROOT, USER, RabbitPorts, rabbitmq
from crm_dev.temporal import TemporalPorts, temporal

# Where rich is installed structlog's default quotes all locals of all frames, for seconds.
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(),
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

PASSWORD = "only-for-this-test-run"
_WRITES_QUEUES_DOWN_SECONDS = 1.0
_GONE_SECONDS = 10.0
_MEMORY = Path("/dev/shm")
_MUCH = 8 * 1024**3


class Server:
    """A running piece; tests of outages stop, kill and start it again, with its data kept."""

    def __init__(self, piece: Piece, directory: Path) -> None:
        self.piece = piece
        self.log = directory / f"{piece.name}.log"
        self._process: Process | None = None

    @property
    def url(self) -> str:
        """Return the administrator's address: a database or AMQP URL, or host:port."""
        return self.piece.url

    async def start(self) -> None:
        """Start and wait until ready; raises StartFailedError with the log's last words."""
        self._process = await process.spawn(self.piece, self.log)
        try:
            await process.become_ready(self.piece, self._process)
        except StartFailedError as error:
            await self.kill()
            last_words = "\n".join(logs.tail(self.log, 20))
            raise StartFailedError(f"{error}\n{last_words}") from error

    async def be_there(self) -> None:
        """Start it again if it was stopped or killed."""
        if self._process is None or self._process.returncode is not None:
            await self.start()

    async def stop(self) -> None:
        """Stop as an operator would, cleanly."""
        if self._process:
            await process.stop(self._process, self.piece)

    async def kill(self) -> None:
        """End without warning, as a power cut would, and all that it had begun with it."""
        if self._process:
            family = _descendants(self._process.pid)
            process.kill_group(self._process.pid)
            await self._process.wait()
            await asyncio.to_thread(_end, family)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(family: list[psutil.Process]) -> None:
    """PostgreSQL's children leave its group, and hold its memory until they see that it is gone."""
    for member in family:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family, timeout=_GONE_SECONDS)


class PostgresServer(Server):
    """PostgreSQL with its administrator's URL in `url`."""

    async def create_database(self, prefix: str = "test", template: str = "template1") -> str:
        """Create an empty database, or a copy of `template`, and return its administrator's URL."""
        name = f"{prefix.replace('-', '_')}_{uuid4().hex[:12]}"
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        finally:
            await connection.close()
        return self.url.rpartition("/")[0] + f"/{name}"

    async def drop_database(self, url: str) -> None:
        """Forget a database made by `create_database`, whoever is still connected to it."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')
        finally:
            await connection.close()


class RabbitServer(Server):
    """RabbitMQ with its management API, which knows the depth of every queue, and its metrics."""

    def __init__(self, piece: Piece, directory: Path, ports: RabbitPorts) -> None:
        super().__init__(piece, directory)
        self.management_url = f"http://127.0.0.1:{ports.management}"
        self.metrics_url = f"http://127.0.0.1:{ports.metrics}"

    @property
    def administration(self) -> str:
        """Return the management API's URL with the administrator's login in it."""
        return self.management_url.replace("//", f"//{USER}:{PASSWORD}@")

    def management(self) -> httpx.AsyncClient:
        """Return a client of the management API; the caller closes it."""
        return httpx.AsyncClient(base_url=self.management_url, auth=(USER, PASSWORD), timeout=30)

    async def kill(self) -> None:
        """End without warning, but not within a second of what came before.

        RabbitMQ 3.10 writes down twice a second which quorum queues it has; one that it has not
        written down yet is empty for it after a power cut.
        """
        await asyncio.sleep(_WRITES_QUEUES_DOWN_SECONDS)
        await super().kill()

    @asynccontextmanager
    async def short_of_memory(self) -> AsyncIterator[None]:
        """Have a memory alarm meanwhile: nobody may publish (rabbitmq.com/docs/alarms)."""
        await self._control("set_vm_memory_high_watermark", "absolute", "1MB")
        try:
            yield
        finally:
            await self._control("set_vm_memory_high_watermark", "0.6")

    async def _control(self, *arguments: str) -> None:
        script = str(DEBIAN_SCRIPT.with_name("rabbitmqctl"))
        run = await asyncio.create_subprocess_exec(
            *(() if ROOT == "/" else ("chroot", ROOT)),
            *(script, *arguments),
            env={**os.environ, **self.piece.environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await run.communicate()
        if run.returncode != 0:
            raise RuntimeError(said.decode())

    async def create_vhost(self, prefix: str = "test") -> str:
        """Create an empty virtual host and return its AMQP URL."""
        name = f"{prefix}-{uuid4().hex[:12]}"
        async with self.management() as client:
            (await client.put(f"/api/vhosts/{name}")).raise_for_status()
        return f"{self.url.rstrip('/')}/{name}"

    async def delete_vhost(self, vhost_url: str) -> None:
        """Delete a virtual host with all that is in it."""
        async with self.management() as client:
            (await client.delete(f"/api/vhosts/{vhost_url.rpartition('/')[2]}")).raise_for_status()

    async def restore_vhost(self, vhost_url: str) -> None:
        """Create a virtual host anew, empty."""
        async with self.management() as client:
            (await client.put(f"/api/vhosts/{vhost_url.rpartition('/')[2]}")).raise_for_status()


class TemporalServer(Server):
    """Temporal whose workflows' clocks may be moved; `url` is host:port."""


@asynccontextmanager
async def _alive(server: Server) -> AsyncIterator[None]:
    await server.start()
    try:
        yield
    finally:
        # The data dies with the run, so nobody waits for a clean stop.
        await Server.kill(server)


def _quick_place() -> str | None:
    """Where a database's thousands of files come and go quickest: in memory, if there is much.

    None, which is where temporary files lie, on a machine that has less of it.
    """
    if not _MEMORY.is_dir() or psutil.virtual_memory().available < _MUCH:
        return None
    return str(_MEMORY) if psutil.disk_usage(str(_MEMORY)).free > _MUCH else None


@asynccontextmanager
async def running_postgres() -> AsyncIterator[PostgresServer]:
    """Run a PostgreSQL of one's own: quick, and careless about power cuts."""
    with tempfile.TemporaryDirectory(prefix="crm-test-", dir=_quick_place()) as name:
        (port,) = free_ports(1)
        piece = postgres(Path(name) / "postgres", port, PASSWORD, durable=False)
        server = PostgresServer(piece, Path(name))
        async with _alive(server):
            yield server


@asynccontextmanager
async def running_rabbitmq() -> AsyncIterator[RabbitServer]:
    """Run a RabbitMQ of one's own; raises PieceMissingError when it is not installed."""
    with tempfile.TemporaryDirectory(prefix="crm-test-", dir=Path(ROOT, "tmp")) as name:
        amqp, erlang, epmd, management, metrics = free_ports(5)
        ports = RabbitPorts(amqp, erlang, epmd, management=management, metrics=metrics)
        piece = rabbitmq(Path(name) / "rabbitmq", ports, PASSWORD)
        if piece.missing:
            raise PieceMissingError(piece.missing)
        server = RabbitServer(piece, Path(name), ports)
        async with _alive(server):
            yield server


@asynccontextmanager
async def running_temporal() -> AsyncIterator[TemporalServer]:
    """Run a Temporal of one's own; raises PieceMissingError when it is not installed."""
    with tempfile.TemporaryDirectory(prefix="crm-test-") as name:
        grpc, http = free_ports(2)
        ports = TemporalPorts(grpc=grpc, http=http)
        piece = temporal(Path(name) / "temporal", ports, time_skipping=True)
        if piece.missing:
            raise PieceMissingError(piece.missing)
        server = TemporalServer(piece, Path(name))
        async with _alive(server):
            yield server


@pytest.fixture(scope="session")
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """The run's PostgreSQL: `await postgres_server.create_database("contacts")`."""
    async with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
async def rabbitmq_server() -> AsyncIterator[RabbitServer]:
    """The run's RabbitMQ: `await rabbitmq_server.create_vhost("contacts")`."""
    async with running_rabbitmq() as server:
        yield server


@pytest.fixture(scope="session")
async def temporal_server() -> AsyncIterator[TemporalServer]:
    """The run's Temporal: `await Client.connect(temporal_server.url)`."""
    async with running_temporal() as server:
        yield server
