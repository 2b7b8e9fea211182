import asyncio
from collections.abc import Awaitable
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.sessions import service
from crm_messaging.sessions.activities import SessionActivities
from crm_messaging.sessions.requests import list_assignments
from crm_messaging.sessions.schemas import Ending
from crm_messaging.sessions.sweep import Sweep
from crm_testing.scenes.messaging import Scene
from service_kit.calls import Call
from service_kit.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.messaging.session import ListSessionAssignments, Session
from shared_events.requests import Principal

ENDS = {"session.closed", "session.expired"}


async def opened(scene: Scene, **changes: Any) -> UUID:
    """A session with one message."""
    await scene.apply(on_message_received, scene.received(**changes))
    session_id: UUID = (await scene.sessions())[-1]["id"]
    return session_id


async def close(scene: Scene, session_id: UUID, **changes: Any) -> Session:
    arguments: dict[str, Any] = {
        "reason": "resolved",
        "note": None,
        "expected_version": None,
        **changes,
    }
    async with scene.database.tenant(scene.tenant_id) as tx:
        return await service.close(tx, session_id, **arguments)


async def assign(scene: Scene, session_id: UUID, agent: UUID | None, **changes: Any) -> Session:
    arguments: dict[str, Any] = {"expected_version": None, **changes}
    async with scene.database.tenant(scene.tenant_id) as tx:
        return await service.assign(tx, session_id, agent, **arguments)


async def hire(scene: Scene, *, active: bool = True) -> UUID:
    agent = uuid4()
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO agent_refs (tenant_id, agent_id, name, active) VALUES ($1, $2, 'Bia', $3)",
            scene.tenant_id,
            agent,
            active,
        )
    return agent


class TestClose:
    async def test_ends_with_one_event_and_again_changes_nothing(self, scene: Scene) -> None:
        session_id = await opened(scene)
        closed = await close(scene, session_id, note="Tudo certo")
        again = await close(scene, session_id, reason="spam", expected_version=1)
        assert (closed.status, closed.end_reason) == ("closed", "resolved")
        assert again == closed
        assert (await scene.told())[2:] == ["session.closed"]
        assert (await scene.sessions())[0]["custom_fields"] == {"closing_note": "Tudo certo"}

    async def test_next_message_opens_a_new_session(self, scene: Scene) -> None:
        first = await opened(scene)
        await close(scene, first)
        assert await opened(scene) != first
        assert (await scene.told()).count("session.started") == 2

    async def test_refuses_reasons_of_the_system(self, scene: Scene) -> None:
        with pytest.raises(InvalidError):
            await close(scene, await opened(scene), reason="inactivity")

    async def test_refuses_a_stale_version_and_a_stranger(self, scene: Scene) -> None:
        session_id = await opened(scene)
        with pytest.raises(PreconditionFailedError):
            await close(scene, session_id, expected_version=7)
        scene.tenant_id = str(uuid4())
        with pytest.raises(NotFoundError):
            await close(scene, session_id)

    async def test_racing_ends_tell_one_terminal_event(self, scene: Scene) -> None:
        activities = SessionActivities(scene.database)
        sweep = Sweep(scene.database, None, seconds=1, grace_seconds=0, check_seconds=300)
        for n in range(10):
            session_id = await opened(scene, phone=f"55119888800{n:02}")
            await scene.silence(3600)
            ending = Ending(
                session_id=session_id, tenant_id=scene.tenant_id, reason="inactivity", seen=1
            )
            before = len(await scene.told())
            racers: list[Awaitable[object]] = [
                close(scene, session_id),
                activities.close_session_if_idle(ending),
                sweep.once(),
                close(scene, session_id),
            ]
            await asyncio.gather(*racers)
            told = await scene.told(since=before)
            assert len([event for event in told if event in ENDS]) == 1


