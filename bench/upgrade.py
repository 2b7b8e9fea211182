"""`make upgrade FROM=<revision>`: a release gives way to this one, under load, without a loss.

Two of each service run as they were at that revision, in an environment of their own. Then, while
people write: every schema is migrated below the old code (but one: there the new code comes first
and has to wait for its schema), and one process after the other is replaced. It is over when
messaging's metrics show no stray, as operators see it. A proof like `make soak`, whose load and
judgement it uses; its exit code says whether everything came out once and in order.
"""

import asyncio
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import aiohttp
import psutil
import uvloop
from crm_dev import control
from crm_dev.state import PieceState
from shared_events.services import SERVICES

from bench.soak.run import Soak, Wish
from bench.soak.storm import GoneError, services
from bench.stack import running

PORT_BASE = "19300"
NAMES = tuple(service.name for service in SERVICES)
NEW_CODE_FIRST = "contacts"
"""Whose new code meets the old schema."""
_BETWEEN_SECONDS = 10.0
"""How long each state lasts under load before the next begins."""
_LONGEST_SECONDS = 900.0
_JOINED_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_METRICS = aiohttp.ClientTimeout(total=10)


class Programs:
    """The folder the stack takes the services' programs from: each of one release or another."""

    def __init__(self, folder: Path, before: Path, after: Path) -> None:
        self.folder = folder
        self._after = after
        folder.mkdir(parents=True, exist_ok=True)
        for program in after.glob("crm-*"):  # what is no service is of this release all along
            self._point(program.name.removeprefix("crm-"), after)
        for name in NAMES:
            self._point(name, before)

    def renew(self, name: str) -> None:
        """Whatever of this service starts from now on is of the release after."""
        self._point(name, self._after)

    def _point(self, name: str, release: Path) -> None:
        link = self.folder / f"crm-{name}"
        link.unlink(missing_ok=True)
        link.symlink_to(release / link.name)


def installed(revision: str, folder: Path) -> Path:
    """Where the programs of a revision are, checked out and installed into `folder`."""
    if not folder.exists():
        subprocess.run(["git", "worktree", "prune"], check=True)
        subprocess.run(["git", "worktree", "add", "--detach", folder, revision], check=True)
    subprocess.run(["git", "-C", folder, "checkout", "--quiet", "--detach", revision], check=True)
    # Not into this one's environment, whoever has activated it.
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    subprocess.run([folder / "tools" / "bootstrap"], check=True, env=environment)
    return folder / ".venv" / "bin"


class Update:
    """One update of everything, told line by line."""

    def __init__(self, directory: Path, programs: Programs) -> None:
        self._directory = directory
        self._programs = programs

    async def run(self) -> None:
        """Migrate, then replace process after process; raises GoneError when one stays away."""
        await asyncio.sleep(_BETWEEN_SECONDS)
        for name in NAMES:
            self._programs.renew(name)
            if name != NEW_CODE_FIRST:
                await self._ask("start", f"{name}-migrate")
        _tell("old code on new schemas")
        await asyncio.sleep(_BETWEEN_SECONDS)
        first = [process.name for process in self._of(NEW_CODE_FIRST)]
        for early in first:
            await self._ask("stop", early)
        waiting = [asyncio.create_task(self._ask("start", early)) for early in first]
        await asyncio.sleep(_BETWEEN_SECONDS)
        await self._ask("start", f"{NEW_CODE_FIRST}-migrate")
        await asyncio.gather(*waiting)
        for name in NAMES:
            for process in self._of(name) if name != NEW_CODE_FIRST else ():
                await self._ask("stop", process.name)
                await self._ask("start", process.name)
        await asyncio.sleep(_BETWEEN_SECONDS)
        await self._joined()

    async def _joined(self) -> None:
        """Wait until whatever the old code stored has its place; raises GoneError if it gets none.

        Called so long after the last of the old code that everybody has looked since.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        urls = [f"http://127.0.0.1:{process.port}/metrics" for process in self._of("messaging")]
        async with aiohttp.ClientSession(timeout=_METRICS) as http:
            while (left := [await _strays(http, url) for url in urls]) != [0.0] * len(urls):
                if loop.time() > begun + _JOINED_SECONDS:
                    raise GoneError(f"messages without a conversation: {left}")
                await asyncio.sleep(_LOOK_SECONDS)
        _tell(f"no strays {loop.time() - begun:.1f} s later")

    def _of(self, name: str) -> list[PieceState]:
        return [piece for piece in services(self._directory) if _program(piece) == name]

    async def _ask(self, verb: str, piece: str) -> None:
        _tell(f"{verb} {piece}")
        try:
            await asyncio.to_thread(control.ask, self._directory / "control.sock", verb, piece)
        except (control.RefusedError, OSError) as error:
            raise GoneError(f"{piece} did not {verb}: {error}") from None


async def _strays(http: aiohttp.ClientSession, url: str) -> float:
    """How many messages without a conversation a process has seen; NaN before it has looked."""
    async with http.get(url) as response:
        shown = re.search(r"^crm_stray_messages (\S+)$", await response.text(), re.MULTILINE)
    return float(shown[1]) if shown else math.nan


def not_of(release: Path, directory: Path) -> list[str]:
    """The services' processes that run the code of another release."""
    ours = (piece for piece in services(directory) if _program(piece) in NAMES)
    return [piece.name for piece in ours if not _is_of(release, piece)]


def _program(piece: PieceState) -> str:
    """Whose replica it is."""
    return piece.name.removesuffix("-2")


def _is_of(release: Path, piece: PieceState) -> bool:
    return bool(piece.pid) and psutil.Process(piece.pid).cmdline()[0].startswith(str(release))


def main() -> int:
    """Run and print; 0 when nothing was lost, doubled or moved."""
    revision = sys.argv[1]
    before = installed(revision, Path(".dev/release").absolute())
    after = Path(sys.executable).parent
    programs = Programs(Path(".dev/programs").absolute(), before, after)
    os.environ.setdefault("CRM_REPLICAS", "2")
    os.environ["CRM_PROGRAMS"] = str(programs.folder)
    with running("upgrade", PORT_BASE) as directory:
        if astray := not_of(before, directory):
            raise SystemExit(f"not of {revision}: {', '.join(astray)}")
        wish = Wish(_LONGEST_SECONDS, float(os.environ.get("RATE") or 10), kill_every=0)
        verdict = uvloop.run(Soak(directory, wish, _tell, Update(directory, programs).run).run())
        faults = [*verdict.faults, *(f"{name} is old" for name in not_of(after, directory))]
    print(f"\n{verdict}\n")
    print("\n".join(faults) or "Nothing lost, nothing doubled, nothing out of order.")
    return 1 if faults else 0


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
