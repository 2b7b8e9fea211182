"""What deactivated agents had: nobody's, with one event each, however that is interrupted."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from asyncpg import Record
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.replicas.consumers import on_agent_changed
from crm_messaging.sessions import departures, service
from crm_messaging.sessions.assigner import Assigner
from crm_testing.costs import counting
from crm_testing.scenes.messaging import PHONE, Scene, session_id_of
from crm_testing.services import eventually
from service_kit.database import Database
from shared_events import examples
from shared_events.gateway.agent import Agent, AgentUpdated

STAYING = uuid4()
"""A colleague, in every company."""


def told_of(agent_id: UUID, *, active: bool) -> AgentUpdated:
    example = examples.load("agent.updated")["data"]["agent"]
    return AgentUpdated(agent=Agent.model_validate({**example, "id": agent_id, "active": active}))


async def office(database: Database, agent: UUID, *, sessions: int) -> Scene:
    """A company where an agent has so many sessions, and had one; a colleague has another."""
    scene = Scene(database)
    for one in (agent, STAYING):
        await scene.apply(on_agent_changed, told_of(one, active=True))
    said = [scene.received(str(n), phone=f"{PHONE[:-2]}{n:02}") for n in range(sessions + 2)]
    await scene.apply(on_message_received, *said)
    for n, row in enumerate(await scene.sessions()):
        async with database.tenant(scene.tenant_id) as tx:
            who = STAYING if n == 0 else agent
            await service.assign(tx, row["id"], who, expected_version=None)
            if n == 1:
                await service.end(tx, row["id"], "resolved")
    return scene


async def freed(scene: Scene) -> list[Record]:
    """The events of what was taken from somebody."""
    return [
        row
        for row in await scene.outbox()
        if row["event_type"] == "session.assigned" and row["payload"]["reason"] != "requested"
    ]


async def who_has(scene: Scene, agent: UUID) -> list[str]:
    """How the agent's sessions stand."""
    rows = await scene.rows("SELECT * FROM sessions WHERE assigned_agent_id = $1", agent)
    return sorted(row["status"] for row in rows)


async def all_of_it(database: Database) -> int:
    """Work on until there is nothing to do; how many sessions were taken."""
    total, is_more = 0, True
    while is_more:
        taken, is_more = await departures.once(database)
        total += taken
    return total


