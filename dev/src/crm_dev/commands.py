"""The verbs of `crm-dev`, as seen from outside the supervisor's process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from crm_dev import company, control, credentials, logs, screen, waiting
from crm_dev.process import end_leftover, launched
from crm_dev.state import StackState


def up(
    directory: Path, names: Sequence[str], *, foreground: bool, with_company: bool = False
) -> int:
    """Start the stack and return once it stands (0) or could not (1).

    In the foreground, stay with its logs on the screen and take it down at Ctrl-C. There may be a
    company in it to log in to.
    """
    out = screen.console()
    previous = _state(directory)
    if previous and previous.supervised:
        out.print("The stack is already running.")
        return status(directory)
    _end_leftovers(previous)
    _begin_logs(directory / "logs")
    out.print("Starting the stack")
    began = time.monotonic()
    supervisor = _launch(directory, names, tied=foreground)
    try:
        state = _show_progress(out, directory, supervisor)
        if state is None or state.phase != "up":
            supervisor.wait()
            _explain(out, directory, state)
            return 1
        out.print(f"Up in {time.monotonic() - began:.1f} s{_what_is_missing(state)}\n")
        screen.show_addresses(out, state.addresses, directory)
        if with_company:
            screen.show_company(
                out, state.addresses, company.prepare(state.addresses, _password(directory))
            )
        if foreground:
            show_logs(directory, None, following=True, from_start=True)
    except KeyboardInterrupt:
        out.print("\nStopping (Ctrl-C again to kill)")
        try:
            down(directory)
        except KeyboardInterrupt:
            supervisor.kill()
            supervisor.wait()
            _end_leftovers(_state(directory))
    return 0


def down(directory: Path) -> int:
    """Stop everything that runs here; data stays. Also cleans up after a killed supervisor."""
    out = screen.console()
    state = _state(directory)
    if state is None or not state.supervised:
        ended = _end_leftovers(state)
        out.print(f"Ended what was left over: {', '.join(ended)}" if ended else "Nothing runs.")
        return 0
    began = time.monotonic()
    try:
        control.ask(directory / "control.sock", "down")
    except OSError:
        with suppress(ProcessLookupError):
            os.kill(state.supervisor_pid, signal.SIGTERM)
    waiting.until(lambda: not state.supervised)
    out.print(f"Stopped in {time.monotonic() - began:.1f} s")
    return 0


def status(directory: Path) -> int:
    """Print the table; 0 when everything that should run is ready, 1 otherwise."""
    out = screen.console()
    state = _state(directory)
    if state is None or (not state.supervised and not any(p.alive for p in state.pieces)):
        out.print("The stack is down.")
        return 1
    out.print(screen.table(state))
    if not state.supervised:
        out.print("\nThe supervisor died; `make down` ends what is left.")
        return 1
    gateways = "  ".join(state.addresses.gateway_urls)
    out.print(f"\n{state.phase}{_what_is_missing(state)}   {gateways}")
    return 0 if all(piece.health in {"ready", "done"} for piece in state.pieces) else 1


def ask(directory: Path, verb: str, name: str) -> int:
    """Have the supervisor stop or start one piece."""
    out = screen.console()
    try:
        out.print(control.ask(directory / "control.sock", verb, name), markup=False)
    except control.RefusedError as error:
        out.print(str(error), markup=False)
        return 1
    except OSError:
        out.print("The stack is down.")
        return 1
    return 0


def show_logs(directory: Path, name: str | None, *, following: bool, from_start: bool) -> int:
    """Print logs, each line under its piece's name; following ends with the stack."""
    folder = directory / "logs"
    if not logs.files(folder, name):
        print(f"There is no log of {name or 'anything'} yet.")
        return 1

    def ended() -> bool:
        state = _state(directory)
        return not following or state is None or not state.supervised

    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    for piece, line in logs.follow(folder, name, from_start=from_start, until=ended):
        print(logs.prefixed(piece, line, colour=colour), flush=following)
    return 0


def _password(directory: Path) -> str:
    return credentials.load_or_create(directory / "secrets.json").company_password


def _state(directory: Path) -> StackState | None:
    return StackState.load(directory / "state.json")


def _launch(directory: Path, names: Sequence[str], *, tied: bool) -> subprocess.Popen[bytes]:
    """Begin the supervisor in a session of its own; `tied` makes it end with this process."""
    command = [sys.executable, "-m", "crm_dev", "supervise", *names]
    if tied:
        command = launched(command, stop_signal=signal.SIGTERM, unprivileged=False)
    with (directory / "logs" / "supervisor.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "CRM_DEV_DIR": str(directory)},
        )


def _show_progress(
    out: Console, directory: Path, supervisor: subprocess.Popen[bytes]
) -> StackState | None:
    """Print each piece as it settles; returns the state once the boot is over either way."""
    shown: set[str] = set()
    while True:
        ended = supervisor.poll() is not None
        state = _state(directory)
        if state and state.supervisor_pid != supervisor.pid:
            state = None
        for piece in state.pieces if state else ():
            if piece.health in {"ready", "done", "failed", "missing"} and piece.name not in shown:
                shown.add(piece.name)
                out.print(screen.progress_line(piece))
        if ended or (state and state.phase != "starting"):
            return state
        time.sleep(0.05)


def _explain(out: Console, directory: Path, state: StackState | None) -> None:
    """Say why the boot failed, with the last words of the piece that failed."""
    culprits = [piece.name for piece in state.pieces if piece.health == "failed"] if state else []
    if state and state.failure:
        out.print(f"\nCould not start: {state.failure}", markup=False)
    for name in culprits or ["supervisor"]:
        for line in logs.tail(directory / "logs" / f"{name}.log", 20):
            out.print(f"  {line}", markup=False)


def _what_is_missing(state: StackState) -> str:
    absent = [p.name for p in state.pieces if p.health in {"failed", "missing"}]
    return f", degraded: no {', no '.join(absent)}" if absent else ""


def _end_leftovers(state: StackState | None) -> list[str]:
    """End the processes of a supervisor that died without a word; returns their names."""
    if state is None or state.supervised:
        return []
    return [
        piece.name
        for piece in state.pieces
        if piece.pid and piece.born and end_leftover(piece.pid, piece.born)
    ]


def _begin_logs(folder: Path) -> None:
    """Start with empty logs; those of the previous run stay beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in logs.files(folder):
        path.replace(path.with_suffix(".log.1"))
