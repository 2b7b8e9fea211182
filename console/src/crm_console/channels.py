"""Numbers: whether they are connected, how to pair them, and starting and stopping them."""

import base64
import binascii
import time
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, RefusedError
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/channels")
ACTIONS = ("start", "stop", "restart", "logout")
MOMENTS = ("last_message_at", "last_heard_at", "deaf_since", "missing_since", "last_repair_at")
"""Of a number's health."""
_PICTURES = {"image/png", "image/jpeg", "image/webp"}


@router.get("")
async def show(crm: Crm, me: Myself, said: Said) -> Response:
    """All numbers."""
    channels = await crm.listed("/channels")
    return pages.page("channels.html", said, me, **_shown(me), channels=channels.rows)


@router.get("/list")
async def refresh(crm: Crm, me: Myself, said: Said) -> Response:
    """All numbers, as they are now."""
    return await _list(crm, me, said)


@router.get("/{channel_id}")
async def hears(crm: Crm, me: Myself, said: Said, channel_id: UUID) -> Response:
    """Whether a number hears what is said, and what was done about it."""
    channel = await crm.get(f"/channels/{channel_id}")
    health = await crm.get(f"/channels/{channel_id}/health")
    return pages.page("channel.html", said, me, channel=channel, health=health, moments=MOMENTS)


@router.get("/{channel_id}/qr")
async def pair(crm: Crm, channel_id: UUID) -> Response:
    """The pairing code, as a picture to scan."""
    code = await crm.get(f"/channels/{channel_id}/qr")
    if code["mimetype"] not in _PICTURES:
        raise RefusedError(404, "no_picture", "The pairing code is no picture.")
    try:
        return Response(base64.b64decode(code["data"]), media_type=code["mimetype"])
    except binascii.Error:
        raise RefusedError(404, "no_picture", "The pairing code is no picture.") from None


@router.post("/{channel_id}/{action}")
async def drive(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    channel_id: UUID,
    action: Literal["start", "stop", "restart", "logout"],
) -> Response:
    """Start or stop a number, or end its pairing."""
    await crm.post(f"/channels/{channel_id}/{action}", {})
    return pages.done(request, await _list(crm, me, said), "/channels")


async def _list(crm: Caller, me: Me, said: Words) -> Response:
    channels = await crm.listed("/channels")
    return pages.part("_channels.html", said, **_shown(me), channels=channels.rows)


def _shown(me: Me) -> dict[str, Any]:
    """What may be done, and the time, since a pairing code is good for seconds."""
    actions = ACTIONS if me.may("channels.manage") else ()
    return {"actions": actions, "now": int(time.time())}
