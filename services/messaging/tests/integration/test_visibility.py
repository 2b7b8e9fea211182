"""Agents that see only their own sessions, where their company says so: every route, as 404."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.sessions import service as sessions
from crm_messaging.sessions.requests import assign_session
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import Company, Outside, eventually
from service_kit.calls import Call
from service_kit.errors import PreconditionFailedError
from service_kit.service import Service
from shared_events.messaging import conversation, message, scheduled, session
from shared_events.requests import Principal, Request

STALE = 999
"""A version nothing has: a command that gets as far as this changes nothing."""


@dataclass(frozen=True)
class Talk:
    """A session with all that is said in it, and one message more that waits for its time."""

    contact_id: UUID
    channel_id: UUID
    session_id: UUID
    conversation_id: UUID
    message_id: UUID
    waiting_id: UUID

    def routes(self) -> Iterator[Request[Any]]:
        """A request for every route that names one of them."""
        named: dict[str, Any] = {"session_id": self.session_id}
        yield session.GetSession(**named)
        yield session.ListSessionAssignments(**named)
        yield message.ListSessionMessages(**named)
        yield session.AssignSession(**named, agent_id=None)
        yield session.CloseSession(**named)
        yield session.ReopenSession(**named)
        named = {"conversation_id": self.conversation_id}
        yield conversation.GetConversation(**named)
        yield conversation.ListConversationMessages(**named)
        yield conversation.ReadConversation(**named, up_to_seq=0)
        named = {"message_id": self.message_id}
        yield message.GetMessage(**named)
        yield message.ListMessageVersions(**named)
        yield message.ListMessageReceipts(**named)
        yield message.EditMessage(**named, content="outra coisa")
        yield message.DeleteMessage(**named)
        yield message.RetryMessage(**named)
        yield message.ReactToMessage(**named, emoji="👍")
        yield message.RemoveReaction(**named)
        named = {"message_id": self.waiting_id}
        yield message.GetMessage(**named)
        yield message.EditMessage(**named, content="outra coisa")
        yield message.DeleteMessage(**named)
        yield message.RetryMessage(**named)
        yield scheduled.CancelScheduledMessage(**named)


@dataclass(frozen=True)
class Office:
    """A company whose agents see only their own: one of them has a session, a colleague has
    another, nobody the third, and the supervisor sees all."""

    scene: Scene
    supervisor: Company
    agent: Company
    colleague: Company
    mine: Talk
    free: Talk
    theirs: Talk

    def talks(self) -> dict[str, Talk]:
        return {"mine": self.mine, "free": self.free, "theirs": self.theirs}


async def open_office(service: Service, outside: Outside) -> Office:
    scene = Scene(service.database)
    supervisor = Company(scene.database, outside, id=scene.tenant_id)
    agent, colleague = (
        Company(scene.database, outside, id=scene.tenant_id, own_only=True) for _ in range(2)
    )
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO agent_refs (tenant_id, agent_id, name, active)"
            " SELECT $1, unnest($2::uuid[]), 'Bia', true",
            scene.tenant_id,
            [agent.user_id, colleague.user_id],
        )
    talks = [await talk(scene, supervisor, n) for n in range(3)]
    for one, whose in zip(talks, (agent, None, colleague), strict=True):
        give = session.AssignSession(
            session_id=one.session_id, agent_id=whose.user_id if whose else None
        )
        await supervisor.value(give)
    return Office(scene, supervisor, agent, colleague, *talks)


async def talk(scene: Scene, supervisor: Company, n: int) -> Talk:
    said = scene.received(f"mensagem {n}", phone=f"{PHONE[:-1]}{n}")
    await scene.apply(on_message_received, said)
    stored = (await scene.messages())[-1]
    waits = message.SendMessage(
        contact_id=stored["contact_id"],
        channel_id=stored["channel_id"],
        content="mais tarde",
        send_at=datetime.now(UTC) + timedelta(hours=1),
    )
    waiting = await supervisor.value(waits)
    return Talk(
        contact_id=stored["contact_id"],
        channel_id=stored["channel_id"],
        session_id=stored["session_id"],
        conversation_id=stored["conversation_id"],
        message_id=stored["id"],
        waiting_id=UUID(waiting["id"]),
    )


@pytest.fixture(scope="module")
async def office(service: Service, outside: Outside) -> Office:
    return await open_office(service, outside)


async def status(who: Company, request: Request[Any]) -> tuple[str, str]:
    """How a request is answered to one who changes nothing by it."""
    reply = await who.ask(request, expected_version=STALE)
    return (reply.problem.kind, reply.problem.code) if reply.problem else ("seen", "")


async def test_what_is_anothers_answers_as_what_is_missing_on_every_route(office: Office) -> None:
    nothing = Talk(*(uuid4() for _ in range(6)))
    missing = [await status(office.supervisor, request) for request in nothing.routes()]
    assert {kind for kind, _ in missing} == {"not_found"}
    for name, one in office.talks().items():
        for request, not_there in zip(one.routes(), missing, strict=True):
            found = await status(office.agent, request)
            if name == "theirs":
                assert found == not_there, (name, request)
            else:
                assert found[0] != "not_found", (name, request, found)
            assert (await status(office.supervisor, request))[0] != "not_found", (name, request)
    assert (await office.scene.sessions())[-1]["status"] == "active"


async def test_lists_show_ones_own_and_what_nobody_has(
    office: Office, service: Service, outside: Outside
) -> None:
    other = await open_office(service, outside)
    for one in (office, other):
        ours = {
            session.ListSessions: [t.session_id for t in one.talks().values()],
            conversation.ListConversations: [t.conversation_id for t in one.talks().values()],
            message.ListMessages: [t.message_id for t in one.talks().values()],
            scheduled.ListScheduledMessages: [t.waiting_id for t in one.talks().values()],
        }
        for kind, (mine, free, theirs) in ours.items():
            for who, expected in (
                (one.supervisor, {mine, free, theirs}),
                (one.agent, {mine, free}),
                (one.colleague, {free, theirs}),
            ):
                page = await who.value(kind())
                assert {UUID(each["id"]) for each in page["data"]} == expected, kind
        contact = {"contact_id": one.theirs.contact_id}
        for of_contact in (message.ListContactMessages, session.ListContactSessions):
            assert (await one.agent.value(of_contact(**contact)))["data"] == []
            assert len((await one.colleague.value(of_contact(**contact)))["data"]) == 1
        asked = session.ListSessions(assigned_agent_id=one.colleague.user_id)
        assert (await one.agent.value(asked))["data"] == []


async def test_several_sessions_are_those_that_each_would_see(
    office: Office, service: Service, outside: Outside
) -> None:
    other = await open_office(service, outside)
    every = [talk.session_id for one in (office, other) for talk in one.talks().values()]
    for who in (office.supervisor, office.agent, office.colleague, other.supervisor, other.agent):
        alone = {}
        for session_id in every:
            reply = await who.ask(session.GetSession(session_id=session_id))
            if reply.value is not None:
                alone[reply.value["id"]] = reply.value
        page = await who.value(session.GetSessions(ids=every))
        assert {each["id"]: each for each in page["data"]} == alone
        assert len(alone) == (2 if who in (office.agent, office.colleague, other.agent) else 3)


async def test_nobody_writes_where_another_is_talking(office: Office) -> None:
    for later in (None, datetime.now(UTC) + timedelta(hours=2)):
        for one, who, code in (
            (office.theirs, office.agent, "conversation_of_another"),
            (office.theirs, office.supervisor, None),
            (office.mine, office.agent, None),
            (office.free, office.agent, None),
        ):
            said = message.SendMessage(
                contact_id=one.contact_id, channel_id=one.channel_id, content="Oi", send_at=later
            )
            problem = (await who.ask(said)).problem
            assert (problem.code if problem else None) == code
    waiting = await office.agent.value(scheduled.ListScheduledMessages())
    shown = {UUID(each["contact_id"]) for each in waiting["data"]}
    assert shown == {office.mine.contact_id, office.free.contact_id}


async def test_it_moves_with_the_session_and_its_end_frees_the_conversation(
    service: Service, outside: Outside
) -> None:
    office = await open_office(service, outside)
    one, agent = office.theirs, office.agent
    read = (
        session.GetSession(session_id=one.session_id),
        conversation.GetConversation(conversation_id=one.conversation_id),
        message.GetMessage(message_id=one.message_id),
    )

    async def seen() -> list[bool]:
        return [(await agent.ask(request)).problem is None for request in read]

    assert await seen() == [False, False, False]
    give = session.AssignSession(session_id=one.session_id, agent_id=agent.user_id)
    await office.colleague.value(give)
    assert await seen() == [True, True, True]
    await agent.value(give.model_copy(update={"agent_id": office.colleague.user_id}))
    assert await seen() == [False, False, False]
    await office.colleague.value(session.CloseSession(session_id=one.session_id))
    assert await seen() == [False, True, True]  # whoever goes on in it reads what was said
    # What nobody sees in the conversation, its former session shows to whose that was.
    await office.scene.apply(
        on_message_received, office.scene.received("de novo", phone=f"{PHONE[:-1]}2")
    )
    next_id = (await office.scene.sessions())[-1]["id"]
    await agent.value(session.AssignSession(session_id=next_id, agent_id=agent.user_id))
    colleague = office.colleague
    assert await colleague.refusal(read[1]) == ("not_found", "conversation_not_found")
    assert (await colleague.value(read[2]))["id"] == str(one.message_id)
    (kept,) = (await colleague.value(message.ListSessionMessages(session_id=one.session_id)))[
        "data"
    ]
    assert kept["id"] == str(one.message_id)


async def test_who_takes_a_session_that_was_just_taken_is_told(service: Service) -> None:
    """Both saw it free; the second waits for the first one's commit, and takes it from nobody."""
    scene, first, second = Scene(service.database), uuid4(), uuid4()
    await scene.apply(on_message_received, scene.received())
    (found,) = await scene.sessions()
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO agent_refs (tenant_id, agent_id, name, active)"
            " SELECT $1, unnest($2::uuid[]), 'Bia', true",
            scene.tenant_id,
            [first, second],
        )

    async def take() -> session.Session:
        who = Principal(tenant_id=scene.tenant_id, user_id=second, own_only=True)
        request = session.AssignSession(session_id=found["id"], agent_id=second)
        async with scene.database.tenant(scene.tenant_id) as tx:
            return await assign_session(tx, request, Call(who, "request-1"))

    async with scene.database.tenant(scene.tenant_id) as tx:
        await sessions.assign(tx, found["id"], first, expected_version=None)
        taking = asyncio.create_task(take())
        await eventually(scene.waits_for_a_lock)
    with pytest.raises(PreconditionFailedError) as refused:
        await taking
    assert refused.value.problem.code == "assignee_changed"