class TestAssign:
    async def test_tells_who_had_it_before_and_the_same_agent_changes_nothing(
        self, scene: Scene
    ) -> None:
        session_id, agent = await opened(scene), await hire(scene)
        first = await assign(scene, session_id, agent, expected_version=1)
        assert (first.assigned_agent_id, first.version) == (agent, 2)
        assert await assign(scene, session_id, agent) == first
        assert (await assign(scene, session_id, None)).assigned_agent_id is None
        assert (await scene.told())[2:] == ["session.assigned"] * 2
        last = (await scene.outbox())[-1]["payload"]
        assert last["previous_agent_id"] == str(agent)

    async def test_looks_again_for_an_agent_nobody_told_of_yet(self, scene: Scene) -> None:
        session_id = await opened(scene)
        with pytest.raises(InvalidError) as refused:
            await assign(scene, session_id, uuid4())
        assert refused.value.may_come
        with pytest.raises(InvalidError) as refused:
            await assign(scene, session_id, await hire(scene, active=False))
        assert not refused.value.may_come

    async def test_refuses_who_is_unknown_or_gone(self, scene: Scene) -> None:
        session_id = await opened(scene)
        for agent in (uuid4(), await hire(scene, active=False)):
            with pytest.raises(InvalidError) as refused:
                await assign(scene, session_id, agent)
            assert refused.value.problem.errors[0].code == "unknown_agent"

    async def test_refuses_an_ended_session_and_a_stale_version(self, scene: Scene) -> None:
        session_id, agent = await opened(scene), await hire(scene)
        with pytest.raises(PreconditionFailedError):
            await assign(scene, session_id, agent, expected_version=9)
        await close(scene, session_id)
        with pytest.raises(ConflictError) as refused:
            await assign(scene, session_id, agent)
        assert refused.value.problem.code == "session_ended"

    async def test_is_claimed_by_one_of_two_at_once(self, scene: Scene) -> None:
        session_id, bia, caio = await opened(scene), await hire(scene), await hire(scene)
        free: dict[str, Any] = {"expected_assignees": {None}}
        outcomes = await asyncio.gather(
            *(assign(scene, session_id, agent, by=agent, **free) for agent in (bia, caio)),
            return_exceptions=True,
        )
        (winner,) = [each.assigned_agent_id for each in outcomes if isinstance(each, Session)]
        (refused,) = [each for each in outcomes if isinstance(each, PreconditionFailedError)]
        assert refused.problem.code == "assignee_changed"
        assert refused.problem.extra == {"assigned_agent_id": str(winner)}
        assert winner
        assert (await assign(scene, session_id, winner, **free)).version == 2
        other = caio if winner == bia else bia
        taken = await assign(scene, session_id, other, expected_assignees={winner}, by=other)
        assert taken.assigned_agent_id == other
        listing = ListSessionAssignments(session_id=session_id)
        call = Call(Principal(tenant_id=scene.tenant_id), "request-1", None)
        async with scene.database.tenant(scene.tenant_id) as tx:
            found = (await list_assignments(tx, listing, call)).data
        assert [(a.agent_id, a.previous_agent_id, a.assigned_by) for a in found] == [
            (other, winner, other),
            (winner, None, winner),
        ]
        stranger = Scene(scene.database)
        async with scene.database.tenant(stranger.tenant_id) as tx:
            with pytest.raises(NotFoundError):
                await list_assignments(tx, listing, call)


async def reopen(scene: Scene, session_id: UUID, version: int | None = None) -> Session:
    async with scene.database.tenant(scene.tenant_id) as tx:
        return await service.reopen(tx, session_id, expected_version=version)


class TestReopen:
    async def test_goes_on_where_it_ended_and_ends_again(self, scene: Scene) -> None:
        session_id, agent = await opened(scene), await hire(scene)
        await assign(scene, session_id, agent)
        await close(scene, session_id)
        await scene.silence(3600)
        with pytest.raises(PreconditionFailedError):
            await reopen(scene, session_id, version=1)
        again = await reopen(scene, session_id, version=3)
        assert await reopen(scene, session_id) == again
        assert (again.status, again.ended_at, again.end_reason) == ("active", None, None)
        assert (again.reopen_count, again.assigned_agent_id) == (1, agent)
        (conversation,) = await scene.rows("SELECT * FROM conversations")
        assert (conversation["status"], conversation["assigned_agent_id"]) == ("active", agent)
        sweep = Sweep(scene.database, None, seconds=1, grace_seconds=0, check_seconds=300)
        await sweep.once()
        assert await opened(scene) == session_id
        assert (await scene.told())[2:] == [
            *("session.assigned", "session.closed", "session.reopened"),
            "message.received",
        ]
        assert (await close(scene, session_id)).status == "closed"

    async def test_is_refused_beside_another_and_to_strangers(self, scene: Scene) -> None:
        first = await opened(scene)
        await close(scene, first)
        second = await opened(scene)
        with pytest.raises(ConflictError) as refused:
            await reopen(scene, first)
        assert refused.value.problem.code == "session_active"
        await close(scene, second)
        await reopen(scene, first)
        (conversation,) = await scene.rows("SELECT * FROM conversations")
        assert (conversation["session_id"], conversation["status"]) == (first, "active")
        with pytest.raises(NotFoundError):
            await reopen(Scene(scene.database), first)


class TestActivity:
    async def test_is_harmless_when_repeated(self, scene: Scene) -> None:
        session_id = await opened(scene)
        activities = SessionActivities(scene.database)
        ending = Ending(
            session_id=session_id, tenant_id=scene.tenant_id, reason="inactivity", seen=1
        )
        assert (await activities.close_session_if_idle(ending)).ended
        repeated = await activities.close_session_if_idle(ending)
        assert (repeated.ended, repeated.active) == (False, None)
        assert (await scene.told())[2:] == ["session.expired"]

    async def test_tells_how_an_active_session_stands(self, scene: Scene) -> None:
        session_id = await opened(scene)
        await opened(scene)
        ending = Ending(
            session_id=session_id, tenant_id=scene.tenant_id, reason="inactivity", seen=1
        )
        outcome = await SessionActivities(scene.database).close_session_if_idle(ending)
        assert outcome.active is not None
        assert outcome.active.total_messages == 2
