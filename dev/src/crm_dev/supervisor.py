"""Starts the stack in order, keeps it running, shows it, and takes it down again."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

from crm_dev import process
from crm_dev.graph import tiers
from crm_dev.piece import Piece, PieceMissingError
from crm_dev.ports import is_taken
from crm_dev.process import StartFailedError
from crm_dev.state import Addresses, Health, PieceState, StackState

FIRST_BACKOFF = 0.25
LONGEST_BACKOFF = 10.0
# A piece that ran this long before it died starts again with the first backoff.
STEADY_SECONDS = 30.0
BOOT_ATTEMPTS = 3
HEALTH_INTERVAL = 1.0


class UnknownPieceError(Exception):
    """There is no piece of this name, or it is not ours to start and stop."""


class Watched:
    """One piece with its live process; `settled` is set once it has been ready for the first time,
    or when the stack goes on without it."""

    def __init__(self, piece: Piece) -> None:
        self.piece = piece
        self.state = PieceState(
            name=piece.name,
            port=piece.ports[0] if piece.ports else None,
            url=piece.url,
            one_shot=piece.one_shot,
        )
        self.settled = asyncio.Event()
        self.process: asyncio.subprocess.Process | None = None
        self.keeper: asyncio.Task[None] | None = None


class Supervisor:
    """Runs declared pieces; `directory` receives state.json and the logs."""

    def __init__(self, pieces: Sequence[Piece], addresses: Addresses, directory: Path) -> None:
        self._tiers = tiers(pieces)
        self._watched = {piece.name: Watched(piece) for piece in pieces}
        self._directory = directory
        self._boot_over = asyncio.Event()
        pid = os.getpid()
        self.state = StackState(
            phase="starting",
            supervisor_pid=pid,
            supervisor_born=process.birth(pid) or 0,
            addresses=addresses,
            pieces=[watched.state for watched in self._watched.values()],
        )

    async def up(self) -> bool:
        """Start everything in order; returns whether all of it stands.

        Raises PieceMissingError or StartFailedError before anything is started when a program is
        not installed or a port is taken. When a piece cannot be started, `state.failure` names it.
        """
        self._check_machine()
        for watched in self._watched.values():
            watched.keeper = asyncio.create_task(self._keep(watched))
        self._save()
        settled = asyncio.gather(*(each.settled.wait() for each in self._watched.values()))
        settled.add_done_callback(lambda _: self._boot_over.set())
        await self._boot_over.wait()
        if self.state.failure:
            settled.cancel()
            return False
        self.state.phase = "up"
        self._save()
        return True

    async def down(self) -> None:
        """Stop every piece, those that need others first."""
        failed = bool(self.state.failure)
        self.state.phase = "stopping"
        self._save()
        for tier in reversed(self._tiers):
            await asyncio.gather(*(self._end(self._watched[piece.name]) for piece in tier))
        self.state.phase = "failed" if failed else "down"
        self._save()

    async def stop(self, name: str) -> None:
        """Stop one piece and keep it stopped; what needs it must survive that."""
        await self._end(self._ours(name))

    async def start(self, name: str) -> None:
        """Start one piece again and wait for it; raises StartFailedError when it does not come."""
        watched = self._ours(name)
        if watched.keeper is None or watched.keeper.done():
            watched.state.health = "waiting"
            watched.keeper = asyncio.create_task(self._keep(watched))
        deadline = time.monotonic() + watched.piece.start_seconds
        while watched.state.health not in {"ready", "done"}:
            if watched.state.health in {"failed", "missing"} or time.monotonic() > deadline:
                raise StartFailedError(f"{name} is {watched.state.health}; see `crm-dev logs`")
            await asyncio.sleep(0.05)

    def _ours(self, name: str) -> Watched:
        watched = self._watched.get(name)
        if watched is None:
            names = ", ".join(self._watched)
            raise UnknownPieceError(f"there is no piece {name}; there are {names}")
        if not watched.piece.command:
            raise UnknownPieceError(f"{name} was given by address and is not ours to stop or start")
        return watched

    def _check_machine(self) -> None:
        for watched in self._watched.values():
            piece = watched.piece
            if piece.missing and not piece.optional:
                raise PieceMissingError(piece.missing)
            for port in piece.ports:
                if piece.command and is_taken(port):
                    raise StartFailedError(
                        f"port {port} ({piece.name}) is taken; "
                        "free it or choose another block with CRM_PORT_BASE"
                    )

    async def _keep(self, watched: Watched) -> None:
        """Bring one piece up after what it needs, and again whenever it dies."""
        piece = watched.piece
        await asyncio.gather(*(self._watched[need].settled.wait() for need in piece.needs))
        if piece.missing:
            self._settle(watched, "missing")
            return
        backoff, failures = FIRST_BACKOFF, 0
        while True:
            began = time.monotonic()
            try:
                await self._bring_up(watched)
            except (StartFailedError, OSError) as error:
                failures += 1
                if watched.process:
                    await process.stop(watched.process, piece)
                if self._gave_up(watched, failures, str(error)):
                    return
            else:
                watched.state.ready_seconds = round(time.monotonic() - began, 2)
                if piece.one_shot:
                    self._settle(watched, "done")
                    return
                self._settle(watched, "ready")
                await self._watch(watched, piece.healthy or piece.ready or _nothing_to_ask)
            if time.monotonic() - began > STEADY_SECONDS:
                backoff = FIRST_BACKOFF
            watched.state.restarts += 1
            watched.state.pid = watched.state.born = None
            self._show(watched, "restarting")
            await asyncio.sleep(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF)

    def _gave_up(self, watched: Watched, failures: int, reason: str) -> bool:
        """Decide whether a piece that never came up ends the boot, or is done without."""
        attempts = 1 if watched.piece.one_shot or not watched.piece.command else BOOT_ATTEMPTS
        if watched.settled.is_set() and not watched.piece.one_shot:
            return False
        if failures < attempts:
            return False
        if watched.piece.optional:
            self._settle(watched, "failed")
            return True
        self._show(watched, "failed")
        if not watched.settled.is_set():
            self.state.failure = self.state.failure or reason
            self._boot_over.set()
        return True

    async def _bring_up(self, watched: Watched) -> None:
        piece, state = watched.piece, watched.state
        watched.process = None
        self._show(watched, "starting")
        if not piece.command:
            await _answer(piece)
            return
        watched.process = await process.spawn(piece, self._directory / "logs" / f"{piece.name}.log")
        state.pid, state.born = watched.process.pid, process.birth(watched.process.pid)
        state.since = time.time()
        self._save()
        await process.become_ready(piece, watched.process)

    async def _watch(self, watched: Watched, ready: Callable[[], Awaitable[bool]]) -> None:
        """Ask a running piece for its health until its process ends."""
        while True:
            if watched.process is None:
                await asyncio.sleep(HEALTH_INTERVAL)
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEALTH_INTERVAL):
                        await watched.process.wait()
                        process.kill_group(watched.process.pid)
                        return
            self._show(watched, "ready" if await ready() else "unready")

    async def _end(self, watched: Watched) -> None:
        if watched.keeper:
            watched.keeper.cancel()
            await asyncio.wait({watched.keeper})
        if watched.process:
            await process.stop(watched.process, watched.piece)
        watched.process = None
        if not watched.piece.one_shot and watched.state.health not in {"failed", "missing"}:
            watched.state.health = "stopped"
        watched.state.pid = watched.state.born = watched.state.since = None
        self._save()

    def _settle(self, watched: Watched, health: Health) -> None:
        watched.settled.set()
        if health in {"done", "missing", "failed"}:
            watched.state.pid = watched.state.born = None
        self._show(watched, health)

    def _show(self, watched: Watched, health: Health) -> None:
        if watched.state.health != health or health in {"starting", "done", "restarting"}:
            watched.state.health = health
            self._save()

    def _save(self) -> None:
        self.state.save(self._directory / "state.json")


async def _nothing_to_ask() -> bool:
    return True


async def _answer(piece: Piece) -> None:
    """Wait for a server that somebody else runs; raises StartFailedError when it is not there."""
    deadline = time.monotonic() + piece.start_seconds
    while piece.ready and not await piece.ready():
        if time.monotonic() > deadline:
            raise StartFailedError(f"{piece.name} does not answer at the address that was given")
        await asyncio.sleep(0.2)
