"""The table of promises names tests that are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
NAMED = re.compile(r"`([\w./-]+\.py)(?:::(\w+))?`")


def test_each_promise_names_tests_that_are_there() -> None:
    rows = [
        line for line in (TESTS / "README.md").read_text().splitlines() if re.match(r"\| \d", line)
    ]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, 27))
    for row in rows:
        shown = NAMED.findall(row)
        assert shown, row
        for path, name in shown:
            text = (TESTS / path).read_text()
            assert not name or re.search(rf"^class {name}\b", text, re.MULTILINE), (path, name)
