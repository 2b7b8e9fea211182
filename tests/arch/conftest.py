"""The project's own sources, as the house rules look at them."""

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_NOT_OURS = {
    ".venv",
    ".git",
    ".dev",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
    ".hypothesis",
    "__pycache__",
    "node_modules",
}


@dataclass(frozen=True)
class Source:
    """A file of the project; `path` is relative to its root."""

    path: Path

    def __str__(self) -> str:
        return self.path.as_posix()

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8", errors="replace")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def is_test(self) -> bool:
        """Under a folder `tests`, but not the source of a package there (the fakes)."""
        return "tests" in self.path.parts and "src" not in self.path.parts

    @property
    def is_package_source(self) -> bool:
        """Part of a library, a service or the console."""
        return self.path.parts[0] in ("libs", "services", "console") and "src" in self.path.parts


def _files(folder: Path) -> list[Source]:
    found: list[Source] = []
    for entry in sorted(folder.iterdir()):
        if entry.name in _NOT_OURS or entry.is_symlink():
            continue
        if entry.is_dir():
            found += _files(entry)
        else:
            found.append(Source(entry.relative_to(ROOT)))
    return found


@pytest.fixture(scope="session")
def files() -> list[Source]:
    """Every file of the project."""
    return _files(ROOT)


@pytest.fixture(scope="session")
def modules(files: list[Source]) -> list[Source]:
    """Every Python file of the project."""
    return [source for source in files if source.path.suffix == ".py"]
