"""Resident memory of each process over time: a leak shows between two looks far apart."""

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from crm_dev.state import StackState

from bench.figures import families

_EVERY_SECONDS = 5.0
_WARM_SECONDS = 120.0
"""A process that is younger still fills its pools and caches."""


@dataclass
class Growth:
    """What one process held when it was warm, and when it was last seen; ages in seconds."""

    name: str
    from_age: float
    from_bytes: int
    to_age: float
    to_bytes: int

    def __str__(self) -> str:
        grown = self.to_bytes - self.from_bytes
        return (
            f"{self.name:<18}{self.from_bytes / 1e6:7.1f} -> {self.to_bytes / 1e6:6.1f} MB"
            f"   {grown / 1e6:+6.1f} MB in {self.to_age - self.from_age:6.0f} s"
        )


class Memory:
    """Looks at every process of the stack, and remembers each by its pid."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._seen: dict[int, Growth] = {}
        self._now: list[int] = []

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_EVERY_SECONDS)

    def look(self) -> None:
        """Note what each process holds now, all of its family together."""
        state = StackState.load(self._directory / "state.json")
        if state is None:
            return
        self._now = []
        for name, family in families(state):
            try:
                age = time.time() - family[0].create_time()
                held = sum(member.memory_info().rss for member in family)
            except psutil.NoSuchProcess:
                continue
            self._now.append(held)
            known = self._seen.get(family[0].pid)
            if known is None or known.from_age < _WARM_SECONDS:
                self._seen[family[0].pid] = Growth(name, age, held, age, held)
            else:
                known.to_age, known.to_bytes = age, held

    @property
    def growths(self) -> list[Growth]:
        """Of each piece the process that was watched for longest."""
        longest: dict[str, Growth] = {}
        for growth in sorted(self._seen.values(), key=lambda g: g.to_age - g.from_age):
            longest[growth.name] = growth
        return sorted(longest.values(), key=lambda growth: growth.name)

    def __str__(self) -> str:
        """What all of them held at the last look."""
        return f"memory {sum(self._now) / 1e6:.0f} MB"
