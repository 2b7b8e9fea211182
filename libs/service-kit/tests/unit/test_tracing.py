"""What strangers send as a trace context, and what is instrumented when."""

import subprocess
import sys

import pytest
from service_kit.tracing import accepted

PARENT = f"00-{'a' * 32}-{'b' * 16}-01"


class TestAccepted:
    def test_takes_a_context_as_it_is(self) -> None:
        state = "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
        headers = {"traceparent": PARENT, "tracestate": state, "x-other": "1"}
        assert accepted(headers) == {"traceparent": PARENT, "tracestate": state}

    @pytest.mark.parametrize(
        "parent",
        [
            "",
            PARENT + "-extra",
            PARENT.upper(),
            "x" * 200_000,
            f"ff-{'a' * 32}-{'b' * 16}-01",
            f"00-{'0' * 32}-{'b' * 16}-01",
            f"00-{'a' * 32}-{'0' * 16}-01",
            f"00-{'a' * 31}-{'b' * 16}-01",
            f"{PARENT}\n",
        ],
    )
    def test_drops_what_is_no_context_and_the_state_with_it(self, parent: str) -> None:
        assert accepted({"traceparent": parent, "tracestate": "a=1"}) == {}

    @pytest.mark.parametrize("state", ["", "a" * 513, "a=\r\nb", "a=é", "a=\ud83d"])
    def test_drops_a_state_that_has_no_room_and_keeps_the_parent(self, state: str) -> None:
        assert accepted({"traceparent": PARENT, "tracestate": state}) == {"traceparent": PARENT}

    def test_a_state_of_512_characters_fits(self) -> None:
        assert accepted({"traceparent": PARENT, "tracestate": "a" * 512})["tracestate"] == "a" * 512


class TestInstrumentations:
    @pytest.mark.parametrize(("endpoint", "loaded"), [("", False), ("http://127.0.0.1:9", True)])
    def test_are_loaded_by_those_who_export_only(self, endpoint: str, loaded: bool) -> None:
        """Without an exporter they would cost every process some megabytes."""
        looking = (
            "import sys, fastapi, service_kit.service; from service_kit import tracing;"
            f"tracing.configure('x', {endpoint!r}); tracing.instrument_app(fastapi.FastAPI());"
            "names = {m for m in sys.modules if m.startswith('opentelemetry.instrumentation.')};"
            "names &= {f'opentelemetry.instrumentation.{n}'"
            " for n in ('asyncpg', 'aiohttp_client', 'fastapi')};"
            "print(len(names), tracing.is_recording())"
        )
        run = subprocess.run(
            [sys.executable, "-c", looking], capture_output=True, text=True, check=True
        )
        assert run.stdout.split() == [("3" if loaded else "0"), str(loaded)]
