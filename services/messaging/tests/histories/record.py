"""Record the histories that `test_replay.py` replays: run this after a change on purpose.

A change that cannot replay them would break sessions that are open while it is deployed: guard it
with `workflow.patched`, keep these files, and record the new path beside them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from crm_messaging.sessions.schemas import CLOSE_SESSION_IF_IDLE, Ending, Outcome, Watch
from crm_messaging.sessions.workflow import SessionLifecycleWorkflow
from crm_testing.servers import running_temporal
from temporalio import activity
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

HERE = Path(__file__).parent
QUEUE = "recording"


class Sessions:
    """Stands for the database: the session gets this many messages before it is left alone."""

    def __init__(self) -> None:
        self.messages_to_come = 0

    @activity.defn(name=CLOSE_SESSION_IF_IDLE)
    async def close(self, ending: Ending) -> Outcome:
        if ending.seen is None or not self.messages_to_come:
            return Outcome(ended=True)
        self.messages_to_come -= 1
        return Outcome(ended=False, active=watch(ending.seen + 1))


def watch(messages: int, seconds: int = 1) -> Watch:
    return Watch(
        session_id=uuid4(),
        tenant_id="tenant",
        last_interaction_at=datetime.now(UTC),
        timeout_seconds=seconds,
        total_messages=messages,
    )


async def save(name: str, handle: WorkflowHandle[Any, Any]) -> None:
    history = await handle.fetch_history()
    await asyncio.to_thread((HERE / f"{name}.json").write_text, history.to_json() + "\n")


async def record(client: Client, sessions: Sessions) -> None:
    async def session(
        name: str, seconds: int, act: Callable[[WorkflowHandle[Any, Any]], Awaitable[None]]
    ) -> None:
        handle = await client.start_workflow(
            SessionLifecycleWorkflow.run, watch(1, seconds), id=f"session-{name}", task_queue=QUEUE
        )
        await asyncio.sleep(0.5)
        await act(handle)
        with suppress(WorkflowFailureError):  # what a cancelled one ends with
            await handle.result()
        await save(name, handle)

    async def nothing(handle: WorkflowHandle[Any, Any]) -> None:
        del handle

    async def close(handle: WorkflowHandle[Any, Any]) -> None:
        await handle.signal(SessionLifecycleWorkflow.close_session, "resolved")

    async def cancel(handle: WorkflowHandle[Any, Any]) -> None:
        await handle.cancel()

    await session("idle", 1, nothing)
    sessions.messages_to_come = 3
    await session("kept_open", 1, nothing)
    await session("closed", 60, close)
    await session("cancelled", 60, cancel)


async def main() -> None:
    async with running_temporal() as server:
        client = await Client.connect(
            server.url, data_converter=pydantic_data_converter, identity="recorder"
        )
        sessions = Sessions()
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[SessionLifecycleWorkflow],
            activities=[sessions.close],
            identity="recorder",
            graceful_shutdown_timeout=timedelta(seconds=1),
        ):
            await record(client, sessions)


if __name__ == "__main__":
    asyncio.run(main())
