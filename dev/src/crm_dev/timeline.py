"""What the demo shows: who did what, and how many milliseconds after the one before."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

WIDTH = 80
COLOURS = {"WhatsApp": "green", "event": "cyan", "webhook": "magenta", "agent": "yellow"}


class Timeline:
    """Prints one line a happening, readable in 80 columns, and keeps the figures."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._mark = time.perf_counter()
        self.latencies_ms: list[float] = []

    @contextmanager
    def journey(self, letter: str, title: str) -> Iterator[None]:
        """A chapter with its heading."""
        self._console.print()
        self._console.print(Text(f" {letter}  {title} ".ljust(WIDTH), style="bold reverse"))
        yield

    def mark(self) -> None:
        """Count milliseconds from here: something has just been set off."""
        self._mark = time.perf_counter()

    def row(self, who: str, what: str, detail: str = "", *, at: float | None = None) -> None:
        """One line: milliseconds since the mark, who, what. `at` is a `perf_counter` time."""
        elapsed = ((at or time.perf_counter()) - self._mark) * 1000
        if who == "webhook":
            self.latencies_ms.append(elapsed)
        line = Text(f"{max(elapsed, 0):7.0f} ms  ", style="dim")
        line.append(f"{who:<9} ", style=COLOURS.get(who, "white"))
        line.append(f"{what:<22} ", style="bold")
        line.append(detail)
        line.truncate(WIDTH, overflow="ellipsis")
        self._console.print(line)

    def note(self, text: str) -> None:
        """A remark between the lines."""
        self._console.print(Text(f"            {text}", style="dim"))

    def summary(self, figures: dict[str, str]) -> None:
        """The result, one figure a line."""
        self._console.print()
        self._console.print(Text(" Summary ".ljust(WIDTH), style="bold reverse"))
        for name, value in figures.items():
            self._console.print(f"  {name:<48}{value}")
