"""The pages of docs/how-to stay true: their files exist, are counted right, their code is code."""

import ast
import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))
STATED = re.compile(r"\*\*(?P<all>\d+) files(?:, (?P<new>\d+) of them new)?\.?\*\*")
LISTED = re.compile(r"^\d+\. `(?P<path>[^`]+)`(?P<new> \(new\))?", re.MULTILINE)
QUOTED = re.compile(r"`([^`\n]+)`")
RESOLVED = re.compile(r"`<(\w+)>` = `([^`]+)`")
EXCERPT = re.compile(r"^ *```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def prose(page: Path) -> str:
    """A page without its code."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def resolved(path: str, examples: dict[str, str]) -> str:
    """The path with each placeholder replaced by its example on the page."""
    # A package is named after its service, with underscores.
    path = re.sub(r"crm_<(\w+)>", lambda m: f"crm_{examples[m[1]].replace('-', '_')}", path)
    return re.sub(r"<(\w+)>", lambda m: examples[m[1]], path)


def is_path(quoted: str) -> bool:
    return "/" in quoted and (ROOT / quoted.partition("/")[0]).exists() and " " not in quoted


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
class TestHowTo:
    def test_names_only_files_there_are(self, page: Path) -> None:
        text = prose(page)
        examples = dict(RESOLVED.findall(text))
        named = {path for path in QUOTED.findall(text) if is_path(path)}
        named |= {match["path"] for match in LISTED.finditer(text)}
        assert named
        missing = [path for path in named if not (ROOT / resolved(path, examples)).exists()]
        assert missing == []

    def test_lists_as_many_files_as_it_says(self, page: Path) -> None:
        text = prose(page)
        stated = STATED.search(text)
        assert stated is not None, "say how many: **7 files, 2 of them new.**"
        listed = list(LISTED.finditer(text))
        assert len(listed) == int(stated["all"])
        assert sum(match["new"] is not None for match in listed) == int(stated["new"] or 0)
        assert len({match["path"] for match in listed}) == len(listed)

    def test_shows_code_that_is_code(self, page: Path) -> None:
        for excerpt in EXCERPT.findall(page.read_text()):
            ast.parse(dedent(excerpt))


class TestLimits:
    @pytest.mark.parametrize(
        ("page", "most"), [("add-an-event", 11), ("add-a-resource", 13), ("add-a-waha-event", 16)]
    )
    def test_what_is_done_often_touches_few_files(self, page: str, most: int) -> None:
        text = prose(ROOT / "docs" / "how-to" / f"{page}.md")
        assert len(LISTED.findall(text)) <= most
