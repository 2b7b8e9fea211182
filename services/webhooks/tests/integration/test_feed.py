"""The feed: everything once, in order, without gaps, and each only their own."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_testing.costs import statements
from crm_testing.scenes.webhooks import Tenant
from crm_testing.schemas import Databases, MigratedDatabase
from crm_testing.services import eventually
from crm_webhooks.event_log import feed
from crm_webhooks.event_log.consumer import log_events
from crm_webhooks.event_log.retention import purge_log
from crm_webhooks.event_log.visibility import visible
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.errors import ConflictError, MalformedError
from service_kit.incoming import Incoming
from shared_events import examples, registry
from shared_events.requests import Principal, Reply
from shared_events.webhooks.event import EventPage, GetEvent, ListEvents

TYPE = "contact.created"
EVERY = [event.event_type for event in registry.PUBLIC]


async def asked(tenant: Tenant, request: Any, *granted: str) -> Reply:
    """The answer to somebody of this company with these permissions."""
    principal = Principal(tenant_id=tenant.id, permissions=granted)
    return await tenant.outside.client.call(request, principal=principal, correlation_id="req")


async def listed(tenant: Tenant, *granted: str, **fields: Any) -> dict[str, Any]:
    reply = await asked(tenant, ListEvents.model_validate(fields), *(granted or ("*",)))
    assert reply.value is not None, reply.problem
    return reply.value


async def logged(tenant: Tenant, event_id: str) -> dict[str, Any]:
    """The whole feed, once this event is in it."""

    async def there() -> dict[str, Any] | None:
        page = await listed(tenant, limit=100)
        return page if event_id in {event["id"] for event in page["data"]} else None

    found: dict[str, Any] = await eventually(there)
    return found


class TestOverTheBus:
    async def test_has_what_webhooks_get_in_the_same_envelope(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        assert await listed(mine) == {"data": [], "has_more": False, "next_cursor": "0"}
        await mine.endpoint(receiver.url, event_types=["contact.*"])
        await other.publish_contact_created()
        sent = [await mine.publish_contact_created(times=3)]
        await mine.publish_anything(registry.BY_TYPE["channel.message_received", "1"], {})
        for text in ("x" * 4096, "z"):  # one after the other: the queue is shared, not ordered
            await logged(mine, sent[-1])
            data = {"text": text, "n": 2**53 - 1, "ç": ['"/\\', None]}
            sent.append(await mine.publish_anything(registry.BY_TYPE["contact.updated", "1"], data))
        page = await logged(mine, sent[-1])
        assert [event["id"] for event in page["data"]] == sent
        pushed = await receiver.wait_for_count(3)
        bodies = {request.id: request.json for request in pushed}
        assert [bodies[event["id"]] for event in page["data"]] == page["data"]

        first = await listed(mine, limit=1)
        assert (first["data"], first["has_more"]) == (page["data"][:1], True)
        for after in (first["next_cursor"], sent[0]):
            assert (await listed(mine, after=after))["data"] == page["data"][1:]
        end = await listed(mine, after=page["next_cursor"])
        assert end == {"data": [], "has_more": False, "next_cursor": page["next_cursor"]}
        wanted = await listed(mine, types=["contact.updated,message.*"], limit=1)
        assert ([e["id"] for e in wanted["data"]], wanted["has_more"]) == (sent[1:2], True)
        story = await listed(mine, aggregate_id=page["data"][0]["data"]["contact"]["id"])
        assert sent[0] not in {e["id"] for e in story["data"]}  # its aggregate is another

        one = await asked(mine, GetEvent(event_id=UUID(sent[0])), "contacts.read")
        assert one.value and one.value.items() >= page["data"][0].items()
        for whose, event_id, granted in (
            (other, sent[0], "*"),
            (mine, sent[0], "messages.*"),
            (mine, str(uuid4()), "*"),
        ):
            problem = (await asked(whose, GetEvent(event_id=UUID(event_id)), granted)).problem
            assert problem and (problem.kind, problem.code) == ("not_found", "event_not_found")
        assert (await listed(mine, "messages.*", "sessions.read"))["data"] == []
        assert (await listed(mine, "contacts.read"))["data"] == page["data"]
        for field, value, code in (
            ("after", sent[0][:-1], "invalid_cursor"),
            ("after", "9" * 100, "invalid_cursor"),
            ("after", (await logged(mine, sent[0]))["next_cursor"] + "0", "invalid_cursor"),
            ("types", ["contact.exploded"], "unknown_event_type"),
        ):
            problem = (await asked(mine, ListEvents.model_validate({field: value}), "*")).problem
            assert problem and code in (problem.code, *(e.code for e in problem.errors))
        foreign = (await asked(other, ListEvents(after=sent[0]), "*")).problem
        assert foreign and foreign.code == "invalid_cursor"


class TestVisibility:
    def test_is_of_what_one_may_read(self) -> None:
        assert set(visible(["*"])) == set(EVERY)
        assert set(visible([])) == set()
        assert {e.partition(".")[0] for e in visible(["contacts.*", "sessions.read"])} >= {
            "contact",
            "session",
        }
        assert "message.received" not in set(visible(["contacts.*", "messages.send"]))


@pytest.fixture
async def fresh(databases: Databases) -> MigratedDatabase:
    return await databases.create()


@pytest.fixture
async def database(fresh: MigratedDatabase) -> AsyncIterator[Database]:
    async with fresh.connected(pool_size=4) as database:
        yield database


def event(tenant_id: str, event_type: str = TYPE) -> Incoming[Any]:
    event_id, envelope = uuid4(), examples.load(event_type)
    named = {"event_id": event_id, "tenant_id": tenant_id, "event_type": event_type}
    return Incoming(event_id, tenant_id, orjson.dumps({**envelope, **named}), {}, Cause())


async def write(database: Database, events: list[Incoming[Any]]) -> None:
    async with database.tenants(sorted({e.tenant_id for e in events})) as tx:
        await log_events(tx, events)


async def read(database: Database, tenant_id: str, **fields: Any) -> EventPage:
    async with database.tenant(tenant_id, read_only=True) as tx:
        return await feed.page(tx, ListEvents.model_validate(fields), EVERY)


class TestGaps:
    async def test_nothing_appears_behind_the_cursor(self, database: Database) -> None:
        """The first writer is slow to commit; the second must not be seen before it."""
        early, late = event("ours"), event("ours")
        async with database.tenants(["ours", "theirs"]) as tx:
            await log_events(tx, [event("theirs"), early])
            second = asyncio.create_task(write(database, [late]))

            async def waits() -> bool:
                async with database.acquire() as observer:
                    return bool(
                        await observer.fetchval(
                            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                            " AND datname = current_database()"
                        )
                    )

            await eventually(waits)
            page = await read(database, "ours")
            assert (page.data, page.next_cursor) == ([], "0")
        await second
        assert [e.id for e in (await read(database, "ours", after="0")).data] == [early.id, late.id]

    async def test_a_reader_misses_none_of_many_writers(self, database: Database) -> None:
        """Batches of several companies at once, some of them told twice, while two read on."""
        chance = random.Random(10)
        companies = ["ours", "theirs", "others"]
        batches = [[event(chance.choice(companies)) for _ in range(12)] for _ in range(25)]
        batches += [[*batches[n], event("ours")] for n in (3, 9)]
        seen: dict[str, list[UUID]] = {"ours": [], "theirs": []}
        writing = asyncio.gather(*(write(database, batch) for batch in batches))

        async def follow(tenant_id: str) -> None:
            cursor, finished = None, False
            while not finished:
                finished = writing.done()
                page = await read(database, tenant_id, after=cursor, limit=7)
                seen[tenant_id] += [e.id for e in page.data]
                finished, cursor = finished and not page.has_more, page.next_cursor

        await asyncio.gather(writing, *map(follow, seen))
        for tenant_id, ids in seen.items():
            told = {e.id for batch in batches for e in batch if e.tenant_id == tenant_id}
            assert len(ids) == len(set(ids)) == len(told)
            assert set(ids) == told

    async def test_writers_that_know_no_places_leave_none(
        self, database: Database, fresh: MigratedDatabase
    ) -> None:
        """As a process of the version before does while a deployment rolls."""
        first, last = event("ours"), event("ours")
        await write(database, [first])
        old = await asyncpg.connect(fresh.url, server_settings={"search_path": "webhooks"})
        async with old.transaction():
            await old.execute("SET LOCAL app.tenant_id = 'ours,theirs'")
            await old.execute(
                "INSERT INTO domain_event_log (event_id, event_type, aggregate_id, aggregate_type,"
                " tenant_id, payload, occurred_at) SELECT gen_random_uuid(), $1, gen_random_uuid(),"
                " 'contact', unnest($2::text[]), '{}', now()",
                TYPE,
                ["ours", "theirs", "ours"],
            )
        await old.close()
        await write(database, [last])
        ids = [e.id for e in (await read(database, "ours")).data]
        assert (len(ids), ids[0], ids[-1]) == (4, first.id, last.id)
        assert (await read(database, "theirs")).next_cursor == "1"


class TestCost:
    async def test_of_a_batch_is_the_same_for_two_companies_and_for_sixty(
        self, database: Database
    ) -> None:
        costs = [
            await statements(database, log_events, [event(f"{count}-{n}") for n in range(count)])
            for count in (1, 2, 60)
        ]
        assert costs[1] == costs[2] <= 2

    async def test_of_a_page_does_not_grow_with_the_log(
        self, database: Database, fresh: MigratedDatabase
    ) -> None:
        """A rare type and a rare aggregate are found without reading what lies before them."""
        rare = event("ours", "session.expired")
        admin = await asyncpg.connect(fresh.admin_url)
        await admin.execute(
            "INSERT INTO webhooks.domain_event_log (event_id, event_type, aggregate_id,"
            " aggregate_type, tenant_id, payload, occurred_at, seq)"
            " SELECT gen_random_uuid(), $1, gen_random_uuid(), 'contact', 'ours', '{}', now(), n"
            " FROM generate_series(1, 5000) AS n",
            TYPE,
        )
        await admin.execute("INSERT INTO webhooks.event_log_heads VALUES ('ours', 5000)")
        await admin.close()
        await write(database, [rare])
        aggregate = orjson.loads(rare.body)["aggregate_id"]
        values = ("ours", ["session.expired"], 0, 5001, 51)
        async with database.tenant("ours") as tx:
            for statement, given in ((feed.PAGE, values), (feed.STORY, (*values, aggregate))):
                plan = await tx.fetch(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", *given)
                text = "\n".join(line for (line,) in plan)
                assert "Seq Scan" not in text
                assert "Rows Removed" not in text, text
        for fields in ({"types": ["session.*"]}, {"aggregate_id": aggregate}):
            async with database.tenant("ours") as tx:
                page = await feed.page(tx, ListEvents.model_validate(fields), ["session.expired"])
            assert [e.id for e in page.data] == [rare.id]


class TestRetention:
    async def test_tells_a_cursor_that_lost_its_sequel(
        self, database: Database, fresh: MigratedDatabase
    ) -> None:
        old, young = [event("ours") for _ in range(3)], event("ours")
        await write(database, [*old, event("theirs")])
        first = await read(database, "ours", limit=1)
        admin = await asyncpg.connect(fresh.admin_url)
        await admin.execute(
            "UPDATE webhooks.domain_event_log SET recorded_at = now() - interval '31 days'"
            " WHERE tenant_id = 'ours'"
        )
        await admin.close()
        end = (await read(database, "ours")).next_cursor
        await write(database, [young])
        assert await purge_log(database, days=30) == 3
        assert await purge_log(database, days=30) == 0
        with pytest.raises(ConflictError) as expired:
            await read(database, "ours", after=first.next_cursor)
        assert expired.value.problem.code == "cursor_expired"
        with pytest.raises(MalformedError):
            await read(database, "ours", after=str(old[0].id))
        for after in (None, end):  # who had read all of it has lost nothing
            assert [e.id for e in (await read(database, "ours", after=after)).data] == [young.id]
        assert len((await read(database, "theirs")).data) == 1
