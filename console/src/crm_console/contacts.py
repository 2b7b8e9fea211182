"""Whom a conversation is with: what is known, what was noted, what happened."""

import asyncio
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.visitor import Crm, Me, Myself, Said

router = APIRouter(prefix="/contacts/{contact_id}")


@router.get("/panel")
async def show(crm: Crm, me: Myself, said: Said, contact_id: UUID) -> Response:
    """All of a contact, as far as the reader may see it."""
    path = f"/contacts/{contact_id}"
    contact, notes, timeline = await asyncio.gather(
        crm.get(path),
        _rows(crm, f"{path}/notes", is_seen=me.may("notes.read")),
        _rows(crm, f"{path}/events", is_seen=True),
    )
    place = await _place(crm, me, contact)
    return pages.part(
        "_panel.html",
        said,
        contact=contact,
        notes=notes,
        timeline=timeline,
        place=place,
        may_follow=me.may("messages.read"),
    )


@router.post("/notes")
async def note(
    request: Request,
    crm: Crm,
    said: Said,
    contact_id: UUID,
    content: Annotated[str, Form(min_length=1, max_length=10_000)],
    key: Annotated[UUID, Form()],
) -> Response:
    """Write a note; the same form twice writes one."""
    await crm.post(f"/contacts/{contact_id}/notes", {"content": content}, key=str(key))
    form = pages.part("_note.html", said, contact_id=contact_id, note_key=uuid4())
    return pages.done(request, form, "/")


async def _rows(crm: Caller, path: str, *, is_seen: bool) -> list[Json]:
    return (await crm.listed(path)).rows if is_seen else []


async def _place(crm: Caller, me: Me, contact: Json) -> str:
    """Where the contact is: pipeline and status by name; empty if nowhere, or hidden."""
    pipeline_id, status_id = contact["pipeline_id"], contact["pipeline_status_id"]
    if pipeline_id is None or not me.may("pipelines.read"):
        return ""
    path = f"/pipelines/{pipeline_id}"
    names = [path, f"{path}/statuses/{status_id}"] if status_id else [path]
    return " › ".join(found["name"] for found in await asyncio.gather(*map(crm.get, names)))
