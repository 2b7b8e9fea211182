"""Sessions open during a deploy go on: the new code replays what the old one did."""

from pathlib import Path

import pytest
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

HISTORIES = {
    path.stem: path.read_text()
    for path in sorted((Path(__file__).parents[1] / "histories").glob("*.json"))
}


class TestReplay:
    def test_has_a_history_of_every_ending(self) -> None:
        assert {"idle", "kept_open", "closed", "cancelled"} <= set(HISTORIES)

    @pytest.mark.parametrize("name", HISTORIES)
    async def test_takes_the_same_steps(self, name: str) -> None:
        history = WorkflowHistory.from_json(f"replayed-{name}", HISTORIES[name])
        replayer = Replayer(
            workflows=[SessionLifecycleWorkflow],
            data_converter=pydantic_data_converter,
        )
        await replayer.replay_workflow(history)
