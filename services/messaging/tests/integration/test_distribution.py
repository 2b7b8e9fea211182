"""Sessions that come to agents by themselves: the oldest first, to whom, how many, and when."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.replicas.consumers import on_agent_changed, on_settings_updated
from crm_messaging.sessions import distribution, service
from crm_messaging.sessions.assigner import Assigner
from crm_testing.costs import counting
from crm_testing.scenes.messaging import PHONE, Scene, session_id_of
from crm_testing.services import eventually
from service_kit.database import Database
from shared_events import examples
from shared_events.gateway.agent import Agent, AgentUpdated, Role
from shared_events.gateway.company import AutoAssignment, CompanySettings, SettingsUpdated

AGENTS = tuple(UUID(int=n) for n in (1, 2, 3))
"""In every company."""


class Office:
    """A company with agents; what is told of it is newer each time."""

    def __init__(self, database: Database) -> None:
        self.scene, self.database, self.seq, self.people = Scene(database), database, 0, 0

    async def works(self, mode: AutoAssignment, at_most: int = 2) -> None:
        example = examples.load("settings.updated")["data"]["settings"]
        changed = {**example, "auto_assignment": mode, "sessions_per_agent": at_most}
        told = SettingsUpdated(settings=CompanySettings.model_validate(changed))
        self.seq += 1
        await self.scene.apply(on_settings_updated, told, seq=self.seq)

    async def employs(self, *agents: UUID, active: bool = True, role: Role = "agent") -> None:
        example = examples.load("agent.updated")["data"]["agent"]
        for one in agents:
            agent = Agent.model_validate({**example, "id": one, "active": active, "role": role})
            self.seq += 1
            await self.scene.apply(on_agent_changed, AgentUpdated(agent=agent), seq=self.seq)

    async def is_written_to(self, people: int = 1) -> None:
        """So many new people write, one after the other."""
        for _ in range(people):
            self.people += 1
            said = self.scene.received(phone=f"{PHONE[:-2]}{self.people:02}")
            await self.scene.apply(on_message_received, said)

    async def assigned(self) -> list[UUID | None]:
        """Who has each active session, the oldest first."""
        rows = [row for row in await self.scene.sessions() if row["status"] == "active"]
        return [row["assigned_agent_id"] for row in rows]

    async def told(self) -> list[dict[str, Any]]:
        """What was said of sessions that came by themselves."""
        rows = [row for row in await self.scene.outbox() if row["event_type"] == "session.assigned"]
        assert len({session_id_of(row) for row in rows}) == len(rows)
        return [row["payload"] for row in rows]

    async def act(self, what: Callable[..., Awaitable[Any]], n: int, *given: Any) -> None:
        """Do something with the active session at this place."""
        rows = [row for row in await self.scene.sessions() if row["status"] == "active"]
        async with self.database.tenant(self.scene.tenant_id) as tx:
            more = {"expected_version": None} if what is service.assign else {}
            await what(tx, rows[n]["id"], *given, **more)


async def all_of_it(database: Database) -> int:
    """Work on until there is nothing to do; how many sessions were given."""
    total, is_more = 0, True
    while is_more:
        given, is_more = await distribution.once(database)
        total += given
    return total


@pytest.mark.parametrize("mode", ["round_robin", "least_busy"])
async def test_the_oldest_come_to_those_who_have_room_each_once_whoever_works(
    database: Database, mode: AutoAssignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two companies, by three processes at once, a few at a time."""
    monkeypatch.setattr(distribution, "COMPANIES_AT_ONCE", 1)
    pair = Office(database), Office(database)
    for office in pair:
        await office.employs(*AGENTS)
        await office.employs(UUID(int=4), active=False)
        await office.employs(UUID(int=5), role="supervisor")
        await office.is_written_to(9)
    assert await distribution.once(database) == (0, False)
    for office in pair:
        await office.works(mode, at_most=2)
    given = await asyncio.gather(*(all_of_it(database) for _ in range(3)))
    assert sum(given) == 12
    for office in pair:
        assigned = await office.assigned()
        assert Counter(assigned[:6]) == dict.fromkeys(AGENTS, 2)
        assert assigned[6:] == [None] * 3
        assert assigned[:3] == list(AGENTS)
        said = await office.told()
        assert len(said) == 6
        assert {(one["reason"], one["previous_agent_id"]) for one in said} == {(mode, None)}
        assert [one["session"]["assigned_agent_id"] for one in said] == [
            str(agent) for agent in assigned[:6]
        ]
        shown = await office.scene.rows("SELECT assigned_agent_id FROM conversations")
        assert Counter(row[0] for row in shown) == Counter([*AGENTS, *AGENTS, None, None, None])


