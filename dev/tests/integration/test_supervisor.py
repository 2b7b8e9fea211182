import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from crm_dev import commands
from crm_dev.piece import Piece, PieceMissingError
from crm_dev.ports import free_ports, is_taken
from crm_dev.probes import answers_http
from crm_dev.process import StartFailedError, birth
from crm_dev.state import Addresses, StackState
from crm_dev.supervisor import Supervisor, UnknownPieceError

PATIENCE = 60.0


def make_server(name: str, port: int, *needs: str) -> Piece:
    """Declare a web server with a child of its own, as a stand-in for a service."""
    serve = f"sleep 1000 & exec {sys.executable} -m http.server {port} --bind 127.0.0.1"
    return Piece(
        name=name,
        command=("sh", "-c", serve),
        ready=functools.partial(answers_http, port, "/"),
        needs=needs,
        ports=(port,),
        stop_seconds=2,
    )


def make_task(name: str, script: str, *needs: str) -> Piece:
    return Piece(name=name, command=("sh", "-c", script), ready=None, needs=needs)


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def supervised(directory: Path, *pieces: Piece) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(pieces, Addresses(), directory)
    try:
        yield supervisor
    finally:
        await supervisor.down()


def health(supervisor: Supervisor) -> dict[str, str]:
    return {piece.name: piece.health for piece in supervisor.state.pieces}


def group_of(pid: int) -> list[int]:
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and birth(int(entry.name)) is not None:
            try:
                if os.getpgid(int(entry.name)) == pid:
                    members.append(int(entry.name))
            except ProcessLookupError:
                continue
    return members


def niceness_of_session(pid: int) -> str:
    """What Linux's autogroup says; `unknown` for a kernel without it."""
    try:
        return Path(f"/proc/{pid}/autogroup").read_text().split()[-1]
    except OSError:
        return "unknown"


