import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from service_kit import logs

PHONE = "+5511987654321"


@contextmanager
def configured() -> Iterator[None]:
    """Logging as a process configures it, on the stdout of this very moment."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    logs.configure("scratch", "info", human=False)
    try:
        yield
    finally:
        structlog.reset_defaults()
        root.handlers, root.level = handlers, level


class TestConfigure:
    def test_writes_one_json_object_per_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        with configured():
            structlog.get_logger().info("thing_made", thing=1)
            logging.getLogger("library").warning("it is %s", "late")
        ours, theirs = map(json.loads, capsys.readouterr().out.splitlines())
        assert (ours["event"], ours["thing"], ours["service"]) == ("thing_made", 1, "scratch")
        assert (theirs["event"], theirs["level"]) == ("it is late", "warning")

    def test_hides_phones_and_passwords_in_a_traceback(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with configured():
            try:
                raise ValueError(f"{PHONE} at amqp://crm:hunter2@mq/ for 5511987654321@c.us")
            except ValueError:
                structlog.get_logger().exception("failed")
                logging.getLogger("library").exception("failed too")
        out = capsys.readouterr().out
        assert out.count("ValueError: [hidden]") == 2
        for private in (PHONE, "hunter2", "5511987654321"):
            assert private not in out


class TestRedact:
    @pytest.mark.parametrize(
        "key", ["phone", "content", "push_name", "password", "webhook_secret", "api_key", "email"]
    )
    def test_hides_private_fields_at_any_depth(self, key: str) -> None:
        event = {"event": "e", key: "private", "deep": [{"inner": {key: "private"}}]}
        assert "private" not in str(logs.redact(None, "info", event))

    @pytest.mark.parametrize(
        "text",
        [
            "5511987654321@c.us",
            "182736451928374@lid",
            PHONE,
            "postgresql://app:private@db/x",
        ],
    )
    def test_hides_what_is_private_inside_a_text(self, text: str) -> None:
        shown = str(logs.redact(None, "info", {"event": f"about {text}."})["event"])
        assert "[hidden]" in shown
        for private in ("5511987654321", "182736451928374", "private"):
            assert private not in shown

    def test_keeps_ids_and_numbers(self) -> None:
        event = {"event": "e", "session_id": "01936a7e-0010-7001", "count": 3, "content_type": "x"}
        assert logs.redact(None, "info", dict(event)) == event
