"""Every alert is caused in tests/outages, or excused there with a reason."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import yaml
from outages import scaled
from outages.excused import EXCUSED

from deploy.manifests import ROOT
from deploy.telemetry import OBSERVABILITY, alerts

OUTAGES = ROOT / "tests" / "outages"


def seen() -> Iterator[str]:
    """The alerts that are given to `watch.sees`, by their names."""
    for file in OUTAGES.glob("test_*.py"):
        for call in ast.walk(ast.parse(file.read_text())):
            match call:
                case ast.Call(func=ast.Attribute(attr="sees"), args=[_, *expected]):
                    texts = (node for one in expected for node in ast.walk(one))
                    for text in texts:
                        if isinstance(text, ast.Constant) and isinstance(text.value, str):
                            yield text.value.partition(" ")[0]


class TestAlerts:
    def test_are_each_caused_or_excused(self) -> None:
        there = {rule["alert"] for rule in alerts()}
        caused = there & set(seen())
        assert caused | set(EXCUSED) == there
        assert not caused & set(EXCUSED), "an excuse for what is caused"
        assert all(EXCUSED.values())

    def test_are_scaled_in_their_durations_and_nothing_else(self) -> None:
        shipped = alerts()
        text = (OBSERVABILITY / "alerts.yml").read_text()
        groups = yaml.safe_load(scaled.rules(text))["groups"]
        hurried = [rule for group in groups for rule in group["rules"]]
        for before, after in zip(shipped, hurried, strict=True):
            assert milliseconds(after, scaled.FACTOR) == milliseconds(before, 1), before["alert"]
            for rule in (before, after):
                rule.pop("for", None)
                rule["expr"] = RANGE.sub("[]", rule["expr"])
            assert before == after


RANGE = re.compile(r"\[(\d+)(ms|s|m|h)\]")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def milliseconds(rule: dict[str, Any], factor: int) -> tuple[int, list[int]]:
    """How long a rule waits, and its ranges, so many times over."""
    lasts = RANGE.findall(f"[{rule.get('for', '0s')}]")
    (wait,), ranges = (
        [int(number) * UNITS[unit] * factor for number, unit in found]
        for found in (lasts, RANGE.findall(rule["expr"]))
    )
    return wait, ranges