class TestNice:
    async def test_pieces_step_back_with_all_their_children(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        server = replace(make_server("worker", port), nice=5)
        async with supervised(tmp_path, server) as supervisor:
            await supervisor.up()
            pid = supervisor.state.pieces[0].pid
            assert pid is not None
            assert os.getpriority(os.PRIO_PROCESS, pid) == 5
            assert niceness_of_session(pid) in ("5", "unknown")


class TestUp:
    async def test_starts_servers_only_after_the_tasks_they_need(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        mark = tmp_path / "migrated"
        task = make_task("migrate", f"sleep 0.2; touch {mark}")
        server = make_server("api", port, "migrate")
        checked = replace(server, command=("sh", "-c", f"test -e {mark} && {server.command[2]}"))
        async with supervised(tmp_path, checked, task) as supervisor:
            assert await supervisor.up()
            assert health(supervisor) == {"api": "ready", "migrate": "done"}
            assert supervisor.state.phase == "up"

    async def test_fails_at_once_when_a_task_fails(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        task = make_task("migrate", "echo no such table; exit 3")
        async with supervised(tmp_path, make_server("api", port, "migrate"), task) as supervisor:
            assert not await supervisor.up()
            assert supervisor.state.failure == "migrate exited with 3"
        assert (tmp_path / "logs" / "migrate.log").read_text() == "no such table\n"
        assert supervisor.state.phase == "failed"

    async def test_goes_on_without_an_optional_piece(self, tmp_path: Path) -> None:
        ports = free_ports(2)
        absent = replace(make_server("temporal", ports[0]), missing="get it", optional=True)
        api = make_server("api", ports[1], "temporal")
        async with supervised(tmp_path, absent, api) as supervisor:
            assert await supervisor.up()
            assert health(supervisor) == {"temporal": "missing", "api": "ready"}

    async def test_refuses_when_a_needed_program_is_missing(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        absent = replace(make_server("rabbitmq", port), missing="apt-get install it")
        async with supervised(tmp_path, absent) as supervisor:
            with pytest.raises(PieceMissingError, match="apt-get install it"):
                await supervisor.up()

    async def test_names_a_port_that_is_taken(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        neighbour = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", port)
        async with neighbour, supervised(tmp_path, make_server("api", port)) as supervisor:
            with pytest.raises(StartFailedError, match=rf"port {port} \(api\) is taken"):
                await supervisor.up()


class TestKeep:
    async def test_restarts_a_killed_piece_and_counts_it(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        async with supervised(tmp_path, make_server("api", port)) as supervisor:
            await supervisor.up()
            (state,) = supervisor.state.pieces
            first = state.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: state.restarts == 1 and state.health == "ready")
            assert state.pid != first
            await until(lambda: group_of(first) == [])

    async def test_shows_a_piece_that_stopped_answering(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        mute = tmp_path / "mute"

        async def ready() -> bool:
            return not mute.exists()

        piece = replace(make_server("api", port), ready=ready)
        async with supervised(tmp_path, piece) as supervisor:
            await supervisor.up()
            mute.touch()
            await until(lambda: health(supervisor) == {"api": "unready"})
            mute.unlink()
            await until(lambda: health(supervisor) == {"api": "ready"})


class TestStopAndStart:
    async def test_takes_one_piece_down_and_up_again(self, tmp_path: Path) -> None:
        ports = free_ports(2)
        database = make_server("database", ports[0])
        api = make_server("api", ports[1], "database")
        async with supervised(tmp_path, database, api) as supervisor:
            await supervisor.up()
            await supervisor.stop("database")
            assert is_taken(ports[1])
            assert not is_taken(ports[0])
            assert health(supervisor) == {"database": "stopped", "api": "ready"}
            await supervisor.start("database")
            assert health(supervisor) == {"database": "ready", "api": "ready"}

    async def test_refuses_an_unknown_name(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        async with supervised(tmp_path, make_server("api", port)) as supervisor:
            with pytest.raises(UnknownPieceError, match="there are api"):
                await supervisor.stop("apy")


class TestDown:
    async def test_leaves_no_process_and_no_port(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        async with supervised(tmp_path, make_server("api", port)) as supervisor:
            await supervisor.up()
            leader = supervisor.state.pieces[0].pid
            assert leader is not None
            assert len(group_of(leader)) == 2
            await supervisor.down()
            await until(lambda: group_of(leader) == [])
            assert not is_taken(port)
            assert supervisor.state.phase == "down"

    async def test_kills_what_ignores_its_stop_signal(self, tmp_path: Path) -> None:
        (port,) = free_ports(1)
        server = make_server("api", port)
        deaf = replace(server, command=("sh", "-c", f"trap '' TERM; {server.command[2]}"))
        async with supervised(tmp_path, replace(deaf, stop_seconds=0.2)) as supervisor:
            await supervisor.up()
            await supervisor.down()
            assert not is_taken(port)


PROGRAM = """
import asyncio, functools, sys
from pathlib import Path
from crm_dev.daemon import supervise
from crm_dev.piece import Piece
from crm_dev.probes import answers_http
from crm_dev.stack import Stack
from crm_dev.state import Addresses

port = int(sys.argv[1])
api = Piece(
    name="api",
    command=(sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"),
    ready=functools.partial(answers_http, port, "/"),
    ports=(port,),
)
raise SystemExit(asyncio.run(supervise(Stack((api,), Addresses()), Path(sys.argv[2]))))
"""


class TestDaemon:
    """A supervisor in a process of its own, as `make up` leaves behind."""

    @pytest.fixture
    async def daemon(self, tmp_path: Path) -> AsyncIterator[tuple[subprocess.Popen[bytes], int]]:
        (port,) = free_ports(1)
        (tmp_path / "logs").mkdir()
        process = self.begin(port, tmp_path)
        await until(lambda: self.phase(tmp_path) == "up")
        yield process, port
        process.kill()
        process.wait()

    def begin(self, port: int, directory: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", PROGRAM, str(port), str(directory)])

    def phase(self, directory: Path) -> str:
        state = StackState.load(directory / "state.json")
        return state.phase if state else ""

    async def test_obeys_stop_start_and_down(
        self, tmp_path: Path, daemon: tuple[subprocess.Popen[bytes], int]
    ) -> None:
        process, port = daemon
        assert commands.ask(tmp_path, "stop", "api") == 0
        assert not is_taken(port)
        assert commands.status(tmp_path) == 1
        assert commands.ask(tmp_path, "start", "api") == 0
        assert is_taken(port)
        assert commands.status(tmp_path) == 0
        assert commands.ask(tmp_path, "stop", "nobody") == 1
        assert commands.down(tmp_path) == 0
        assert process.wait(timeout=PATIENCE) == 0
        assert not is_taken(port)

    async def test_leaves_nothing_behind_when_killed(
        self, tmp_path: Path, daemon: tuple[subprocess.Popen[bytes], int]
    ) -> None:
        process, port = daemon
        process.kill()
        process.wait()
        await until(lambda: not is_taken(port))
        assert commands.status(tmp_path) == 1
        assert commands.down(tmp_path) == 0

    async def test_ends_at_sigterm(
        self, tmp_path: Path, daemon: tuple[subprocess.Popen[bytes], int]
    ) -> None:
        process, port = daemon
        process.terminate()
        assert process.wait(timeout=PATIENCE) == 0
        assert not is_taken(port)
        assert self.phase(tmp_path) == "down"
