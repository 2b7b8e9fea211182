"""What code and documents cite stands in this repository."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).relative_to(ROOT)
GENERATED = {"uv.lock", "contract.json", "topology.json"}
CITED = re.compile(
    r"(?<![\w/.])(?P<page>docs/(?:[\w-]+/)*[\w-]+(?:\.(?:md|png|json))?)"
    r"(?:, \"(?P<heading>[^\"]+)\"|#(?P<anchor>[\w-]+))?"
)
LINKED = re.compile(r"\]\((?P<target>[^)\s]+)\)")
DEAD = re.compile(
    r"\bdesign sections?\b|\bWAHA contract\b|\bexpected behaviou?r [A-Z]?\d|\bacceptance check\b"
    r"|\bthe seed\b|\b(?:the|a) requirements?(?:' | document\b|, section)",
    re.IGNORECASE,
)


def page_of(cited: str) -> Path | None:
    """The page meant by `docs/waha.md`, or by an ADR's number alone: `docs/adr/0010`."""
    if re.fullmatch(r"docs/adr/\d{4}", cited):
        return next((ROOT / "docs" / "adr").glob(f"{Path(cited).name}-*.md"), None)
    path = ROOT / cited
    return path if path.exists() else None


def headings(page: Path) -> list[str]:
    if page.suffix != ".md":
        return []
    return re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def untrue(text: str) -> Iterator[str]:
    """Citations in a text that lead nowhere."""
    # A citation may be wrapped over two lines of a comment or docstring.
    text = re.sub(r"\n\s*(?:# ?)?", " ", text)
    for match in CITED.finditer(text):
        page = page_of(match["page"])
        if page is None:
            yield match["page"]
            continue
        there = {None, *headings(page)}
        anchors = {None, *map(anchor, headings(page))}
        if match["heading"] not in there or match["anchor"] not in anchors:
            yield match[0]


class TestCitations:
    def test_lead_to_a_page_and_a_heading(self, files: list[Any]) -> None:
        found = [
            f"{source}: {cited}"
            for source in files
            if source.path.parts[0] != "docs"
            and source.path.name not in GENERATED
            and source.path != HERE
            for cited in untrue(source.text)
        ]
        assert found == [], "write the section, or cite another"

    def test_are_of_nothing_outside_the_repository(self, files: list[Any]) -> None:
        found = [
            f"{source}: {match[0]}"
            for source in files
            if source.path.name not in GENERATED and source.path != HERE
            for match in DEAD.finditer(source.text)
        ]
        assert found == [], "cite docs/, an ADR or an RFC, or let the sentence stand by itself"

    def test_would_be_missed(self) -> None:
        assert list(untrue('(docs/nowhere.md, "The bus")')) == ["docs/nowhere.md"]
        assert list(untrue('docs/architecture.md,\n    # "The tram"')) != []
        assert list(untrue('docs/architecture.md, "The bus", docs/adr/0010')) == []
        assert DEAD.search("what it does (design section 4)")


class TestLinks:
    def test_of_pages_lead_somewhere(self, files: list[Any]) -> None:
        found = [
            f"{source}: {match['target']}"
            for source in files
            # The skeleton's links lead somewhere once it is copied.
            if source.path.suffix == ".md" and source.path.parts[:2] != ("dev", "skeleton")
            for match in LINKED.finditer(source.text)
            if not _leads_somewhere(ROOT / source.path, match["target"])
        ]
        assert found == []


def _leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"https?://|mailto:", target):
        return True
    path, _, fragment = target.partition("#")
    aim = (page.parent / path).resolve() if path else page
    if not aim.exists():
        return False
    return not fragment or fragment in map(anchor, headings(aim))


class TestThreats:
    def test_are_met_by_tests_that_there_are(self) -> None:
        """docs/security.md names a file for each; `test_x.py` alone is one of several services."""
        page = (ROOT / "docs" / "security.md").read_text()
        rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
        for row in rows:
            named = re.findall(r"`([\w/-]+\.py)`", row.rsplit("|", 2)[1])
            assert named, row
            for path in named:
                found = (
                    ROOT / path if "/" in path else next(ROOT.glob(f"services/*/tests/**/{path}"))
                )
                assert found.is_file(), path
