import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from crm_scratch.bus import Bus, deleted, headers
from crm_scratch.things import OTHER_TENANT, QUEUE, TENANT
from service_kit import dead_letters
from service_kit.bus import Publisher
from service_kit.dead_letters import DIED_AT, Wanted
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


class TestLook:
    async def test_tells_why_each_died_and_leaves_it_there(self, settings: ServiceSettings) -> None:
        for _ in range(2):
            letters = await dead_letters.look(settings, QUEUE, Wanted(), 10)
            assert [letter.reason for letter in letters] == [
                "retries_exhausted",
                "invalid_event",
            ]
            assert letters[0].tenant_id == TENANT
            assert letters[0].summary()["detail"] == "why"

    async def test_looks_at_no_more_than_the_limit(self, settings: ServiceSettings) -> None:
        assert len(await dead_letters.look(settings, QUEUE, Wanted(), 1)) == 1

    async def test_knows_the_brokers_own_reason(
        self, make_settings: Callable[..., ServiceSettings], declared: Publisher, bus: Bus
    ) -> None:
        await bus.send(deleted())
        queue = await bus.channel.get_queue(QUEUE.name)
        async with queue.iterator() as messages:
            await (await anext(messages)).reject(requeue=False)
        settings = make_settings()
        letters = await dead_letters.look(settings, QUEUE, Wanted(), 1)
        while not letters:
            letters = await dead_letters.look(settings, QUEUE, Wanted(), 1)
        assert letters[0].reason == "rejected"


class TestRedrive:
    async def test_sends_them_back_with_fresh_attempts(
        self, settings: ServiceSettings, bus: Bus
    ) -> None:
        assert await dead_letters.redrive(settings, QUEUE, Wanted(), 10) == 2
        for _ in range(2):
            back = await bus.take(QUEUE.name)
            stamps = {key for key in headers(back) if key.startswith("x-")}
            # Looking at a queue counts as a delivery to the broker.
            assert stamps - {"x-delivery-count"} == {"x-request-id"}
            assert headers(back)["event_type"] == "channel.deleted"
        assert await dead_letters.look(settings, QUEUE, Wanted(), 10) == []

    async def test_keeps_the_message_id_as_long_as_it_was(
        self, settings: ServiceSettings, declared: Publisher, bus: Bus
    ) -> None:
        """However often it dies and is sent back."""
        (first, _) = await dead_letters.look(settings, QUEUE, Wanted(), 10)
        wanted = Wanted(message_id=first.message_id)
        for _ in range(3):
            assert await dead_letters.redrive(settings, QUEUE, wanted, 1) == 1
            back = await bus.take(QUEUE.name)
            assert back.message_id == f"{first.message_id}#redriven"
            await declared.publish(
                QUEUE.exchange.dead_letters,
                QUEUE.name,
                back.body,
                message_id=back.message_id,
                headers=dict(back.headers),
            )

    async def test_goes_no_faster_than_it_may(self, settings: ServiceSettings) -> None:
        begun = time.monotonic()
        assert await dead_letters.redrive(settings, QUEUE, Wanted(), 10, rate=5) == 2
        assert time.monotonic() - begun >= 0.4


class TestWanted:
    @pytest.fixture
    async def many(self, settings: ServiceSettings, declared: Publisher) -> ServiceSettings:
        """Four letters: of two tenants, types and ages."""
        for number, (tenant_id, event_type, age) in enumerate(
            [(OTHER_TENANT, "channel.deleted", 10), (TENANT, "agent.created", 5000)]
        ):
            await declared.publish(
                QUEUE.exchange.dead_letters,
                QUEUE.name,
                b"{}",
                message_id=f"many-{number}#dead",
                headers={
                    "tenant_id": tenant_id,
                    "event_type": event_type,
                    "x-dead-reason": "retries_exhausted",
                    DIED_AT: int(time.time()) - age,
                },
            )
        return settings

    @pytest.mark.parametrize(
        ("wanted", "count"),
        [
            (Wanted(), 4),
            (Wanted(reason="retries_exhausted"), 3),
            (Wanted(tenant_id=OTHER_TENANT), 1),
            (Wanted(event_type="agent.created"), 1),
            (Wanted(older_than=3600), 3),
            (Wanted(younger_than=3600), 1),
            (Wanted(message_id="many-1"), 1),
            (Wanted(tenant_id=TENANT, reason="invalid_event"), 1),
            (Wanted(tenant_id=OTHER_TENANT, reason="invalid_event"), 0),
        ],
    )
    async def test_picks_by_everything_it_says(
        self, many: ServiceSettings, wanted: Wanted, count: int
    ) -> None:
        assert len(await dead_letters.look(many, QUEUE, wanted, 10)) == count

    async def test_sends_back_those_alone_and_leaves_the_others_in_their_place(
        self, many: ServiceSettings, bus: Bus
    ) -> None:
        before = await dead_letters.look(many, QUEUE, Wanted(), 10)
        wanted = Wanted(tenant_id=OTHER_TENANT)
        assert await dead_letters.redrive(many, QUEUE, wanted, 10) == 1
        after = await dead_letters.look(many, QUEUE, Wanted(), 10)
        assert [a.message_id for a in after] == [
            b.message_id for b in before if b.tenant_id != OTHER_TENANT
        ]
        assert await bus.depth(QUEUE.name) == 1

    async def test_drops_those_alone_and_gives_them_out(self, many: ServiceSettings) -> None:
        (dropped,) = await dead_letters.drop(many, QUEUE, Wanted(event_type="agent.created"), 10)
        assert (dropped["message_id"], dropped["body"]) == ("many-1", "{}")
        assert dropped["headers"]["tenant_id"] == TENANT
        assert len(await dead_letters.look(many, QUEUE, Wanted(), 10)) == 3
