import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage
from crm_scratch import eventually
from crm_scratch.bus import RETRY_DELAYS, Bus, deleted, headers, message
from crm_scratch.consuming import inbox_rows, names, settled, stored
from crm_scratch.things import OTHER_TENANT, QUEUE, TENANT, insert_thing, store_deleted
from service_kit.database import Database, Transaction
from service_kit.errors import PoisonError
from service_kit.incoming import (
    Event,
    EventHandler,
    read_bytes,
    taken_by,
)
from shared_events import registry
from shared_events.channels.channel import ChannelDeleted


class TestExactlyOnce:
    async def test_applies_duplicates_in_one_batch_once(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        same = deleted()
        await bus.send(*[same] * 50, deleted())
        await consuming()
        await eventually(stored(database, 2))
        await eventually(settled(bus))
        assert len(await names(database)) == 2
        assert await inbox_rows(database) == 2

    async def test_applies_a_late_duplicate_never(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        same, last = deleted(), deleted()
        await consuming()
        await bus.send(same)
        await eventually(stored(database, 1))
        await bus.send(same, same, last)
        await eventually(stored(database, 2))
        assert await inbox_rows(database) == 2

    async def test_applies_once_with_two_consumers_of_one_purpose(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        await consuming()
        await consuming()
        messages = [deleted() for _ in range(100)]
        await bus.send(*(each for each in messages for _ in range(2)))
        await eventually(stored(database, 100))
        await eventually(settled(bus))
        assert await inbox_rows(database) == 100

    async def test_takes_its_inbox_row_away_with_a_failed_effect(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        failures = iter([True])

        async def fail_once(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            await store_deleted(tx, events)
            if next(failures, False):
                raise RuntimeError("a bug that passes")

        await consuming(fail_once)
        await bus.send(deleted())
        await eventually(stored(database, 1))
        assert await bus.depth(QUEUE.dead_letters.name) == 0


class TestOrder:
    async def test_is_kept_over_two_thousand_messages(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        seen: list[UUID] = []

        async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            seen.extend(event.data.channel_id for event in events)

        sent = [uuid4() for _ in range(2000)]
        await asyncio.gather(*(bus.send(deleted(each)) for each in sent[:500]))
        await consuming(note)
        for start in range(500, 2000, 250):
            await asyncio.gather(*(bus.send(deleted(each)) for each in sent[start : start + 250]))
        await eventually(lambda: len(seen) == 2000)
        assert seen == sent

    async def test_is_kept_per_tenant_when_tenants_mix_in_a_batch(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        seen: dict[str, list[UUID]] = {TENANT: [], OTHER_TENANT: []}

        async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            assert {event.tenant_id for event in events} == {tx.tenant_id}
            seen[tx.tenant_id].extend(event.data.channel_id for event in events)

        sent = [(uuid4(), (TENANT, OTHER_TENANT)[n % 2]) for n in range(200)]
        await bus.send(*(deleted(each, tenant_id=tenant) for each, tenant in sent))
        await consuming(note)
        await eventually(lambda: sum(map(len, seen.values())) == 200)
        for tenant_id, ids in seen.items():
            assert ids == [each for each, tenant in sent if tenant == tenant_id]

    async def test_survives_a_channel_that_is_lost_in_the_middle(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]], vhost: str
    ) -> None:
        release = asyncio.Event()

        async def wait(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            await release.wait()
            await store_deleted(tx, events)

        sent = [uuid4() for _ in range(30)]
        await bus.send(*map(deleted, sent))
        await consuming(wait)
        await eventually(settled(bus))
        found = await bus.channel.get_queue(QUEUE.name)
        await found.delete(if_unused=False, if_empty=False)  # the consumer's channel notices
        release.set()
        await eventually(stored(database, 30))


def noting(sizes: list[int]) -> EventHandler[ChannelDeleted]:
    """A handler that only notes how many messages it was given at once."""

    async def note(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
        sizes.append(len(events))

    return note


class TestBatch:
    async def test_is_gathered_for_as_long_as_the_queue_may_linger(
        self, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        sizes: list[int] = []
        await consuming(noting(sizes), batch_timeout_ms=500)
        for _ in range(10):  # one after the other: each is confirmed before the next is sent
            await bus.send(deleted())
        await eventually(lambda: sum(sizes) == 10)
        assert len(sizes) < 5  # one where nothing holds the sender up for so long

    async def test_that_is_full_waits_no_longer(
        self, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        sizes: list[int] = []
        await consuming(noting(sizes), batch_timeout_ms=3_600_000, max_records=10)
        await bus.send(*(deleted() for _ in range(20)))
        await eventually(lambda: sum(sizes) == 20)
        assert sizes == [10, 10]


class TestPoison:
    @pytest.mark.parametrize(
        ("poison", "reason"),
        [
            (message(b"not json"), "invalid_event"),
            (message(b"\xff\xfe\x00"), "invalid_event"),
            (message(b'{"event_id": 1}'), "invalid_event"),
            (message(b"{}", event_version="9"), "unsupported_version"),
            (message(b"{}", event_type="nothing.known"), "unknown_event"),
            (aio_pika.Message(b"{}"), "unknown_event"),
            (deleted(tenant_id="x' --"), "invalid_event"),
        ],
    )
    async def test_goes_to_the_dead_letters_at_once_and_blocks_nobody(
        self,
        database: Database,
        bus: Bus,
        consuming: Callable[..., Awaitable[None]],
        poison: aio_pika.Message,
        reason: str,
    ) -> None:
        await consuming()
        await bus.send(deleted(), poison, deleted())
        letter = await bus.dead_letter()
        assert headers(letter)["x-dead-reason"] == reason
        assert letter.body == poison.body
        await eventually(stored(database, 2))

    async def test_found_by_the_handler_goes_there_too(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        bad = uuid4()

        async def refuse(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            await store_deleted(tx, events)
            if any(event.data.channel_id == bad for event in events):
                raise PoisonError("not_for_us", "that channel")

        await bus.send(*(deleted() for _ in range(5)), deleted(bad), *(deleted() for _ in range(5)))
        await consuming(refuse)
        letter = await bus.dead_letter()
        assert headers(letter)["x-dead-reason"] == "not_for_us"
        await eventually(stored(database, 10))
        assert str(bad) not in await names(database)

    async def test_includes_whatever_a_decoder_chokes_on(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        def choke(taken: AbstractIncomingMessage) -> Any:
            raise KeyError(taken.body)

        await consuming(decode=choke)
        await bus.send(deleted())
        assert headers(await bus.dead_letter())["x-dead-reason"] == "undecodable"

    async def test_says_where_an_event_is_wrong_and_not_what_it_held(
        self, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        body = deleted().body.replace(b'"aggregate_seq":1', b'"aggregate_seq":"+5511987654321x"')
        await consuming()
        await bus.send(message(body))
        detail = headers(await bus.dead_letter())["x-last-error"]
        assert "aggregate_seq" in detail
        assert "5511987654321" not in detail


class TestUnknownEvent:
    async def test_is_left_to_replicas_that_may_know_it(
        self,
        database: Database,
        bus: Bus,
        consuming: Callable[..., Awaitable[None]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """In a rolling update old code meets new events: they wait, and new code takes them."""
        known = registry.BY_TYPE
        before = {key: event for key, event in known.items() if event is not ChannelDeleted}
        monkeypatch.setattr(registry, "BY_TYPE", before)
        await consuming()
        await bus.send(deleted())
        retry = f"scratch.retry.{int(RETRY_DELAYS[1] * 1000)}ms"
        await eventually(lambda: delayed(bus, retry))
        monkeypatch.setattr(registry, "BY_TYPE", known)
        await eventually(stored(database, 1))
        assert await bus.depth(QUEUE.dead_letters.name) == 0


async def delayed(bus: Bus, queue: str) -> bool:
    return await bus.depth(queue) > 0


class TestFailingHandler:
    async def test_is_retried_with_delays_then_dead_lettered_with_its_reason(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        bad, attempts = uuid4(), []

        async def fail(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            if any(event.data.channel_id == bad for event in events):
                if len(events) == 1:
                    attempts.append(events[0].headers.get("x-attempt", 0))
                raise RuntimeError("a bug")
            await store_deleted(tx, events)

        await consuming(fail)
        await bus.send(deleted(bad), deleted())
        letter = headers(await bus.dead_letter())
        assert letter["x-dead-reason"] == "retries_exhausted"
        assert letter["x-last-error"] == "RuntimeError"
        assert sorted(set(attempts)) == [0, 1, 2]
        assert len(await names(database)) == 1

    async def test_succeeds_on_a_later_attempt(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        attempts: list[int] = []

        async def fail_twice(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            attempts.append(1)
            if len(attempts) < 3:
                raise RuntimeError("not yet")
            await store_deleted(tx, events)

        await consuming(fail_twice)
        await bus.send(deleted())
        await eventually(stored(database, 1))
        assert len(attempts) == 3
        assert await bus.depth(QUEUE.dead_letters.name) == 0


async def nothing(tx: Transaction, events: Sequence[Any]) -> None:
    """No effect at all."""


async def _two_values_for_one(tx: Transaction) -> None:
    await tx.fetchval("SELECT $1::int", 1, 2)


async def _an_end_of_the_connection(tx: Transaction) -> None:
    await tx.execute("SELECT pg_terminate_backend(pg_backend_pid())")


async def _a_missing_file(tx: Transaction) -> None:
    del tx
    raise FileNotFoundError("template.txt")


async def _a_statement_without_end(tx: Transaction) -> None:
    await tx.execute("SET LOCAL statement_timeout = 50")
    await tx.execute("SELECT pg_sleep(10)")


class TestCulprit:
    @pytest.mark.parametrize(
        "does",
        [
            _two_values_for_one,
            _an_end_of_the_connection,
            _a_missing_file,
            _a_statement_without_end,
        ],
    )
    async def test_is_parted_from_its_neighbours_whatever_it_looks_like(
        self,
        database: Database,
        bus: Bus,
        consuming: Callable[..., Awaitable[None]],
        does: Callable[[Transaction], Awaitable[None]],
    ) -> None:
        """The database is there, so what the message does to it is no outage."""
        culprit = uuid4()

        async def handle(tx: Transaction, events: Sequence[Event[ChannelDeleted]]) -> None:
            await store_deleted(tx, events)
            if any(event.data.channel_id == culprit for event in events):
                await does(tx)

        await bus.send(*(deleted() for _ in range(11)), deleted(culprit))
        await bus.send(*(deleted(tenant_id=OTHER_TENANT) for _ in range(12)))
        await consuming(handle)
        letter = headers(await bus.dead_letter())
        assert letter["x-dead-reason"] == "retries_exhausted"
        assert len(await names(database)) == 11
        async with database.tenant(OTHER_TENANT) as tx:
            assert await tx.fetchval("SELECT count(*) FROM things") == 12


class TestReadBytes:
    async def test_hands_over_the_bytes_as_they_came(
        self, database: Database, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        async def keep(tx: Transaction, events: Sequence[Any]) -> None:
            for event in events:
                await insert_thing(tx, event.id, event.body.decode())

        await consuming(decode=taken_by(keep, read_bytes))
        await bus.send(message(b"anything", event_type="not.known"), message(b"", event_id=uuid4()))
        await eventually(stored(database, 2))
        assert "anything" in await names(database)

    async def test_refuses_what_has_no_event_id(
        self, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        await consuming(decode=taken_by(nothing, read_bytes))
        await bus.send(aio_pika.Message(b"x", headers={"event_id": 7, "tenant_id": TENANT}))
        assert headers(await bus.dead_letter())["x-dead-reason"] == "invalid_headers"

    async def test_refuses_a_tenant_id_that_cannot_be_one(
        self, bus: Bus, consuming: Callable[..., Awaitable[None]]
    ) -> None:
        await consuming(decode=taken_by(nothing, read_bytes))
        await bus.send(message(b"x", tenant_id="x' --"))
        assert headers(await bus.dead_letter())["x-dead-reason"] == "invalid_tenant"
