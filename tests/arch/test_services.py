"""What every service has, and which way imports go."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from service_kit.migrations import alembic_config
from service_kit.revisions import head_revision
from shared_events import topology
from shared_events.registry import EVENTS, REQUESTS
from shared_events.services import SERVICES, ServiceName

ROOT = Path(__file__).parents[2]


def words_of(name: str) -> set[str]:
    """Every name and attribute a service's source mentions."""

    def words() -> Iterator[str]:
        for path in (ROOT / "services" / name / "src").rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    yield node.attr
                elif isinstance(node, ast.Name):
                    yield node.id

    return set(words())


class TestImportRules:
    def test_hold(self) -> None:
        command = Path(sys.executable).with_name("lint-imports")
        result = subprocess.run([command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout


def by_name(service: ServiceName) -> str:
    return service.name


@pytest.mark.parametrize("name", [service.name for service in SERVICES])
class TestEveryService:
    def test_has_a_page_that_says_what_it_is(self, name: str) -> None:
        readme = ROOT / "services" / name / "README.md"
        assert readme.exists(), f"write services/{name}/README.md: one page"
        text = readme.read_text().lower()
        for topic in ("owns", "answers", "publishes", "consumes", "settings"):
            assert topic in text, f"services/{name}/README.md: say what it {topic}"

    def test_is_a_process_built_in_one_place(self, name: str) -> None:
        package = f"crm_{name.replace('-', '_')}"
        scripts = tomllib.loads((ROOT / "services" / name / "pyproject.toml").read_text())[
            "project"
        ]["scripts"]
        assert scripts == {f"crm-{name}": f"{package}.app:main"}
        app = (ROOT / "services" / name / "src" / package / "app.py").read_text()
        for part in ("def create_service(", "def main(", "run_service("):
            assert part in app, f"{package}/app.py: build a service_kit.service.Service (its health"
            " and metrics come with it) in create_service and start it in main"

    def test_has_tests_of_each_kind(self, name: str) -> None:
        for kind in ("unit", "integration", "contract"):
            folder = ROOT / "services" / name / "tests" / kind
            assert list(folder.rglob("test_*.py")), f"services/{name}/tests/{kind} has no tests"

    def test_keeps_its_migrations(self, name: str) -> None:
        package = f"crm_{name.replace('-', '_')}"
        versions = ROOT / "services" / name / "src" / package / "migrations" / "versions"
        assert list(versions.glob("0001_*.py")), f"{package} needs migrations/versions/0001_*.py"
        assert (
            head_revision(package)
            == ScriptDirectory.from_config(alembic_config(package)).get_current_head()
        ), f"{package}: name each migration after its revision, <revision>_<what>.py"


@pytest.mark.parametrize("service", SERVICES, ids=by_name)
class TestContractOfAService:
    def test_names_the_queues_the_service_consumes(self, service: ServiceName) -> None:
        mentioned = [getattr(topology, word, None) for word in words_of(service.name)]
        queues = {queue.name for queue in mentioned if isinstance(queue, topology.EventQueue)}
        assert queues == {queue.name for queue in topology.queues_of(service)}, (
            "say in shared_events.topology whose queue it is, then make contracts"
        )

    def test_names_only_events_the_service_publishes(self, service: ServiceName) -> None:
        events = {event.__name__ for event in EVENTS[service]}
        unsaid = sorted(events - words_of(service.name))
        assert not unsaid, f"nobody publishes {unsaid}"

    def test_names_only_requests_the_service_answers(self, service: ServiceName) -> None:
        requests = {request.__name__ for request in REQUESTS[service]}
        unanswered = sorted(requests - words_of(service.name))
        assert not unanswered, f"nobody answers {unanswered}"
