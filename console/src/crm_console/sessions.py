"""Who has a conversation, and whether it goes on: its session's assignment and end."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/conversations/{conversation_id}")
REASONS = ("resolved", "no_answer", "not_a_customer", "spam")
SessionId = Annotated[UUID, Form()]


async def state(crm: Caller, me: Me, conversation: Json) -> dict[str, Any]:
    """What the head of a conversation shows: its session, and whom it can be given to."""
    active = conversation["active_session"]
    agents, ended = await asyncio.gather(
        _agents(crm) if active and me.may("agents.read") else _none(),
        _none() if active else _newest(crm, conversation),
    )
    return {
        "conversation": conversation,
        "session": active or next(iter(ended), None),
        "agents": [agent for agent in agents if agent["active"]],
        "may_update": me.may("sessions.update"),
        "reasons": REASONS,
    }


async def _none() -> list[Json]:
    return []


async def _agents(crm: Caller) -> list[Json]:
    return (await crm.listed("/agents")).rows


async def _newest(crm: Caller, conversation: Json) -> list[Json]:
    """The newest session; a group has no contact to look under, but its last message has one."""
    if conversation["contact"] is None:
        path = f"/conversations/{conversation['id']}/messages"
        last = (await crm.get(path, limit=1, direction="backward"))["data"]
        return [await crm.get(f"/sessions/{m['session_id']}") for m in last if m["session_id"]]
    found = await crm.get(
        "/sessions",
        contact_id=conversation["contact"]["id"],
        channel_id=conversation["channel_id"],
        limit=1,
    )
    rows: list[Json] = found["data"]
    return rows


@router.get("/head")
async def refresh(crm: Crm, me: Myself, said: Said, conversation_id: UUID) -> Response:
    """The head of a conversation, as it is now."""
    return await _head(crm, me, said, conversation_id)


@router.post("/assign")
async def assign(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    conversation_id: UUID,
    session_id: SessionId,
    agent_id: Annotated[UUID | None, Form()] = None,
    expected: Annotated[UUID | None, Form()] = None,
) -> Response:
    """Give it to an agent, or to nobody; refused if it is no longer whose it was when shown."""
    whom = {"agent_id": _text(agent_id), "expected_assignee_id": _text(expected)}
    await crm.post(f"/sessions/{session_id}/assign", whom)
    return pages.done(request, await _head(crm, me, said, conversation_id), _here(conversation_id))


@router.post("/close")
async def close(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    conversation_id: UUID,
    session_id: SessionId,
    reason: Annotated[str, Form(min_length=1, max_length=50)],
) -> Response:
    """End it, and say why."""
    await crm.post(f"/sessions/{session_id}/close", {"reason": reason})
    return pages.done(request, await _head(crm, me, said, conversation_id), _here(conversation_id))


@router.post("/reopen")
async def reopen(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    conversation_id: UUID,
    session_id: SessionId,
) -> Response:
    """Let one that has ended go on."""
    await crm.post(f"/sessions/{session_id}/reopen", {})
    return pages.done(request, await _head(crm, me, said, conversation_id), _here(conversation_id))


async def _head(crm: Caller, me: Me, said: Words, conversation_id: UUID) -> Response:
    conversation = await crm.get(f"/conversations/{conversation_id}")
    return pages.part("_head.html", said, me=me, **await state(crm, me, conversation))


def _here(conversation_id: UUID) -> str:
    return f"/conversations/{conversation_id}"


def _text(name: UUID | None) -> str | None:
    return None if name is None else str(name)
