"""An open conversation: what was said, and how far it was read."""

import asyncio
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from crm_console import composer, pages, sessions
from crm_console.bubbles import days
from crm_console.gateway import Caller, Json
from crm_console.inbox import Wanted, conversations
from crm_console.messages import REACTIONS
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/conversations/{conversation_id}")
Pages = Annotated[int, Query(alias="older", ge=1, le=20)]


async def opened(crm: Caller, me: Me, said: Words, conversation_id: UUID, older: int) -> Json:
    """A conversation with its newest messages, day by day."""
    path = f"/conversations/{conversation_id}"
    conversation, messages = await asyncio.gather(
        crm.get(path), crm.listed(f"{path}/messages", older, direction="backward")
    )
    return {
        "conversation": conversation,
        "days": days(reversed(messages.rows), said),
        "older": older,
        "has_older": messages.has_more,
        "may_send": me.may("messages.send"),
        "reactions": REACTIONS,
    }


@router.get("")
async def show(
    crm: Crm,
    me: Myself,
    said: Said,
    shown: Wanted,
    conversation_id: UUID,
) -> Response:
    """The inbox with this conversation open."""
    shown = shown.model_copy(update={"opened": conversation_id})
    listed, thread = await asyncio.gather(
        conversations(crm, shown), opened(crm, me, said, conversation_id, 1)
    )
    head = await sessions.state(crm, me, thread["conversation"])
    return pages.page(
        "inbox.html",
        said,
        me,
        shown=shown,
        listed=listed,
        **{**thread, **head, **composer.blank(me)},
        note_key=uuid4(),
        may_note=me.may("notes.create"),
        may_see_contact=me.may("contacts.read"),
    )


@router.get("/thread")
async def refresh(
    crm: Crm, me: Myself, said: Said, conversation_id: UUID, older: Pages = 1
) -> Response:
    """What was said, as it is now."""
    thread = await opened(crm, me, said, conversation_id, older)
    return pages.part("_thread.html", said, **thread)


@router.post("/read")
async def read(
    request: Request,
    crm: Crm,
    conversation_id: UUID,
    up_to_seq: Annotated[int, Form(ge=0, lt=2**31)],
) -> Response:
    """Mark what was shown as read."""
    await crm.post(f"/conversations/{conversation_id}/read", {"up_to_seq": up_to_seq})
    return pages.done(request, Response(status_code=204), f"/conversations/{conversation_id}")


@router.post("/typing", status_code=204)
async def type_(crm: Crm, conversation_id: UUID) -> None:
    """Show who is written to that somebody types."""
    await crm.post(f"/conversations/{conversation_id}/typing", {"state": "typing"})
