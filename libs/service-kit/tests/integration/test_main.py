import json
from collections.abc import Iterator

import pytest
from crm_testing.readiness import Readiness, readiness
from service_kit import main
from service_kit.service import Service
from service_kit.settings import ServiceSettings
from shared_events.services import CONTACTS

SAID = {"status": "unhealthy", "checks": {"database": {"healthy": False}}}


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[Readiness]:
    """What `crm-contacts healthcheck`, called in its place, asks."""
    with readiness() as process:
        process.says = SAID
        monkeypatch.setenv("CRM_ENV", "test")
        monkeypatch.setenv("SERVER_PORT", str(process.port))
        monkeypatch.setattr("sys.argv", ["crm-contacts", "healthcheck"])
        monkeypatch.setattr("service_kit.logs.configure", lambda *_, **__: None)
        yield process


def create(settings: ServiceSettings) -> Service:
    raise AssertionError("a health check makes no service")


class TestHealthcheck:
    @pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
    def test_prints_what_the_process_says_of_itself(
        self, status: int, code: int, process: Readiness, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process.status = status
        with pytest.raises(SystemExit) as ended:
            main.run_service(CONTACTS, create, ServiceSettings)
        assert ended.value.code == code
        assert json.loads(capsys.readouterr().out) == SAID

    def test_says_that_nobody_answers(
        self, process: Readiness, capsys: pytest.CaptureFixture[str]
    ) -> None:
        process.hang_up()
        with pytest.raises(SystemExit) as ended:
            main.run_service(CONTACTS, create, ServiceSettings)
        assert ended.value.code == 1
        assert "nobody answers" in capsys.readouterr().out
