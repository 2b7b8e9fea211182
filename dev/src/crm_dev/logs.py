"""Reading the log files of the stack, each line under its piece's colour."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)
WIDTH = len("channels-waha-migrate")


def files(folder: Path, name: str | None = None) -> list[Path]:
    """Return the log files of one piece, or of all, in the order of their names."""
    return sorted(folder.glob(f"{name}.log" if name else "*.log"))


def tail(path: Path, count: int) -> list[str]:
    """Return the last lines of a file; none when it does not exist."""
    if not path.exists():
        return []
    return path.read_text(errors="replace").splitlines()[-count:]


def prefixed(name: str, line: str, *, colour: bool) -> str:
    """Return a line with its piece's name before it."""
    label = f"{name:<{WIDTH}} |"
    if colour:
        number = COLOURS[sum(name.encode()) % len(COLOURS)]
        label = f"\x1b[{number}m{label}\x1b[0m"
    return f"{label} {line}"


def follow(
    folder: Path, name: str | None, *, from_start: bool, until: Callable[[], bool]
) -> Iterator[tuple[str, str]]:
    """Yield (piece, line) as they are written, until `until()` says so and nothing is left.

    Files that appear or begin anew while following are read from their start.
    """
    positions: dict[Path, int] = {}
    if not from_start:
        positions = {path: path.stat().st_size for path in files(folder, name)}
    while True:
        ending = until()
        silent = True
        for path in files(folder, name):
            position = positions.get(path, 0)
            if path.stat().st_size < position:
                position = 0
            with path.open("rb") as stream:
                stream.seek(position)
                # Half a line at the end stays for the next round, when its rest is written.
                text = stream.read().rpartition(b"\n")
            positions[path] = position + len(text[0]) + len(text[1])
            if text[1]:
                silent = False
                for line in text[0].decode(errors="replace").split("\n"):
                    yield path.stem, line
        if ending and silent:
            return
        if silent:
            time.sleep(0.1)
