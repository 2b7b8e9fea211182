import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from service_kit.outbox_processor import configured
from service_kit.outbox_workflow import OutboxProcessorInput, OutboxProcessorWorkflow
from service_kit.settings import ServiceSettings
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

FORBIDDEN = ("asyncpg", "sqlalchemy", "faststream", "aio_pika", "fastapi")
HISTORIES = {
    path.stem: path.read_text()
    for path in sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
}


class TestInput:
    def test_is_what_the_settings_say(self) -> None:
        settings = ServiceSettings(
            outbox_batch_size=7,
            outbox_poll_seconds=0.5,
            outbox_max_retries=3,
            outbox_retry_backoff_seconds=4,
            outbox_drain_window_seconds=20,
        )
        assert configured(settings) == OutboxProcessorInput(
            batch_size=7,
            poll_interval=timedelta(seconds=0.5),
            max_retries=3,
            retry_backoff=timedelta(seconds=4),
            window=timedelta(seconds=20),
        )

    def test_is_the_documented_one_unless_set(self) -> None:
        how = configured(ServiceSettings())
        assert how == OutboxProcessorInput()
        assert (how.batch_size, how.max_retries) == (100, 5)
        assert (how.poll_interval, how.retry_backoff) == (
            timedelta(seconds=1),
            timedelta(seconds=30),
        )


class TestReplay:
    def test_has_a_history_of_today_and_of_the_input_before(self) -> None:
        assert set(HISTORIES) == {"outbox", "outbox_seconds"}

    @pytest.mark.parametrize("name", HISTORIES)
    async def test_takes_the_same_steps(self, name: str) -> None:
        history = WorkflowHistory.from_json(f"replayed-{name}", HISTORIES[name])
        replayer = Replayer(
            workflows=[OutboxProcessorWorkflow], data_converter=pydantic_data_converter
        )
        await replayer.replay_workflow(history)


class TestModule:
    def test_brings_no_database_broker_or_http(self) -> None:
        """The sandbox imports it again for each run."""
        script = (
            "import sys, service_kit.outbox_workflow;"
            f"print([m for m in {FORBIDDEN!r} if m in sys.modules])"
        )
        result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
        assert result.stdout.strip() == "[]", result.stderr
