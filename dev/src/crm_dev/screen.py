"""What people see: progress while starting, the status table, addresses and passwords."""

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from crm_dev import company
from crm_dev.state import Addresses, Health, PieceState, StackState

COLOURS: dict[Health, str] = {
    "ready": "green",
    "done": "green",
    "starting": "yellow",
    "waiting": "yellow",
    "restarting": "yellow",
    "unready": "red",
    "failed": "red",
    "missing": "red",
    "stopped": "dim",
}


def console() -> Console:
    """Return a console that never wraps at a guess: 80 columns when nobody is watching."""
    return Console(highlight=False, soft_wrap=True)


def progress_line(piece: PieceState) -> str:
    """Return the line that tells a piece has come up, or will not."""
    colour = COLOURS[piece.health]
    took = f"{piece.ready_seconds:6.2f} s" if piece.ready_seconds is not None else ""
    return f"  {piece.name:<22}[{colour}]{piece.health:<8}[/{colour}] {took}"


def table(state: StackState) -> Table:
    """Return the status table; a migration shows only while it is not done."""
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    grid.add_column("NAME", min_width=16)
    for heading in ("PID", "PORT"):
        grid.add_column(heading, justify="right")
    grid.add_column("HEALTH", min_width=10)
    for heading in ("RESTARTS", "UP"):
        grid.add_column(heading, justify="right")
    for piece in state.pieces:
        if piece.one_shot and piece.health == "done":
            continue
        colour = COLOURS[piece.health]
        grid.add_row(
            piece.name,
            str(piece.pid or "-"),
            str(piece.port or "-"),
            f"[{colour}]{piece.health}[/{colour}]",
            str(piece.restarts),
            age(piece.since),
        )
    return grid


def age(since: float | None) -> str:
    """Return how long ago a Unix time was, in the largest two units; "-" for never."""
    if since is None:
        return "-"
    seconds = max(0, int(time.time() - since))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m{seconds % 60:02}s"
    return f"{seconds // 3600}h{seconds % 3600 // 60:02}m"


def show_addresses(out: Console, addresses: Addresses, directory: Path) -> None:
    """Print where the stack is reached, passwords included: they are of this machine only."""
    rows = {
        "API": "  ".join(addresses.gateway_urls),
        "Console": addresses.console_url,
        "WhatsApp": addresses.waha_url,
        "PostgreSQL": addresses.database_url,
        "RabbitMQ": addresses.amqp_url,
        "Temporal": addresses.temporal_address,
        "Temporal UI": addresses.temporal_ui_url,
        "Prometheus": _pages_of(addresses.prometheus_url),
        "Secrets": str(directory / "secrets.json"),
        "Logs": str(directory / "logs"),
    }
    for label, value in rows.items():
        if value:
            out.print(f"  {label:<12}{value}", markup=False)


def _pages_of(prometheus: str) -> str:
    """Return where Prometheus says what fires; pages come with its package, if installed."""
    return prometheus and f"{prometheus}/api/v1/alerts  (pages: {prometheus}/classic/alerts)"


def show_company(out: Console, addresses: Addresses, login: str) -> None:
    """Print how to look: who logs in at the console, and where customers write."""
    out.print("\nLook at it in two windows:")
    out.print(f"  {'Console':<12}{addresses.console_url}", markup=False)
    out.print(f"  {'log in as':<12}{login}", markup=False)
    phone = f"{addresses.waha_url}/?session={company.SESSION}"
    out.print(f"  {'a customer':<12}{phone}", markup=False)
