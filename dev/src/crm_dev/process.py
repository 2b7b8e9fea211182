"""Child processes that never outlive us and never run as root when they must not.

Every child is begun through util-linux's `setpriv`, which replaces itself by the program:
`--pdeathsig` makes the kernel send the child its stop signal when we die, however we die.
PostgreSQL refuses to run as root, so under root it becomes `nobody`. It keeps the one capability
that lets it reach a checkout below a private home such as /root; `no_setuid_fixup` makes access(2)
honour that capability too, which initdb asks before it runs its sibling programs.
"""

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from crm_dev import waiting
from crm_dev.piece import Piece

NOBODY = 65534


class StartFailedError(Exception):
    """A piece exited or stayed silent instead of becoming ready."""


def launched(
    command: Sequence[str], *, stop_signal: signal.Signals, unprivileged: bool
) -> list[str]:
    """Return the command line that runs `command` under the rules of this module."""
    line = ["setpriv", "--pdeathsig", stop_signal.name.removeprefix("SIG")]
    if unprivileged and os.geteuid() == 0:
        line += [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        line += ["--securebits=+no_setuid_fixup"]
        line += ["--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    return [*line, "--", *command]


def own_directory(directory: Path, *, unprivileged: bool) -> None:
    """Create a private directory that belongs to the user the piece will run as."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if unprivileged and os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)


async def run_to_end(
    command: Sequence[str], environment: Mapping[str, str] | None = None, *, unprivileged: bool
) -> None:
    """Run a short preparatory command; raises StartFailedError with its output when it fails."""
    process = await asyncio.create_subprocess_exec(
        *launched(command, stop_signal=signal.SIGTERM, unprivileged=unprivileged),
        env={**os.environ, **(environment or {})},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
    )
    output, _ = await process.communicate()
    if process.returncode:
        text = output.decode(errors="replace").strip()
        raise StartFailedError(f"{Path(command[0]).name} failed: {text}")


async def spawn(piece: Piece, log: Path) -> asyncio.subprocess.Process:
    """Begin a piece in a session of its own; its output goes straight to the log file."""
    if piece.prepare:
        await piece.prepare()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *launched(
                piece.command, stop_signal=piece.stop_signal, unprivileged=piece.unprivileged
            ),
            env={**os.environ, **piece.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    if piece.nice:
        _be_nice(process.pid, piece.nice)
    return process


def _be_nice(pid: int, nice: int) -> None:
    """Step back behind others, as far as we may.

    Where Linux shares processors by session (autogroup), the session must step back too.
    """
    with suppress(OSError):  # it may have ended already, or a user asked too often
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


async def become_ready(piece: Piece, process: asyncio.subprocess.Process) -> None:
    """Wait until the piece is ready, or has done its one job.

    Raises StartFailedError when it exits or the piece's `start_seconds` pass: a broken
    configuration must not cost the whole waiting time.
    """
    deadline = time.monotonic() + piece.start_seconds
    while time.monotonic() < deadline:
        if process.returncode is not None:
            if piece.one_shot and process.returncode == 0:
                return
            raise StartFailedError(f"{piece.name} exited with {process.returncode}")
        if piece.ready and await piece.ready():
            return
        await asyncio.sleep(0.05)
    raise StartFailedError(f"{piece.name} was not ready after {piece.start_seconds:.0f} s")


async def stop(process: asyncio.subprocess.Process, piece: Piece) -> None:
    """End a piece with its own signal, then whatever of its group is left by force."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(piece.stop_signal)
        with suppress(TimeoutError):
            async with asyncio.timeout(piece.stop_seconds):
                await process.wait()
    kill_group(process.pid)
    await process.wait()


def kill_group(leader: int) -> None:
    """Kill every process of a group at once; no error when none is left."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def birth(pid: int) -> int | None:
    """Return the kernel's start tick of a process, which with its pid names it for good.

    None when there is no such process, or only its zombie.
    """
    try:
        # The command name stands in parentheses and may hold spaces: count fields after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def end_leftover(pid: int, born: int, patience: float = 10.0) -> bool:
    """End a process a dead supervisor left behind; returns whether there was one.

    It got its stop signal from the kernel already, so it is given time before it is killed. A pid
    that now belongs to another program has another birth and is left alone.
    """
    if birth(pid) != born:
        return False
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    if not waiting.until(lambda: birth(pid) != born, patience):
        kill_group(pid)
    return True
