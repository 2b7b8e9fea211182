"""`.dev/state.json`: what runs where, for people and for tools.

The supervisor alone writes it, at every change; everybody else reads. A pid is trusted only
together with its start tick, so that a stale file never leads to a stranger's process.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from crm_dev.process import birth

Phase = Literal["starting", "up", "failed", "stopping", "down"]
Health = Literal[
    "waiting", "starting", "ready", "unready", "restarting", "stopped", "done", "failed", "missing"
]


@dataclass(frozen=True)
class Addresses:
    """Where a running stack is reached; the single URLs are an administrator's.

    `gateway_url` is the first of `gateway_urls`, all of which answer the same.
    """

    gateway_url: str = ""
    gateway_urls: list[str] = field(default_factory=list)
    database_url: str = ""
    database_urls: dict[str, str] = field(default_factory=dict)
    amqp_url: str = ""
    amqp_urls: dict[str, str] = field(default_factory=dict)
    temporal_address: str = ""
    temporal_ui_url: str = ""
    console_url: str = ""
    waha_url: str = ""
    prometheus_url: str = ""


@dataclass
class PieceState:
    """One piece as last seen; `since` is the Unix time of its last start, in seconds."""

    name: str
    port: int | None = None
    url: str = ""
    pid: int | None = None
    born: int | None = None
    health: Health = "waiting"
    restarts: int = 0
    since: float | None = None
    ready_seconds: float | None = None
    one_shot: bool = False

    @property
    def alive(self) -> bool:
        """Say whether this very process still runs."""
        return self.pid is not None and self.born is not None and birth(self.pid) == self.born


@dataclass
class StackState:
    """The whole stack; on disk the addresses stand at the top level beside the pieces."""

    phase: Phase
    supervisor_pid: int
    supervisor_born: int
    addresses: Addresses = field(default_factory=Addresses)
    pieces: list[PieceState] = field(default_factory=list)
    failure: str = ""

    @property
    def supervised(self) -> bool:
        """Say whether the supervisor that wrote this still lives."""
        return birth(self.supervisor_pid) == self.supervisor_born

    def save(self, path: Path) -> None:
        """Replace the file in one step, readable by its owner only (it holds passwords)."""
        document = asdict(self)
        document.update(document.pop("addresses"))
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text(json.dumps(document, indent=2) + "\n")
        fresh.replace(path)

    @classmethod
    def load(cls, path: Path) -> "StackState | None":
        """Read the file; None when no stack was ever started here."""
        try:
            document: dict[str, Any] = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        names = Addresses.__dataclass_fields__
        # One that an older version wrote has fewer of them.
        addresses = Addresses(**{name: document.pop(name) for name in names if name in document})
        pieces = [PieceState(**each) for each in document.pop("pieces")]
        return cls(addresses=addresses, pieces=pieces, **document)
