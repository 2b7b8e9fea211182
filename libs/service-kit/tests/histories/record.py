"""Record the history that `test_outbox_workflow.py` replays: run this after a change on purpose."""

import asyncio
from datetime import timedelta
from pathlib import Path

from crm_testing.servers import running_temporal
from service_kit.outbox_workflow import (
    DRAIN_OUTBOX,
    OutboxProcessorInput,
    OutboxProcessorWorkflow,
    task_queue,
    workflow_id,
)
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

HOW = OutboxProcessorInput(window=timedelta(seconds=0.2))


@activity.defn(name=DRAIN_OUTBOX)
async def drain(how: OutboxProcessorInput) -> int:
    await asyncio.sleep(how.window.total_seconds())
    return 0


async def main() -> None:
    async with running_temporal() as server:
        client = await Client.connect(
            server.url, data_converter=pydantic_data_converter, identity="recorder"
        )
        async with Worker(
            client,
            task_queue=task_queue("recorded"),
            workflows=[OutboxProcessorWorkflow],
            activities=[drain],
            identity="recorder",
        ):
            handle = await client.start_workflow(
                OutboxProcessorWorkflow.run,
                HOW,
                id=workflow_id("recorded"),
                task_queue=task_queue("recorded"),
            )
            await asyncio.sleep(1)
            history = await handle.fetch_history()
            await handle.terminate()
        text = history.to_json() + "\n"
        await asyncio.to_thread(Path(__file__).with_name("outbox.json").write_text, text)


if __name__ == "__main__":
    asyncio.run(main())
