"""The feed of an agent that sees only its own: by who has the session now, whatever came when."""

from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import orjson
import pytest
from crm_testing.costs import plan_of
from crm_testing.schemas import Databases, MigratedDatabase
from crm_webhooks.event_log import feed, requests
from crm_webhooks.event_log.consumer import log_events
from service_kit.calls import Call
from service_kit.cause import Cause
from service_kit.database import Database
from service_kit.errors import NotFoundError
from service_kit.incoming import Incoming
from shared_events import examples
from shared_events.requests import Principal
from shared_events.webhooks.event import FollowEvents, GetEvent, ListEvents

ME, COLLEAGUE = uuid4(), uuid4()
MINE, FREE, THEIRS, UNTOLD = (uuid4() for _ in range(4))


@pytest.fixture
async def fresh(databases: Databases) -> MigratedDatabase:
    return await databases.create()


@pytest.fixture
async def database(fresh: MigratedDatabase) -> AsyncIterator[Database]:
    async with fresh.connected(pool_size=4) as database:
        yield database


def event(tenant_id: str, event_type: str, aggregate_id: UUID, **data: Any) -> Incoming[Any]:
    event_id, envelope = uuid4(), examples.load(event_type)
    named = {"event_id": event_id, "tenant_id": tenant_id, "aggregate_id": aggregate_id}
    body = orjson.dumps({**envelope, **named, "data": {**envelope["data"], **data}})
    return Incoming(event_id, tenant_id, body, {}, Cause())


def told(
    tenant_id: str, session_id: UUID, agent: UUID | None, version: int = 1, what: str = "assigned"
) -> Incoming[Any]:
    """A session's event, which says who has it."""
    session = examples.load(f"session.{what}")["data"]["session"]
    said = {**session, "id": session_id, "assigned_agent_id": agent, "version": version}
    return event(tenant_id, f"session.{what}", session_id, session=said)


async def write(database: Database, *events: Incoming[Any]) -> None:
    async with database.tenants(sorted({e.tenant_id for e in events})) as tx:
        await log_events(tx, events)


class Reader:
    """An agent of a company; `pages` is how many times it asked."""

    def __init__(self, database: Database, tenant_id: str, user_id: UUID = ME) -> None:
        self.database, self.tenant_id, self.pages = database, tenant_id, 0
        who = Principal(tenant_id=tenant_id, user_id=user_id, permissions=("*",), own_only=True)
        self.call = Call(who, "request-1")

    async def listed(self, **fields: Any) -> list[UUID]:
        """The whole feed, page by page."""
        found: list[UUID] = []
        cursor, has_more = None, True
        while has_more:
            request = ListEvents(after=cursor, **fields)
            async with self.database.tenant(self.tenant_id, read_only=True) as tx:
                page = await requests.list_events(tx, request, self.call)
            found += [e.id for e in page.data]
            cursor, has_more, self.pages = page.next_cursor, page.has_more, self.pages + 1
        return found

    async def followed(self) -> list[UUID]:
        found: list[UUID] = []
        cursor, has_more = "0", True
        while has_more:
            async with self.database.tenant(self.tenant_id, read_only=True) as tx:
                page = await requests.follow(tx, FollowEvents(after=cursor), self.call)
            found += [e.event.id for e in page.data]
            cursor, has_more = page.next_cursor, page.has_more
        return found

    async def got(self, ids: Iterable[UUID]) -> list[UUID]:
        found = []
        for event_id in ids:
            async with self.database.tenant(self.tenant_id, read_only=True) as tx:
                with suppress(NotFoundError):
                    shown = await requests.get(tx, GetEvent(event_id=event_id), self.call)
                    found.append(shown.id)
        return found


async def test_is_of_sessions_one_has_or_nobody_has(database: Database) -> None:
    """In two companies, whose sessions have the same ids and other holders."""
    feeds = {}
    for tenant, mine, theirs in (("ours", ME, COLLEAGUE), ("others", COLLEAGUE, ME)):
        said = [event(tenant, "message.received", s) for s in (MINE, FREE, THEIRS, UNTOLD)]
        whose = [told(tenant, MINE, mine), told(tenant, FREE, None), told(tenant, THEIRS, theirs)]
        read = [
            event(tenant, "conversation.read", uuid4(), read_by=by) for by in (ME, COLLEAGUE, None)
        ]
        feeds[tenant] = [*said, *whose, *read, event(tenant, "contact.created", uuid4())]
    await write(database, *feeds["ours"][:5], *feeds["others"], *feeds["ours"][5:])
    for tenant, hers in (("ours", MINE), ("others", THEIRS)):
        ids = [e.id for e in feeds[tenant]]
        reader = Reader(database, tenant)
        her = 0 if hers == MINE else 2
        expected = [ids[n] for n in sorted({her, 1, 4 + her, 5, 7, 10})]
        assert await reader.listed() == expected
        assert await reader.listed(limit=1) == expected
        assert await reader.followed() == expected
        assert await reader.got(ids) == expected
        assert await reader.listed(types=["message.*"]) == [ids[n] for n in sorted({her, 1})]
        assert await reader.listed(aggregate_id=hers) == [ids[her], ids[4 + her]]
        for hidden in {MINE, THEIRS, UNTOLD} - {hers}:
            assert await reader.listed(aggregate_id=hidden) == []


async def test_goes_by_the_newest_word_whatever_comes_when(database: Database) -> None:
    said = event("ours", "message.received", MINE)
    me, colleague = Reader(database, "ours"), Reader(database, "ours", COLLEAGUE)

    async def seen() -> tuple[bool, bool]:
        return said.id in await me.listed(), said.id in await colleague.listed()

    await write(database, said)
    assert await seen() == (False, False)
    await write(database, told("ours", MINE, None, 1, "started"))
    assert await seen() == (True, True)
    given = told("ours", MINE, COLLEAGUE, 3)
    await write(database, given, told("ours", MINE, ME, 2))
    assert await seen() == (False, True)
    await write(database, told("ours", MINE, ME, 2))  # late, by another process
    assert await seen() == (False, True)
    await write(database, told("ours", MINE, ME, 4), told("ours", MINE, COLLEAGUE, 3))
    assert await seen() == (True, False)
    await write(database, given)  # again
    await write(database, told("ours", MINE, ME, 5, "closed"))
    assert await seen() == (True, False)


async def test_a_page_costs_the_same_however_little_of_the_feed_one_sees(
    database: Database, fresh: MigratedDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "WINDOW", 50)
    last = event("ours", "message.received", FREE)
    others = [event("ours", "message.received", THEIRS) for _ in range(400)]
    await write(database, told("ours", THEIRS, COLLEAGUE), told("ours", FREE, None), *others, last)
    reader = Reader(database, "ours")
    assert (await reader.listed())[-1] == last.id
    assert reader.pages == 9
    assert (await reader.followed())[-1] == last.id
    admin = await asyncpg.connect(fresh.admin_url)
    await admin.execute("VACUUM ANALYZE webhooks.domain_event_log")
    await admin.close()
    async with database.tenant("ours") as tx:
        request = ListEvents(types=["message.received"], after="2")
        plan = await plan_of(tx, requests.list_events(tx, request, reader.call))
        assert "domain_event_log" not in plan.whole
        assert plan.rows < 120, plan  # fifty events, and who has the session of each
