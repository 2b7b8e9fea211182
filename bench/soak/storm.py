"""What befalls the platform meanwhile: kill -9 of random replicas, restarts of the servers."""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crm_dev import control
from crm_dev.state import PieceState, StackState

_SERVERS = ("postgres", "rabbitmq", "temporal")
_BACK_SECONDS = 180.0
_LOOK_SECONDS = 0.2


class GoneError(Exception):
    """Something that was killed or restarted did not come back in time."""


@dataclass(frozen=True)
class Blow:
    """What happens when: a server's name, or empty for a kill of one or two replicas."""

    at: float
    server: str = ""


def plan(seconds: float, *, every: float, broker: int, database: int) -> list[Blow]:
    """Kills at a steady pace over `seconds`, and the servers' restarts spread among them."""
    blows = [Blow(every * (n + 1)) for n in range(int(seconds / every))]
    for server, times in (("rabbitmq", broker), ("postgres", database)):
        blows += [Blow(seconds * (n + 1) / (times + 1), server) for n in range(times)]
    return sorted(blows, key=lambda blow: blow.at)


class Storm:
    """Strikes one blow after the other, each when the platform has recovered from the last."""

    def __init__(self, directory: Path, chance: random.Random, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._chance = chance
        self._tell = tell
        self.kills = 0
        self.restarts = 0

    async def rage(self, blows: list[Blow]) -> None:
        """Strike; raises GoneError when something stays away."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for blow in blows:
            await asyncio.sleep(max(0.0, begun + blow.at - loop.time()))
            if blow.server:
                await self._restart(blow.server)
            else:
                await self._kill()

    async def _kill(self) -> None:
        victims = self._chance.sample(services(self._directory), self._chance.choice((1, 1, 2)))
        self._tell(f"kill -9 {' '.join(victim.name for victim in victims)}")
        for victim in victims:
            if victim.pid is not None:
                os.kill(victim.pid, signal.SIGKILL)
        self.kills += len(victims)
        await self._recovered({victim.name: victim.pid for victim in victims})

    async def _restart(self, server: str) -> None:
        self._tell(f"restart {server}")
        for verb in ("stop", "start"):
            socket = self._directory / "control.sock"
            await asyncio.to_thread(control.ask, socket, verb, server)
        self.restarts += 1
        await self._recovered({})

    async def _recovered(self, killed: dict[str, int | None]) -> None:
        """Wait until every service is ready again, the killed ones as new processes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BACK_SECONDS
        while waiting := [
            piece.name
            for piece in services(self._directory)
            if piece.health != "ready" or piece.pid == killed.get(piece.name, 0)
        ]:
            if loop.time() > deadline:
                raise GoneError(f"not back after {_BACK_SECONDS:.0f} s: {', '.join(waiting)}")
            await asyncio.sleep(_LOOK_SECONDS)


def services(directory: Path) -> list[PieceState]:
    """The processes of the services, as the stack shows them."""
    state = StackState.load(directory / "state.json")
    pieces = state.pieces if state else []
    return [piece for piece in pieces if not piece.one_shot and piece.name not in _SERVERS]
