"""Processes that are gone, and what waits for them meanwhile."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aio_pika
import pytest
from e2e.stack import Platform

from outages.causes import again_and_again, all_of, broker, changed, without
from outages.watch import Watch

QUEUE = "webhooks.delivery.0"
MANY = 1001


@asynccontextmanager
async def backlog(platform: Platform) -> AsyncIterator[None]:
    """More waits in a queue than anybody lets wait; it is taken out before somebody reads it."""
    async with broker(platform) as channel:
        queue = await channel.get_queue(QUEUE)
        body = aio_pika.Message(b"{}", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        for _ in range(MANY):
            await channel.default_exchange.publish(body, QUEUE)
        try:
            yield
        finally:
            await queue.purge()


def stutter(platform: Platform, name: str) -> AbstractAsyncContextManager[None]:
    """A process gets no processor for a second, again and again."""

    async def stop_and_go() -> None:
        pid = platform.piece(name)["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(1)
        finally:
            os.kill(pid, signal.SIGCONT)

    return again_and_again(stop_and_go, every=0.2)  # one look in five is late


@pytest.mark.timeout(1200)
class TestProcesses:
    async def test_one_of_two_and_the_only_one_are_gone(
        self, platform: Platform, watch: Watch
    ) -> None:
        await watch.sees(
            all_of(without(platform, "contacts-2", "webhooks"), backlog(platform)),
            "ProcessDown contacts",
            "ProcessDown webhooks",
            "ServiceDown webhooks",
            f"QueueUnconsumed {QUEUE}",
            f"QueueGrows {QUEUE}",
            perhaps={"QueueUnconsumed"},  # its other queues, if anything is said meanwhile
        )

    async def test_one_gets_no_processor(self, platform: Platform, watch: Watch) -> None:
        await watch.sees(stutter(platform, "webhooks"), "LoopLags webhooks")

    async def test_a_table_that_a_task_may_not_read(self, platform: Platform, watch: Watch) -> None:
        await watch.sees(
            changed(
                platform,
                "REVOKE SELECT ON contacts.outbox_events FROM crm_contacts_app",
                "GRANT SELECT ON contacts.outbox_events TO crm_contacts_app",
            ),
            "TaskRestarts contacts relay",
            "CheckFails tasks contacts",
            "OutboxUnled contacts",
        )
