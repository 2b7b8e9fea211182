"""A table of promises beside tests, `README.md`: each row names the tests that show it."""

import re
from pathlib import Path

_NAMED = re.compile(r"`([\w./-]+\.py)(?:::(\w+))?`")


def unfounded(tests: Path) -> list[str]:
    """What is wrong with the table in this directory: rows that are not numbered one after the
    other, show nothing, or name a test that is not there."""
    lines = (tests / "README.md").read_text().splitlines()
    rows = [line for line in lines if re.match(r"\| \d", line)]
    found = []
    for number, row in enumerate(rows, start=1):
        shown = _NAMED.findall(row)
        if not row.startswith(f"| {number} |") or not shown:
            found.append(row)
        for path, name in shown:
            text = (tests / path).read_text() if (tests / path).is_file() else ""
            if not text or (name and not re.search(rf"^class {name}\b", text, re.MULTILINE)):
                found.append(f"{number}: {path}::{name}")
    return found if rows else ["there are no rows"]
