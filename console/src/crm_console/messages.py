"""What becomes of a message after it was said: its text is replaced, it is taken back, sent once
more, or somebody reacts to it."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import composer, pages
from crm_console.gateway import RefusedError
from crm_console.visitor import Crm, Myself, Said

router = APIRouter(prefix="/conversations/{conversation_id}/messages/{message_id}")
REACTIONS = ("👍", "❤️", "😂", "😮", "😢", "🙏")
"""What WhatsApp itself offers first."""


@router.post("/edit")
async def edit(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    conversation_id: UUID,
    message_id: UUID,
    content: Annotated[str, Form(min_length=1, max_length=4096)],
    edited_at: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Replace its text; refused if it was edited since `edited_at`, as it was shown.

    Its version says less: every receipt counts it up.
    """
    message = await crm.get(f"/messages/{message_id}")
    if edited_at != (message["edited_at"] or ""):
        raise RefusedError(412, "stale_version", "It was edited in between.")
    await crm.patch(f"/messages/{message_id}", {"content": content}, version=message["version"])
    conversation = await crm.get(f"/conversations/{conversation_id}")
    blank = pages.part("_composer.html", said, conversation=conversation, **composer.blank(me))
    return _done(request, conversation_id, blank)


@router.post("/delete")
async def delete(request: Request, crm: Crm, conversation_id: UUID, message_id: UUID) -> Response:
    """Take it back: for everyone, as far as WhatsApp still does."""
    await crm.delete(f"/messages/{message_id}")
    return _done(request, conversation_id)


@router.post("/retry")
async def retry(request: Request, crm: Crm, conversation_id: UUID, message_id: UUID) -> Response:
    """Have one that failed sent once more."""
    await crm.post(f"/messages/{message_id}/retry", {})
    return _done(request, conversation_id)


@router.post("/reaction")
async def react(
    request: Request,
    crm: Crm,
    conversation_id: UUID,
    message_id: UUID,
    emoji: Annotated[str, Form(max_length=50)] = "",
) -> Response:
    """React to it in the company's name; without an emoji, take that back."""
    path = f"/messages/{message_id}/reaction"
    if emoji:
        await crm.put(path, {"emoji": emoji})
    else:
        await crm.delete(path)
    return _done(request, conversation_id)


def _done(request: Request, conversation_id: UUID, answer: Response | None = None) -> Response:
    """What changed is shown at once: the page asks for the thread as if an event had come."""
    answer = answer or Response(status_code=204)
    answer.headers["HX-Trigger"] = f"conversation-{conversation_id}"
    return pages.done(request, answer, f"/conversations/{conversation_id}")
