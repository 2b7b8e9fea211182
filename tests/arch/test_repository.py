"""What the repository tells people and their tools is true."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from shared_events.services import SERVICES

ROOT = Path(__file__).parents[2]
FORMS = sorted(
    path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"
)
CHECKED = [
    (ROOT / ".github" / "workflows" / "ci.yml", "vendor.github-workflows"),
    (ROOT / ".github" / "dependabot.yml", "vendor.dependabot"),
    (ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml", "vendor.github-issue-config"),
    *((path, "vendor.github-issue-forms") for path in FORMS),
]


def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    return found


class TestGitHub:
    @pytest.mark.parametrize(
        ("path", "schema"), CHECKED, ids=[path.relative_to(ROOT).as_posix() for path, _ in CHECKED]
    )
    def test_understands_its_files(self, path: Path, schema: str) -> None:
        command = Path(sys.executable).with_name("check-jsonschema")
        done = subprocess.run(
            [command, "--builtin-schema", schema, path], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout

    def test_runs_every_test_once(self) -> None:
        everything = subprocess.run(
            ["make", "--print-data-base", "--dry-run", "help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        ).stdout
        (by_make,) = re.findall("^PARTS := (.*)", everything, re.MULTILINE)
        jobs = workflow()["jobs"]
        parts = jobs["tests"]["strategy"]["matrix"]["part"]
        alone = ["libs/shared-events", "tests/e2e"]  # the jobs before and after
        commands = " ".join(step.get("run", "") for j in jobs.values() for step in j["steps"])
        assert all(f"ARGS={part}" in commands for part in alone)
        folders = {
            path.parent.relative_to(ROOT).as_posix()
            for owner in ("libs/*", "services/*", "console", "dev", "tests/*")
            for path in ROOT.glob(f"{owner}/tests")
        } | {"tests/arch", "tests/deploy", "tests/e2e"}
        assert sorted([*parts, *alone]) == sorted(folders) == sorted(by_make.split())

    def test_knows_every_service(self) -> None:
        parts = workflow()["jobs"]["tests"]["strategy"]["matrix"]["part"]
        assert {f"services/{service.name}" for service in SERVICES} <= set(parts)


class TestPreCommit:
    def test_runs_what_there_is(self) -> None:
        (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
        assert repository["repo"] == "local"
        makefile = (ROOT / "Makefile").read_text()
        for hook in repository["hooks"]:
            program, *words = hook["entry"].split()
            assert program == "make" or (ROOT / program).exists(), hook["entry"]
            if program == "make":
                assert f"\n{words[0]}:" in makefile, hook["entry"]


class TestLicence:
    def test_is_the_same_everywhere(self) -> None:
        assert "Apache License" in (ROOT / "LICENSE").read_text()[:200]
        for folder in (".", "libs/*", "services/*", "console", "dev", "tests/*"):
            for path in ROOT.glob(f"{folder}/pyproject.toml"):
                assert tomllib.loads(path.read_text())["project"]["license"] == "Apache-2.0", path


class TestGitAttributes:
    def test_are_of_files_there_are(self) -> None:
        lines = (ROOT / ".gitattributes").read_text().splitlines()
        patterns = [line.split()[0] for line in lines if "linguist-" in line]
        assert patterns
        assert [pattern for pattern in patterns if not list(ROOT.glob(pattern))] == []


class TestMakefile:
    def test_explains_every_verb_a_page_names(self, files: list[Any]) -> None:
        makefile = (ROOT / "Makefile").read_text()
        verbs = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
        named = {
            verb
            for source in files
            if source.path.suffix == ".md" and "skeleton" not in source.path.parts
            for verb in re.findall(r"(?:`|^)make ([a-z]+)\b", source.text, re.MULTILINE)
        }
        assert named - verbs - {"bootstrap"} == set()
