"""Two of each service: nothing is lost, doubled or moved, whichever is killed or replaced."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from bench.agreement.run import Wish as Acts
from bench.agreement.run import run
from bench.soak.run import Soak, Wish
from e2e.crm import Tenant
from e2e.stack import Platform, running_platform

SHORT = Wish(
    seconds=30,
    per_second=10,
    kill_every=6,
    broker_restarts=1,
    database_restarts=0,
    companies=2,
    channels=2,
    people=5,
    patience=60,
)
QUERIES = 60
BETWEEN_SECONDS = 0.1


@pytest.fixture(scope="module")
async def replicated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """Deliveries that a killed process held are free again after seconds instead of a minute.

    Answers have time: what a slow machine answers late is not lost.
    """
    async with running_platform(
        tmp_path_factory.mktemp("replicas"),
        CRM_REPLICAS="2",
        REQUEST_TIMEOUT_SECONDS="25",
        WEBHOOK_TIMEOUT_SECONDS="2",
        WEBHOOK_LEASE_SECONDS="5",
    ) as stack:
        yield stack


class TestStack:
    async def test_shows_and_stops_each_replica_by_its_name(self, replicated: Platform) -> None:
        first, second = replicated.piece("messaging"), replicated.piece("messaging-2")
        assert first["port"] != second["port"] and first["pid"] != second["pid"]
        await replicated.crm_dev("stop", "messaging-2")
        try:
            assert replicated.piece("messaging-2")["health"] == "stopped"
            assert replicated.piece("messaging")["pid"] == first["pid"]
        finally:
            await replicated.crm_dev("start", "messaging-2")


class TestRollingUpdate:
    async def test_of_one_of_two_leaves_no_query_without_an_answer(
        self, replicated: Platform
    ) -> None:
        """Asked through both gateways in turn, from before it leaves until it is back."""
        asker, other = (Tenant(url) for url in replicated.state["gateway_urls"])
        await asker.register()
        other.http.headers["Authorization"] = asker.http.headers["Authorization"]
        update = asyncio.create_task(_replace(replicated, "contacts-2"))
        asked: list[asyncio.Task[httpx.Response]] = []
        while not update.done() or len(asked) < QUERIES:
            client = (asker, other)[len(asked) % 2].http
            asked.append(asyncio.create_task(client.get("/contacts")))
            await asyncio.wait({update}, timeout=BETWEEN_SECONDS)
        answers = await asyncio.gather(*asked)
        await update
        for client in (asker.http, other.http):
            await client.aclose()
        assert [answer.status_code for answer in answers] == [200] * len(asked)


async def _replace(stack: Platform, name: str) -> None:
    """What a rolling update does to one process."""
    await stack.crm_dev("stop", name)
    await stack.crm_dev("start", name)


class TestSoak:
    @pytest.mark.timeout(300)
    async def test_in_short(self, replicated: Platform) -> None:
        verdict = await Soak(replicated.directory, SHORT, print).run()
        assert verdict.faults == []
        assert verdict.kills >= 3 and verdict.restarts == 1
        count = SHORT.seconds * SHORT.per_second
        assert verdict.ledger.accepted == count
        assert (verdict.stored.messages, verdict.ledger.delivered) == (count, count)


class TestAgreement:
    @pytest.mark.timeout(300)
    async def test_of_webhooks_stream_and_feed_in_short(self, replicated: Platform) -> None:
        wish = Acts(seconds=20, per_second=8, kill_every=9, broker_restarts=0)
        assert await run(replicated.directory, wish, print) == []
