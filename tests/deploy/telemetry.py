"""What alerts and dashboards ask for, what there is to ask, and the runbooks behind the alerts."""

import ast
import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser
import yaml
from prometheus_client import REGISTRY

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
    """What the services export, with its labels, and what every process of Python does.

    By their sources: an output says nothing of the labels of a metric that has no samples yet.
    """
    found: dict[str, set[str]] = {
        sample.name: set(sample.labels)
        for family in REGISTRY.collect()
        for sample in family.samples
    }
    for source in (path for folder in SOURCES for path in folder.rglob("*.py")):
        if "from prometheus_client import" in (text := source.read_text()):
            for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
                found.update(_declared(call))
    return found


def _declared(call: ast.Call) -> Iterator[tuple[str, set[str]]]:
    match call:
        case ast.Call(
            func=ast.Name(id="Counter" | "Gauge" | "Histogram" as kind),
            args=[ast.Constant(value=str(name)), _, *rest],
        ):
            labels = set(ast.literal_eval(rest[0])) if rest else set()
            if kind == "Histogram":
                yield f"{name}_bucket", labels | {"le"}
                yield from ((f"{name}_{part}", labels) for part in ("sum", "count"))
            else:
                yield name, labels


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
