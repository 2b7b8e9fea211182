import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from crm_dev.skeleton import copy

ROOT = Path(__file__).parents[3]
CONTRACT = Path("libs/shared-events/src")
IMPORTED = """
from crm_surveys.app import create_service
from crm_surveys.settings import SurveysSettings
from shared_events.contracts.documents import contract_document
from shared_events.registry import EVENTS, REQUESTS
from shared_events.services import SURVEYS

service = create_service(SurveysSettings(crm_env="test"))
service.router()
assert [event.event_type for event in EVENTS[SURVEYS]] == ["survey.created"]
assert len(REQUESTS[SURVEYS]) == 3
assert contract_document()["requests"].keys() >= {"surveys.survey.get"}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """As much of a checkout as a new service's code needs."""
    shutil.copytree(ROOT / CONTRACT, tmp_path / CONTRACT)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


class TestNewService:
    def test_is_python_that_passes_the_linter_under_any_name(self, checkout: Path) -> None:
        for name in ("surveys", "aliases", "zones"):
            copy(name, checkout)
        ruff = Path(sys.executable).with_name("ruff")
        for command in (["check"], ["format", "--check"]):
            done = subprocess.run([ruff, *command, checkout], capture_output=True, text=True)
            assert done.returncode == 0, done.stdout

    def test_can_be_imported_and_composed_once_it_is_in_the_list(self, checkout: Path) -> None:
        copy("surveys", checkout)
        services = checkout / CONTRACT / "shared_events" / "services.py"
        services.write_text(
            services.read_text().replace(
                "\nSERVICES = (",
                '\nSURVEYS = ServiceName("surveys", "surveys", 8085)\nSERVICES = (SURVEYS, ',
            )
        )
        paths = [checkout / CONTRACT, checkout / "services" / "surveys" / "src"]
        done = subprocess.run(
            [sys.executable, "-c", IMPORTED],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def test_speaks_of_itself_alone(self, checkout: Path) -> None:
        written = copy("surveys", checkout)
        assert Path("services/surveys/src/crm_surveys/app.py") in written
        for path in written:
            assert "widget" not in f"{path} {(checkout / path).read_text()}".lower(), path

    @pytest.mark.parametrize("name", ["Surveys", "survey", "wa-surveys", "", "../surveys"])
    def test_needs_a_plural_in_one_word(self, checkout: Path, name: str) -> None:
        with pytest.raises(ValueError, match="plural"):
            copy(name, checkout)

    def test_overwrites_nothing(self, checkout: Path) -> None:
        copy("surveys", checkout)
        mine = checkout / "services" / "surveys" / "README.md"
        mine.write_text("mine")
        with pytest.raises(FileExistsError, match="surveys"):
            copy("surveys", checkout)
        assert mine.read_text() == "mine"