async def test_active_sessions_are_nobodys_with_one_event_each_in_every_company(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(departures, "BATCH", 3)
    agents = uuid4(), uuid4(), uuid4()
    scenes = [await office(database, agent, sessions=4) for agent in agents]
    assert await departures.once(database) == (0, False)
    for scene, agent in zip(scenes[:2], agents[:2], strict=True):
        for seq in (2, 2):  # told twice
            await scene.apply(on_agent_changed, told_of(agent, active=False), seq=seq)
    assert await departures.once(database) == (3, True)  # and here a process dies
    rest = await asyncio.gather(*(all_of_it(database) for _ in range(3)))
    assert sum(rest) == 5
    for scene, agent in zip(scenes[:2], agents[:2], strict=True):
        events = await freed(scene)
        assert len({session_id_of(row) for row in events}) == len(events) == 4
        for row in events:
            said = row["payload"]
            assert (said["reason"], said["previous_agent_id"]) == ("agent_deactivated", str(agent))
            assert said["session"]["assigned_agent_id"] is None
            assert said["session"]["version"] == 3
            assert (said["contact"]["name"], said["channel"]["name"]) == ("Ana", "Loja")
        assert await who_has(scene, agent) == ["closed"]
        assert await who_has(scene, STAYING) == ["active"]
        shown = await scene.rows("SELECT * FROM conversations WHERE assigned_agent_id IS NOT NULL")
        assert [row["assigned_agent_id"] for row in shown] == [STAYING]
        history = await scene.rows(
            "SELECT * FROM session_assignments WHERE reason = 'agent_deactivated'"
        )
        assert {(row["agent_id"], row["previous_agent_id"]) for row in history} == {(None, agent)}
        assert len(history) == 4
    assert await freed(scenes[2]) == []
    assert len(await who_has(scenes[2], agents[2])) == 5


async def test_one_that_is_being_written_in_is_waited_for_by_nobody(database: Database) -> None:
    agent = uuid4()
    scene = await office(database, agent, sessions=2)
    await scene.apply(on_agent_changed, told_of(agent, active=False), seq=2)
    held = (await scene.sessions())[-1]["id"]
    async with database.tenant(scene.tenant_id) as tx:
        await tx.execute("SELECT 1 FROM sessions WHERE id = $1 FOR UPDATE", held)
        assert await departures.once(database) == (1, True)
        assert await departures.once(database) == (0, True)
    assert await departures.once(database) == (1, True)
    assert await departures.once(database) == (0, False)


async def test_who_comes_back_keeps_what_was_not_taken(database: Database) -> None:
    agent = uuid4()
    scene = await office(database, agent, sessions=2)
    await scene.apply(on_agent_changed, told_of(agent, active=False), seq=2)
    await scene.apply(on_agent_changed, told_of(agent, active=True), seq=3)
    assert await departures.once(database) == (0, False)
    assert len(await who_has(scene, agent)) == 3


async def test_what_was_given_at_that_moment_is_taken_as_well(database: Database) -> None:
    agent = uuid4()
    scene = await office(database, agent, sessions=0)
    await scene.apply(on_message_received, scene.received(phone=f"{PHONE[:-2]}77"))
    fresh = (await scene.sessions())[-1]["id"]
    async with database.tenant(scene.tenant_id) as tx:
        await service.assign(tx, fresh, agent, expected_version=None)
        left = scene.apply(on_agent_changed, told_of(agent, active=False), seq=2)
        leaving = asyncio.create_task(left)
        await eventually(scene.waits_for_a_lock)
    await leaving
    assert await all_of_it(database) == 1


async def test_a_session_that_is_reopened_does_not_go_back_to_who_left(database: Database) -> None:
    agent = uuid4()
    scene = await office(database, agent, sessions=0)
    (ended,) = await scene.rows("SELECT * FROM sessions WHERE status = 'closed'")
    assert ended["assigned_agent_id"] == agent
    await scene.apply(on_agent_changed, told_of(agent, active=False), seq=2)
    async with database.tenant(scene.tenant_id) as tx:
        again = await service.reopen(tx, ended["id"], expected_version=None)
    assert (again.status, again.assigned_agent_id) == ("active", None)
    told = (await scene.outbox())[-1]
    assert (told["event_type"], told["payload"]["session"]["assigned_agent_id"]) == (
        "session.reopened",
        None,
    )
    shown = await scene.rows("SELECT * FROM conversations WHERE session_id = $1", ended["id"])
    assert [(row["status"], row["assigned_agent_id"]) for row in shown] == [("active", None)]


async def test_is_done_as_soon_as_it_is_told_whatever_the_number_of_processes(
    database: Database,
) -> None:
    agent = uuid4()
    scene = await office(database, agent, sessions=3)
    tasks = [asyncio.create_task(Assigner(database).run()) for _ in range(2)]
    try:
        # Nobody looks by himself within the time a test has: it is the notice that wakes.
        heard = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%assigner'"

        async def listening() -> bool:
            (row,) = await scene.rows(heard)
            return bool(row[0] >= 2)

        await eventually(listening)
        await scene.apply(on_agent_changed, told_of(agent, active=False), seq=2)

        async def done() -> bool:
            return len(await freed(scene)) == 3

        await eventually(done)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert len(await freed(scene)) == 3


async def test_a_batch_costs_the_same_for_one_company_and_for_many(database: Database) -> None:
    async def cost(companies: int) -> int:
        left: list[Any] = []
        for _ in range(companies):
            agent = uuid4()
            scene = await office(database, agent, sessions=1)
            await scene.apply(on_agent_changed, told_of(agent, active=False), seq=2)
            left.append(departures.Leaver(scene.tenant_id, agent))
        async with database.tenants(sorted(one.tenant_id for one in left)) as tx:
            with counting(tx) as asked:
                assert await departures.take(tx, left) == companies
                await tx.write_events()
        return len(asked)

    assert await cost(1) == await cost(5) <= 8
