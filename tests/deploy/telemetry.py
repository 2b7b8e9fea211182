"""What alerts and dashboards ask for, what there is to ask, and the runbooks behind the alerts."""

import functools
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml
from prometheus_client import REGISTRY
from service_kit import bus_telemetry

from deploy.manifests import ROOT

OBSERVABILITY = ROOT / "deploy" / "observability"
DASHBOARDS = OBSERVABILITY / "dashboards"
GRAFANA = OBSERVABILITY / "grafana"
SOURCES = (ROOT / "libs/service-kit/src", *ROOT.glob("services/*/src"))
OPERATIONS = ROOT / "docs" / "operations.md"

# On every series by what is scraped: compose's configuration and the operator both say `service`.
OF_A_TARGET = {"job", "service", "instance"}
# Prometheus writes these itself.
ITS_OWN = {"up": OF_A_TARGET, "ALERTS": {"alertname", "alertstate", "severity", "service"}}


@dataclass(frozen=True, slots=True)
class Asked:
    """A metric that an expression asks for, and the labels it picks or groups by."""

    metric: str
    labels: frozenset[str]


def asked(expression: str) -> set[Asked]:
    """Every metric of an expression of PromQL; ValueError when it is none."""
    found: set[Asked] = set()
    grouping: list[list[str]] = []

    def enter(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            grouping.append(node.modifier.labels if node.modifier else [])
        elif isinstance(node, promql_parser.VectorSelector):
            picked = {matcher.name for matcher in node.matchers.matchers}
            found.add(Asked(node.name or "", frozenset(picked.union(*grouping))))

    def leave(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.AggregateExpr):
            grouping.pop()

    # Grafana puts a duration there before it asks.
    parsed = promql_parser.parse(expression.replace("$__rate_interval", "1m"))
    promql_parser.walk(parsed, enter, leave)
    return found


@functools.cache
def exported() -> dict[str, set[str]]:
    """What the services' processes export, with its labels: what their code has registered."""
    for source in (path for folder in SOURCES for path in folder.rglob("*.py")):
        if "from prometheus_client import" in source.read_text():
            importlib.import_module(".".join(_under_src(source)))
    bus_telemetry.middlewares()
    found: dict[str, set[str]] = {}
    # By what prometheus_client keeps: an output has no labels of a metric without samples.
    for metric, names in REGISTRY._collector_to_names.items():
        labels = set(getattr(metric, "_labelnames", ()))
        for name in names:
            if not {f"{name}_total", f"{name}_bucket"} & set(names):  # else no series has this name
                found[name] = labels | ({"le"} if name.endswith("_bucket") else set())
    return found


def _under_src(source: Path) -> tuple[str, ...]:
    parts = source.with_suffix("").parts
    return parts[parts.index("src") + 1 :]


def alerts() -> list[dict[str, Any]]:
    """All alert rules."""
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> list[dict[str, Any]]:
    """All dashboards."""
    return [json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("*.json"))]


def scrapes() -> dict[str, dict[str, Any]]:
    """What Prometheus reads, by job."""
    jobs = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())["scrape_configs"]
    return {job["job_name"]: job for job in jobs}


def runbooks() -> dict[str, str]:
    """The sections of docs/operations.md by the anchors that its readers' browsers give them."""
    parts = re.split(r"^##+ (.+)$", OPERATIONS.read_text(), flags=re.MULTILINE)[1:]
    titles = (re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in parts[::2])
    return dict(zip(titles, parts[1::2], strict=True))


def commands(section: str) -> list[str]:
    """The commands that a section shows."""
    blocks = re.findall(r"^```\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]
