"""Long lives: a history that grows is cut, and what the workflow knows goes on."""

import shutil
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from crm_messaging.sessions.schemas import CLOSE_SESSION_IF_IDLE, Ending, Outcome, Watch
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

QUEUE = "long-lives"
SHORT_HISTORY = "limit.historyCount.suggestContinueAsNew=15"


class Database:
    """Stands for the database: the session gets three messages, then silence."""

    def __init__(self) -> None:
        self.seen: list[int | None] = []

    @activity.defn(name=CLOSE_SESSION_IF_IDLE)
    async def close(self, ending: Ending) -> Outcome:
        self.seen.append(ending.seen)
        if len(self.seen) > 3:
            return Outcome(ended=True)
        return Outcome(ended=False, active=watch(len(self.seen) + 1))


def watch(messages: int) -> Watch:
    return Watch(
        session_id=uuid4(),
        tenant_id="tenant",
        last_interaction_at=datetime.now(UTC),
        timeout_seconds=0,
        total_messages=messages,
    )


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    """A server that finds fifteen events a long history."""
    beside = Path(sys.executable).with_name("temporal")
    program = str(beside) if beside.exists() else shutil.which("temporal")
    environment = await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=program,
        dev_server_extra_args=["--dynamic-config-value", SHORT_HISTORY],
    )
    yield environment.client
    await environment.shutdown()


class TestContinueAsNew:
    async def test_sessions_go_on_in_a_new_run(self, client: Client) -> None:
        database = Database()
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[SessionLifecycleWorkflow],
            activities=[database.close],
        ):
            session = await client.start_workflow(
                SessionLifecycleWorkflow.run, watch(1), id="session", task_queue=QUEUE
            )
            assert await session.result() == "inactivity"
            assert database.seen == [1, 2, 3, 4]
            assert (await client.get_workflow_handle("session").describe()).run_id != (
                session.first_execution_run_id
            )
