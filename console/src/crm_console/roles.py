"""Roles the company makes for itself, beside the three that everybody has."""

from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.team import Version
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/settings/roles")
SEES = ("", "all", "own")
"""Which sessions the role sees; empty: those that agents see in this company."""
Name = Annotated[str, Form(min_length=1, max_length=50)]
Permissions = Annotated[str, Form(min_length=1, max_length=2600)]
Sees = Annotated[Literal["", "all", "own"], Form()]


@router.get("")
async def show(request: Request, crm: Crm, me: Myself, said: Said) -> Response:
    """All roles of the company's own, newest first."""
    return await _roles(request, crm, me, said)


@router.post("")
async def make(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    key: Annotated[UUID, Form()],
    name: Name,
    permissions: Permissions,
    sees: Sees = "",
) -> Response:
    """Make a role, to be given to people on their page."""
    await crm.post("/roles", _body(name, permissions, sees), key=str(key))
    return pages.done(request, await _roles(request, crm, me, said), "/settings/roles")


@router.post("/{role_id}")
async def change(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    role_id: UUID,
    name: Name,
    permissions: Permissions,
    version: Version,
    sees: Sees = "",
) -> Response:
    """Change a role of everybody who has it; refused if it is no longer what was shown."""
    await crm.patch(f"/roles/{role_id}", _body(name, permissions, sees), version=version)
    return pages.done(request, await _roles(request, crm, me, said), "/settings/roles")


@router.post("/{role_id}/delete")
async def delete(request: Request, crm: Crm, me: Myself, said: Said, role_id: UUID) -> Response:
    """Remove a role that nobody has."""
    await crm.delete(f"/roles/{role_id}")
    return pages.done(request, await _roles(request, crm, me, said), "/settings/roles")


def _body(name: str, permissions: str, sees: str) -> Json:
    wanted = permissions.replace(",", " ").split()
    return {"name": name, "permissions": wanted, "sees": sees or None}


async def _roles(request: Request, crm: Caller, me: Me, said: Words) -> Response:
    roles = await crm.listed("/roles", 20)
    templates = ("roles.html", "_roles.html")
    return pages.either(request, templates, said, me, roles=roles.rows, sees=SEES, key=uuid4())