async def test_goes_on_behind_who_was_last_and_counts_what_people_gave(database: Database) -> None:
    office = Office(database)
    await office.employs(*AGENTS)
    await office.works("round_robin", at_most=3)
    await office.is_written_to(2)
    assert await all_of_it(database) == 2
    await office.works("round_robin", at_most=3)  # told again, it goes on all the same
    await office.is_written_to(2)
    assert await all_of_it(database) == 2
    one, two, three = AGENTS
    assert await office.assigned() == [one, two, three, one]
    await office.act(service.assign, 1, one)
    await office.act(service.assign, 2, one)
    await office.works("least_busy", at_most=3)
    await office.is_written_to(7)
    assert await all_of_it(database) == 6
    assert Counter(await office.assigned()) == {one: 4, two: 3, three: 3, None: 1}
    await office.works("off")
    await office.employs(UUID(int=9))
    assert await distribution.once(database) == (0, False)


async def test_one_that_is_being_written_in_is_waited_for_by_nobody(database: Database) -> None:
    office, other = Office(database), Office(database)
    for each in (office, other):
        await each.employs(*AGENTS)
        await each.works("least_busy")
        await each.is_written_to(2)
    held = (await office.scene.sessions())[0]["id"]
    async with database.tenant(office.scene.tenant_id) as tx:
        await tx.execute("SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE", held)
        assert await distribution.once(database) == (3, True)
        assert await distribution.once(database) == (0, True)
    assert await all_of_it(database) == 1


@asynccontextmanager
async def awake(scene: Scene) -> AsyncIterator[None]:
    """Two processes that give and take."""
    tasks = [asyncio.create_task(Assigner(scene.database).run()) for _ in range(2)]
    heard = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%assigner'"

    async def listening() -> bool:
        return len(await scene.rows(heard)) >= 2

    try:
        await eventually(listening)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_whatever_gives_work_wakes_who_does_it(database: Database) -> None:
    """Nobody looks by himself within the time a test has."""
    office, (one, two, _) = Office(database), AGENTS
    await office.is_written_to()

    async def until(*assigned: UUID | None) -> None:
        async def there() -> bool:
            return await office.assigned() == list(assigned)

        await eventually(there)

    async with awake(office.scene):
        await office.works("least_busy", at_most=2)
        await office.employs(one)  # somebody is there
        await until(one)
        await office.is_written_to(2)  # a session starts
        await until(one, one, None)
        await office.act(service.end, 0, "resolved")  # an agent gets free
        await until(one, one)
        await office.is_written_to(1)
        await office.works("least_busy", at_most=3)  # the company allows more
        await until(one, one, one)
        await office.employs(two, role="agent")
        await office.employs(one, active=False)  # one has left, and the other is there
        await until(two, two, two)
        await office.works("least_busy", at_most=1)
        await office.act(service.assign, 0, None)  # people put one back: there is no room for it
        await until(None, two, two)
        await office.act(service.end, 1, "resolved")
        await office.act(service.end, 1, "resolved")
        await until(two)


async def test_a_batch_costs_the_same_for_one_company_and_for_many(database: Database) -> None:
    async def cost(companies: int) -> int:
        offices = [Office(database) for _ in range(companies)]
        for office in offices:
            await office.employs(*AGENTS)
            await office.works("least_busy")
            await office.is_written_to()
        tenants = sorted(office.scene.tenant_id for office in offices)
        async with database.tenants(tenants) as tx:
            with counting(tx) as asked:
                assert await distribution.distribute(tx, tenants) == companies
                await tx.write_events()
        return len(asked)

    assert await cost(1) == await cost(5) <= 11
