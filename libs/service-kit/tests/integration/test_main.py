import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from service_kit import main
from service_kit.service import Service
from service_kit.settings import ServiceSettings
from shared_events.services import CONTACTS

SAID = {"status": "unhealthy", "checks": {"database": {"healthy": False}}}


class Readiness(BaseHTTPRequestHandler):
    """A process that is not ready while `status` is 503, and says why."""

    status = 503

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/health/ready" else 404)
        self.end_headers()
        self.wfile.write(json.dumps(SAID).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[HTTPServer]:
    http = HTTPServer(("127.0.0.1", 0), Readiness)
    thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield http
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def healthcheck(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`crm-contacts healthcheck` beside that process."""
    monkeypatch.setenv("CRM_ENV", "test")
    monkeypatch.setenv("SERVER_PORT", str(server.server_port))
    monkeypatch.setattr("sys.argv", ["crm-contacts", "healthcheck"])
    monkeypatch.setattr("service_kit.logs.configure", lambda *_, **__: None)
    yield


def create(settings: ServiceSettings) -> Service:
    raise AssertionError("a health check makes no service")


@pytest.mark.usefixtures("healthcheck")
class TestHealthcheck:
    @pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
    def test_prints_what_the_process_says_of_itself(
        self,
        status: int,
        code: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(Readiness, "status", status)
        with pytest.raises(SystemExit) as ended:
            main.run_service(CONTACTS, create, ServiceSettings)
        assert ended.value.code == code
        assert json.loads(capsys.readouterr().out) == SAID

    def test_says_that_nobody_answers(
        self, server: HTTPServer, capsys: pytest.CaptureFixture[str]
    ) -> None:
        server.server_close()
        with pytest.raises(SystemExit) as ended:
            main.run_service(CONTACTS, create, ServiceSettings)
        assert ended.value.code == 1
        assert "nobody answers" in capsys.readouterr().out
