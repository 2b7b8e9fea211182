"""Prometheus, which watches the stack as one of a deployment does: same configuration, same rules.

The program is that of Debian's package, from `.dev/prometheus-bin` of the checkout, where
`tools/prometheus` puts it, or of this machine. What is shipped for containers finds services by
their names; here each process has a port of its own, and nobody is told of alerts.
"""

import functools
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from crm_dev.piece import Piece
from crm_dev.probes import answers_http
from crm_dev.process import own_directory

CHECKOUT = Path(__file__).parents[3]
SHIPPED = CHECKOUT / "deploy" / "observability"
HOW_TO_GET = "Prometheus is missing: run tools/prometheus --version"
BROKER = "rabbitmq"
"""The job that is not of our services."""
_BY_NAME = {"dns_sd_configs", "static_configs", "relabel_configs"}


def folder(wish: str) -> Path | None:
    """Return where the configuration and the rules are: `1` means those we ship, empty none."""
    return SHIPPED if wish == "1" else Path(wish).absolute() if wish else None


def prometheus(
    directory: Path, port: int, shipped: Path, targets: Mapping[str, Sequence[int]]
) -> Piece:
    """Declare a Prometheus that keeps its data in `directory` and reads these ports by service."""
    ours = CHECKOUT / ".dev" / "prometheus-bin" / "prometheus"
    program = str(ours) if ours.exists() else shutil.which("prometheus")
    home = directory.absolute()
    return Piece(
        name="prometheus",
        command=(
            program or "prometheus",
            *("--config.file", str(home / "prometheus.yml")),
            *("--storage.tsdb.path", str(home / "data")),
            *("--web.listen-address", f"127.0.0.1:{port}", "--log.level", "warn"),
        ),
        ready=functools.partial(answers_http, port, "/-/ready"),
        prepare=functools.partial(_configure, home, shipped, targets),
        ports=(port,),
        url=f"http://127.0.0.1:{port}",
        optional=True,
        missing="" if program else HOW_TO_GET,
    )


async def _configure(home: Path, shipped: Path, targets: Mapping[str, Sequence[int]]) -> None:
    own_directory(home, unprivileged=False)
    configuration = yaml.safe_load((shipped / "prometheus.yml").read_text())
    (home / "prometheus.yml").write_text(json.dumps(natively(configuration, shipped, targets)))


def natively(
    configuration: dict[str, Any], rules: Path, targets: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Return the configuration with ports of this machine instead of names of containers."""
    jobs = []
    for job in configuration["scrape_configs"]:
        kept = {key: value for key, value in job.items() if key not in _BY_NAME}
        broker = job["job_name"] == BROKER
        found = [
            {
                "targets": [f"127.0.0.1:{port}" for port in ports],
                "labels": {} if broker else {"service": name},
            }
            for name, ports in targets.items()
            if (name == BROKER) == broker
        ]
        jobs.append({**kept, "static_configs": found})
    kept = {key: value for key, value in configuration.items() if key != "alerting"}
    paths = [str(rules / name) for name in configuration["rule_files"]]
    return {**kept, "rule_files": paths, "scrape_configs": jobs}
