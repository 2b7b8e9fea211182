"""`make mutants`: which small changes of a service's code its tests notice (cosmic-ray).

A sample of mutants, made in a copy of the repository, each under the service's own unit and
integration tests until the first that fails. Not part of `make test`: it takes minutes.
"""

import os
import random
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkItem
from shared_events.services import SERVICES, ServiceName

ROOT = Path(__file__).parents[3]
# A `|` is nearly always of an annotation: whatever takes its place fails at import, told by nobody.
_BESIDE_THE_POINT = ("BitOr", "RemoveDecorator")
# Frozen or not, with slots or without: a dataclass says so to its readers and to mypy.
_DECLARATION = "@dataclass"
_DESCRIPTIONS = frozenset({"__init__.py", "models.py", "metrics.py", "tables.py", "settings.py"})
"""Modules that only describe: what they say is compared with migrations and contracts."""


@dataclass(frozen=True, slots=True)
class Score:
    """How many mutants were tried, and where those stand that no test noticed, with the change."""

    tried: int
    survivors: Sequence[str]

    def __str__(self) -> str:
        killed = self.tried - len(self.survivors)
        share = f"{100 * killed / self.tried:.0f} %" if self.tried else "nothing to try"
        return "\n".join([*self.survivors, f"{killed} of {self.tried} mutants killed: {share}"])


def run(name: str, *, folders: Sequence[str], count: int, seed: int, minutes: float) -> Score:
    """Try at most `count` mutants of these feature folders (all of them when none is named).

    Stops after so many minutes. Raises RuntimeError when the tests fail without any mutant.
    """
    service = next(service for service in SERVICES if service.name == name)
    ends = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory(prefix="crm-mutants-") as folder:
        copy = Path(folder) / "copy"
        _copy(copy)
        os.chdir(copy)
        source = Path("services") / name / "src" / service.package
        os.environ["PYTHONPATH"] = str(copy / source.parent)
        score = trial(sample(source, folders, count, seed), _tests(service), ends)
        os.chdir(ROOT)
    return score


def trial(mutants: Sequence[WorkItem], command: str, ends: float) -> Score:
    """Run the tests once as they are, then under each mutant until `time.monotonic()` is `ends`.

    Raises RuntimeError when the tests fail without any mutant.
    """
    patience = _healthy(command)
    tried, survivors = 0, []
    for item in mutants:
        if time.monotonic() > ends:
            break
        result = mutate_and_test(item.mutations, command, patience)
        if result.worker_outcome != WorkerOutcome.NORMAL:
            continue
        tried += 1
        if not result.is_killed:
            survivors.append(_told(item, result.diff or ""))
        print(f"{tried}/{len(mutants)}: {len(survivors)} survived", end="\r", flush=True)
    return Score(tried, survivors)


def _copy(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for path in filter(None, listed.stdout.split("\0")):
        if (ROOT / path).is_file():
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, target / path)


def _tests(service: ServiceName) -> str:
    tests = [f"services/{service.name}/tests/{kind}" for kind in ("unit", "integration")]
    options = ["-q", "-x", "--no-header", "--tb=no", "-p", "no:cacheprovider"]
    return shlex.join([sys.executable, "-m", "pytest", *options, *tests])


def _healthy(command: str) -> float:
    """Run the tests as they are; returns the seconds a mutant may take."""
    began = time.monotonic()
    done = subprocess.run(shlex.split(command), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the tests fail without a mutant:\n{done.stdout[-2000:]}")
    return 30 + 2 * (time.monotonic() - began)


def sample(source: Path, folders: Sequence[str], count: int, seed: int) -> list[WorkItem]:
    """At most `count` mutants of the modules below `source` that do more than describe."""
    modules = [
        path
        for path in sorted(source.rglob("*.py"))
        if path.name not in _DESCRIPTIONS
        and "migrations" not in path.parts
        and (not folders or path.relative_to(source).parts[0] in folders)
    ]
    with (
        tempfile.TemporaryDirectory() as folder,
        use_db(Path(folder) / "work.sqlite", WorkDB.Mode.create) as work,
    ):
        init(modules, work, {})
        items = [item for item in work.work_items if _is_telling(item)]
    items.sort(key=_place)
    return random.Random(seed).sample(items, min(count, len(items)))  # noqa: S311


def _is_telling(item: WorkItem) -> bool:
    mutation = item.mutations[0]
    line = Path(mutation.module_path).read_text().splitlines()[mutation.start_pos[0] - 1]
    beside = any(word in mutation.operator_name for word in _BESIDE_THE_POINT)
    return not beside and not line.startswith(_DECLARATION)


def _place(item: WorkItem) -> tuple[str, str, int]:
    mutation = item.mutations[0]
    return str(mutation.module_path), mutation.operator_name, mutation.occurrence


def _told(item: WorkItem, diff: str) -> str:
    mutation = item.mutations[0]
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and line[1:2] not in "+-"]
    return "\n".join([f"{mutation.module_path}:{mutation.start_pos[0]}", *changed])
