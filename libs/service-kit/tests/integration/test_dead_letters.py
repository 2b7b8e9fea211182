from collections.abc import Callable
from uuid import uuid4

import pytest
from crm_scratch.bus import Bus, deleted, headers
from crm_scratch.things import QUEUE, TENANT
from service_kit import dead_letters
from service_kit.bus import Publisher
from service_kit.settings import ServiceSettings


@pytest.fixture
async def settings(
    make_settings: Callable[..., ServiceSettings], declared: Publisher, bus: Bus
) -> ServiceSettings:
    """Settings of a virtual host with two dead letters of QUEUE."""
    for attempt, reason in ((2, "retries_exhausted"), (0, "invalid_event")):
        letter = deleted(uuid4())
        stamps = {"x-attempt": attempt, "x-dead-reason": reason, "x-last-error": "why"}
        await declared.publish(
            QUEUE.exchange.dead_letters,
            QUEUE.name,
            letter.body,
            message_id=f"{letter.message_id}.dead",
            headers={**letter.headers, **stamps, "x-request-id": "req-1"},
        )
    return make_settings()


class TestPeek:
    async def test_tells_why_each_died_and_leaves_it_there(self, settings: ServiceSettings) -> None:
        for _ in range(2):
            letters = await dead_letters.peek(settings, QUEUE, 10)
            assert [letter["reason"] for letter in letters] == [
                "retries_exhausted",
                "invalid_event",
            ]
            assert letters[0]["tenant_id"] == TENANT
            assert letters[0]["detail"] == "why"

    async def test_looks_at_no_more_than_the_limit(self, settings: ServiceSettings) -> None:
        assert len(await dead_letters.peek(settings, QUEUE, 1)) == 1

    async def test_knows_the_brokers_own_reason(
        self, make_settings: Callable[..., ServiceSettings], declared: Publisher, bus: Bus
    ) -> None:
        await bus.send(deleted())
        queue = await bus.channel.get_queue(QUEUE.name)
        async with queue.iterator() as messages:
            await (await anext(messages)).reject(requeue=False)
        settings = make_settings()
        letters = await dead_letters.peek(settings, QUEUE, 1)
        while not letters:
            letters = await dead_letters.peek(settings, QUEUE, 1)
        assert letters[0]["reason"] == "rejected"


class TestRedrive:
    async def test_sends_them_back_with_fresh_attempts(
        self, settings: ServiceSettings, bus: Bus
    ) -> None:
        assert await dead_letters.redrive(settings, QUEUE, 10) == 2
        for _ in range(2):
            back = await bus.take(QUEUE.name)
            stamps = {key for key in headers(back) if key.startswith("x-")}
            # Looking at a queue counts as a delivery to the broker.
            assert stamps - {"x-delivery-count"} == {"x-request-id"}
            assert headers(back)["event_type"] == "channel.deleted"
        assert await dead_letters.peek(settings, QUEUE, 10) == []
