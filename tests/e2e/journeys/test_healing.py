"""One service away or dumb, or a broker that came back empty: the others go on, and all heals."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually
from e2e.journeys.test_faults import watched
from e2e.stack import Platform

AT_ONCE = 4.0
"""Seconds: who is refused at once has not waited for a call's deadline, which is 5 s."""


@asynccontextmanager
async def away(platform: Platform, name: str) -> AsyncIterator[None]:
    """Meanwhile the service is stopped."""
    await platform.crm_dev("stop", name)
    try:
        yield
    finally:
        await platform.crm_dev("start", name)
        await platform.healthy(name)


@asynccontextmanager
async def dumb(platform: Platform, name: str) -> AsyncIterator[None]:
    """Meanwhile the service's process neither works nor ends."""
    pid = platform.piece(name)["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def ask(tenant: Tenant, path: str) -> tuple[httpx.Response, float]:
    """The answer, and the seconds it took."""
    begun = time.monotonic()
    answer = await tenant.http.get(path)
    return answer, time.monotonic() - begun


async def refused_at_once(tenant: Tenant, path: str) -> bool:
    answer, seconds = await ask(tenant, path)
    return answer.status_code == 503 and seconds < AT_ONCE


async def answered(tenant: Tenant, path: str, count: int, per_second: float) -> list[float]:
    """Ask at a steady rate; all must be answered. Returns the seconds each took."""
    loop = asyncio.get_running_loop()
    begun, asked = loop.time(), []
    for number in range(count):
        asked.append(asyncio.create_task(ask(tenant, path)))
        await asyncio.sleep(max(0.0, begun + number / per_second - loop.time()))
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer, _ in answers} == {200}
    return [seconds for _, seconds in answers]


class TestServiceAway:
    async def test_is_refused_at_once_and_costs_the_others_nothing(
        self, platform: Platform, tenant: Tenant
    ) -> None:
        await tenant.rows("/contacts")
        async with away(platform, "contacts"):
            answer, seconds = await ask(tenant, "/contacts")
            assert (answer.status_code, answer.json()["code"]) == (503, "service_unavailable")
            assert "Retry-After" in answer.headers
            assert seconds < AT_ONCE
            refused = asyncio.create_task(_refused(tenant, "/contacts", 50))
            took = await answered(tenant, "/sessions", 100, per_second=40)
            assert sorted(took)[len(took) // 2] < AT_ONCE
            assert await refused == {503}

        async def back() -> bool:
            return (await tenant.http.get("/contacts")).status_code == 200

        await eventually(back, "contacts answers again")

    async def test_that_is_dumb_is_left_alone_after_a_few_silences(
        self, platform: Platform, tenant: Tenant
    ) -> None:
        await tenant.rows("/contacts")
        async with dumb(platform, "contacts"):
            asked = [asyncio.create_task(ask(tenant, "/contacts")) for _ in range(8)]
            # Beside the calls that wait for it, the others have all their places.
            await answered(tenant, "/sessions", 50, per_second=50)
            assert {answer.status_code for answer, _ in await asyncio.gather(*asked)} <= {503, 504}
            await eventually(
                lambda: refused_at_once(tenant, "/contacts"), "a refusal at once", every=0.05
            )

        async def back() -> bool:
            return (await tenant.http.get("/contacts")).status_code == 200

        await eventually(back, "contacts answers again")
        await platform.healthy()


async def _refused(tenant: Tenant, path: str, count: int) -> set[int]:
    return {(await ask(tenant, path))[0].status_code for _ in range(count)}


class TestBrokerEmptied:
    async def test_is_declared_anew_and_loses_nothing_accepted_meanwhile(
        self, platform: Platform, tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
    ) -> None:
        """Back on a new disk: no queue, no exchange."""
        async with watched(tenant, waha, receiver, 100) as traffic:
            await traffic.write(40, per_second=40)
            await tenant.message_count(40)
            await receiver.wait_for(lambda _: len(receiver.of_type("message.received")) >= 40)
            await platform.crm_dev("stop", "rabbitmq")
            platform.forget("rabbitmq")
            writing = asyncio.create_task(traffic.write(60, per_second=10))
            await platform.crm_dev("start", "rabbitmq")
            await eventually(lambda: _all_answer(tenant), "every service answers")
            await writing
        await platform.healthy()


async def _all_answer(tenant: Tenant) -> bool:
    paths = ("/messages", "/contacts", "/channels", "/webhook-endpoints")
    return {(await tenant.http.get(path)).status_code for path in paths} == {200}
