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

_OTHERS = ("postgres", "rabbitmq", "temporal", "waha-sim", "console")
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
    blows = [Blow(every * (n + 1)) for n in range(int(seconds / every) - 1)]
    for server, times in (("rabbitmq", broker), ("postgres", database)):
        blows += [Blow(seconds * (n + 1) / (times + 1), server) for n in range(times)]
    return sorted(blows, key=lambda blow: blow.at)


class Storm:
    """Strikes each blow at its time, whether or not the platform has recovered from the last."""

    def __init__(self, directory: Path, chance: random.Random, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._chance = chance
        self._tell = tell
        self.kills = 0
        self.restarts = 0

    async def rage(self, blows: list[Blow]) -> None:
        """Strike; raises GoneError when a server does not come back."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        restarts = []
        for blow in blows:
            await asyncio.sleep(max(0.0, begun + blow.at - loop.time()))
            if blow.server:
                restarts.append(asyncio.create_task(self._restart(blow.server)))
            else:
                self._kill()
        await asyncio.gather(*restarts)

    def _kill(self) -> None:
        alive = {p.name: p.pid for p in services(self._directory) if p.alive and p.pid}
        victims = self._chance.sample(
            sorted(alive), min(len(alive), self._chance.choice((1, 1, 2)))
        )
        self._tell(f"kill -9 {' '.join(victims)}")
        for victim in victims:
            os.kill(alive[victim], signal.SIGKILL)
        self.kills += len(victims)

    async def _restart(self, server: str) -> None:
        self._tell(f"restart {server}")
        socket = self._directory / "control.sock"
        try:
            for verb in ("stop", "start"):
                await asyncio.to_thread(control.ask, socket, verb, server)
        except (control.RefusedError, OSError) as error:
            raise GoneError(f"{server} did not come back: {error}") from None
        self._tell(f"{server} is back")
        self.restarts += 1

    async def passed(self) -> None:
        """Wait until every service is ready; raises GoneError when one stays away."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _BACK_SECONDS
        while away := [p.name for p in services(self._directory) if p.health != "ready"]:
            if loop.time() > deadline:
                raise GoneError(f"not back after {_BACK_SECONDS:.0f} s: {', '.join(away)}")
            await asyncio.sleep(_LOOK_SECONDS)


def services(directory: Path) -> list[PieceState]:
    """The processes of the five services, as the stack shows them."""
    state = StackState.load(directory / "state.json")
    pieces = state.pieces if state else []
    return [piece for piece in pieces if not piece.one_shot and piece.name not in _OTHERS]
