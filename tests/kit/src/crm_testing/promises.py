"""Tables of a README that say which test shows what."""

import re
from pathlib import Path

_TEST = re.compile(r"`([\w./-]+\.py)(?:::(\w+))?`")
_VERB = re.compile(r"`make (\w+)`")


def assert_shown(readme: Path, makefile: Path, rows: int) -> None:
    """Fail unless rows 1 to `rows` each name a test or a verb of the Makefile, all of them there.

    Paths of tests are relative to the README; a class behind `::` has to be in the file.
    """
    table = [line for line in readme.read_text().splitlines() if re.match(r"\| \d", line)]
    assert [int(row.split("|")[1]) for row in table] == list(range(1, rows + 1))
    for row in table:
        tests, verbs = _TEST.findall(row), _VERB.findall(row)
        assert tests or verbs, row
        for path, name in tests:
            text = (readme.parent / path).read_text()
            assert not name or re.search(rf"^class {name}\b", text, re.MULTILINE), (path, name)
        for verb in verbs:
            assert f"\n{verb}:" in makefile.read_text(), verb
