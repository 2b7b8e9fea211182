"""The Dockerfile's promises, and the health check that runs inside the image."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator

import pytest
from crm_testing.readiness import Readiness, readiness

from deploy.manifests import ROOT

DOCKER = ROOT / "deploy" / "docker"


def instructions() -> list[str]:
    """The Dockerfile's instructions, continued lines joined, comments left out."""
    lines = (DOCKER / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]


class TestDockerfile:
    def test_fetches_no_frontend(self) -> None:
        assert "syntax=" not in (DOCKER / "Dockerfile").read_text().splitlines()[0]

    def test_runs_as_the_numeric_user_that_kubernetes_asks_for(self) -> None:
        assert "USER 10001:10001" in instructions()

    def test_names_one_program_and_runs_it_by_default(self) -> None:
        assert instructions()[-2:] == ['ENTRYPOINT ["crm-service"]', 'CMD ["run"]']

    def test_installs_what_the_lock_says_with_a_pinned_uv(self) -> None:
        joined = "\n".join(instructions())
        assert "pip install uv==" in joined
        assert joined.count("uv sync --frozen --no-dev") == joined.count("uv sync") == 2

    def test_copies_only_libraries_and_one_of_ours(self) -> None:
        copied = [i.split() for i in instructions() if i.startswith("COPY") and "--from" not in i]
        sources = {source for words in copied for source in words[1:-1]}
        assert sources == {
            "pyproject.toml",
            "uv.lock",
            "libs",
            "${FOLDER}",
            "deploy/docker/healthcheck.py",
        }

    def test_finds_what_it_copies_in_the_build_context(self) -> None:
        allowed = (ROOT / ".dockerignore").read_text().splitlines()
        for source in ("pyproject.toml", "uv.lock", "libs", "services", "console"):
            assert f"!{source}" in allowed
        assert "!deploy/docker/healthcheck.py" in allowed

    def test_starts_a_program_that_every_service_has(self) -> None:
        projects = [*(ROOT / "services").glob("*/pyproject.toml"), ROOT / "console/pyproject.toml"]
        for project in projects:
            service = project.parent.name
            scripts = tomllib.loads(project.read_text())["project"]["scripts"]
            assert f"crm-{service}" in scripts


@pytest.fixture
def process() -> Iterator[Readiness]:
    """A service beside the health check."""
    with readiness() as process:
        yield process


def check(port: int) -> int:
    """The exit code of the image's health check for a service on this port."""
    command = [sys.executable, "-I", str(DOCKER / "healthcheck.py")]
    return subprocess.run(
        command, env={"SERVER_PORT": str(port)}, capture_output=True, timeout=60
    ).returncode


class TestHealthcheck:
    def test_passes_when_ready(self, process: Readiness) -> None:
        assert check(process.port) == 0

    def test_fails_when_not_ready(self, process: Readiness) -> None:
        process.status = 503
        assert check(process.port) == 1

    def test_fails_when_nobody_listens(self, process: Readiness) -> None:
        process.hang_up()
        assert check(process.port) == 1
