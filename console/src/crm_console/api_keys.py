"""API keys: what lets the company's own systems in."""

from datetime import date, timedelta
from typing import Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/settings/keys")


@router.get("")
async def show(request: Request, crm: Crm, me: Myself, said: Said) -> Response:
    """All keys, newest first; of each only how it begins."""
    return await _keys(request, crm, me, said)


@router.post("")
async def make(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    key: Annotated[UUID, Form()],
    name: Annotated[str, Form(min_length=1, max_length=255)],
    scopes: Annotated[str, Form(max_length=2600)] = "",
    last_day: Annotated[date | None, Form()] = None,
) -> Response:
    """Make a key, which is shown here and never again. `last_day` is the reader's."""
    body: Json = {"name": name}
    if wanted := scopes.replace(",", " ").split():
        body["scopes"] = wanted
    if last_day:
        body["expires_at"] = said.midnight(last_day + timedelta(days=1))
    made = await crm.post("/api-keys", body, key=str(key))
    return await _keys(request, crm, me, said, made)


@router.post("/{key_id}/revoke")
async def revoke(request: Request, crm: Crm, me: Myself, said: Said, key_id: UUID) -> Response:
    """Refuse a key from now on."""
    await crm.delete(f"/api-keys/{key_id}")
    return pages.done(request, await _keys(request, crm, me, said), "/settings/keys")


async def _keys(
    request: Request, crm: Caller, me: Me, said: Words, made: Json | None = None
) -> Response:
    keys = await crm.listed("/api-keys", 20)
    templates = ("keys.html", "_keys.html")
    return pages.either(request, templates, said, me, keys=keys.rows, made=made, key=uuid4())
