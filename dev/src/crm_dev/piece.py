"""What one process of the stack is: how it starts, when it is ready, how it ends."""

import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field


class PieceMissingError(Exception):
    """A program the stack needs is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Piece:
    """One node of the stack's graph, declared and not yet running.

    `ready` answers False for "not yet"; a one-shot piece has none: it is ready when it has exited
    with 0. `healthy` is asked while the piece runs, where that is another question. An empty
    `command` is a server somebody else runs, which is only asked. `missing` says how to get a
    program that is not installed; only an `optional` piece may be missing or fail. A `nice` piece
    gets less of a busy processor (docs/adr/0010). `start_seconds` are many: on a busy machine a
    dozen start at once, and killing a slow one makes the others slower; a broken one exits by
    itself.
    """

    name: str
    command: tuple[str, ...]
    ready: Callable[[], Awaitable[bool]] | None
    environment: Mapping[str, str] = field(default_factory=dict)
    healthy: Callable[[], Awaitable[bool]] | None = None
    needs: tuple[str, ...] = ()
    prepare: Callable[[], Awaitable[None]] | None = None
    ports: tuple[int, ...] = ()
    url: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 20.0
    start_seconds: float = 180.0
    unprivileged: bool = False
    nice: int = 0
    optional: bool = False
    missing: str = ""

    @property
    def one_shot(self) -> bool:
        """Say whether this piece does one job and ends, such as a migration."""
        return self.ready is None
