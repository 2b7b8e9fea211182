"""The alerts as they are shipped, with all their durations divided by one factor."""

import re
from pathlib import Path

import yaml
from deploy.telemetry import OBSERVABILITY

FACTOR = 20
"""A quarter of an hour becomes 45 seconds; 2 minutes still outlast two scrapes."""
SCRAPE_SECONDS = 3
"""Not by the factor: a process whose database is away takes up to 1.5 s to say so."""
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d+)([smh])")


def write(folder: Path, factor: int = FACTOR) -> Path:
    """Write configuration and rules for a Prometheus in a hurry; returns the folder."""
    folder.mkdir()
    (folder / "alerts.yml").write_text(rules((OBSERVABILITY / "alerts.yml").read_text(), factor))
    configuration = yaml.safe_load((OBSERVABILITY / "prometheus.yml").read_text())
    configuration["global"] = {
        "scrape_interval": f"{SCRAPE_SECONDS}s",
        "scrape_timeout": f"{SCRAPE_SECONDS}s",
        "evaluation_interval": "1s",
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    return folder


def rules(text: str, factor: int = FACTOR) -> str:
    """The rules with each `for:` and each range in brackets divided; nothing else is touched."""
    text = re.sub(r"(?<=for: )\w+$", lambda m: _divided(m[0], factor), text, flags=re.MULTILINE)
    return re.sub(r"(?<=\[)\d+[smh](?=\])", lambda m: _divided(m[0], factor), text)


def _divided(duration: str, factor: int) -> str:
    match = _DURATION.fullmatch(duration)
    assert match is not None, duration
    milliseconds = int(match[1]) * _SECONDS[match[2]] * 1000 // factor
    return f"{milliseconds}ms"
