"""What is said next: texts and files, now or at a time, once however often they are sent."""

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID, uuid4, uuid5

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Json, RefusedError
from crm_console.visitor import Crm, Me, Myself, Said

router = APIRouter(prefix="/conversations/{conversation_id}")
EMOJI = tuple("😀😂😊😍😘🤔😅😢😭😡👍👎👏🙏💪🤝👀🎉❤💚🔥⭐✅❌📞📦🚚💳📅⏰")
_PICTURES = ("image/jpeg", "image/png", "image/webp")
_FILMS = ("video/mp4", "video/3gpp")


@router.get("/composer")
async def compose(
    crm: Crm,
    me: Myself,
    said: Said,
    conversation_id: UUID,
    reply_to: UUID | None = None,
    edit: UUID | None = None,
) -> Response:
    """An empty message, perhaps one that answers another; or one that was said, to be edited."""
    conversation, answered, edited = await asyncio.gather(
        crm.get(f"/conversations/{conversation_id}"),
        _message(crm, reply_to),
        _message(crm, edit),
    )
    return pages.part(
        "_composer.html",
        said,
        conversation=conversation,
        **{**blank(me), "answered": answered, "edited": edited},
    )


@router.post("/files")
async def attach(request: Request, crm: Crm, said: Said, conversation_id: UUID) -> Response:
    """Take a file that a message will bring, to be sent by its id.

    Its bytes go on to the gateway as they come: what is too large is refused there.
    """
    file = await crm.hand_on("/media", request)
    attached = pages.part("_attached.html", said, file=file)
    return pages.done(request, attached, f"/conversations/{conversation_id}")


@router.post("/messages")
async def send(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    conversation_id: UUID,
    key: Annotated[UUID, Form()],
    content: Annotated[str, Form(max_length=4096)] = "",
    media_id: Annotated[list[UUID] | None, Form(max_length=10)] = None,
    reply_to: Annotated[UUID | None, Form()] = None,
    send_at: Annotated[datetime | None, Form()] = None,
) -> Response:
    """Send to whom the conversation is with; the same form twice sends once.

    A text with files is the caption of the first, and each file is a message. `send_at` is a time
    of the reader's. What the gateway refuses leaves the form: sent again, it sends the rest.
    """
    if not content.strip() and not media_id:
        raise RefusedError(422, "nothing_said", "Write something, or attach a file.")
    conversation, *files = await asyncio.gather(
        crm.get(f"/conversations/{conversation_id}"),
        *(crm.get(f"/media/{each}") for each in media_id or ()),
    )
    contact = conversation["contact"]
    whom = {"contact_id": contact["id"]} if contact else {"conversation_id": str(conversation_id)}
    to: Json = {**whom, "channel_id": conversation["channel_id"]}
    if send_at:
        to["send_at"] = said.moment(send_at)
    for number, message in enumerate(_messages(content, files)):
        if reply_to and number == 0:
            message["reply_to_id"] = str(reply_to)
        once = key if number == 0 else uuid5(key, str(number))
        await crm.post("/messages/send", {**to, **message}, key=str(once))
    composer = pages.part("_composer.html", said, conversation=conversation, **blank(me))
    composer.headers["HX-Trigger"] = "scheduled"  # the feed tells of it when its time has come
    return pages.done(request, composer, f"/conversations/{conversation_id}")


def blank(me: Me) -> dict[str, Any]:
    """What an empty composer is made of."""
    return {
        "key": uuid4(),
        "answered": None,
        "edited": None,
        "may_send": me.may("messages.send"),
        "emoji": EMOJI,
    }


def kind_of(mime_type: str) -> str:
    """As what WhatsApp shows a file of this type; what it shows as nothing else is a document."""
    if mime_type in _PICTURES:
        return "image"
    if mime_type in _FILMS:
        return "video"
    return "audio" if mime_type.startswith("audio/") else "document"


async def _message(crm: Crm, message_id: UUID | None) -> Json | None:
    return None if message_id is None else await crm.get(f"/messages/{message_id}")


def _messages(content: str, files: list[Json]) -> Iterator[Json]:
    """A text, or a message for each file."""
    if not files:
        yield {"content": content}
    for number, file in enumerate(files):
        message = {"content_type": kind_of(file["mime_type"] or ""), "media_id": file["id"]}
        yield {**message, "content": content} if content and number == 0 else message
