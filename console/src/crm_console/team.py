"""The people of the company: who they are, what they may do, and inviting others."""

from typing import Annotated, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Caller, Json
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/settings")
ROLES = ("agent", "supervisor", "admin")
Role = Annotated[Literal["agent", "supervisor", "admin"] | UUID, Form()]
"""One that everybody has, or the id of one that the company made."""
Version = Annotated[int, Form(ge=0, lt=2**31)]


@router.get("")
async def show(request: Request, crm: Crm, me: Myself, said: Said) -> Response:
    """Everybody, in the order they joined."""
    return await _team(request, crm, me, said)


@router.post("/agents")
async def invite(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    key: Annotated[UUID, Form()],
    name: Annotated[str, Form(min_length=1, max_length=255)],
    email: Annotated[str, Form(min_length=3, max_length=255)],
    role: Role,
) -> Response:
    """Invite somebody; the invitation's token is shown here, and never again."""
    body = {"name": name, "email": email, "role": str(role)}
    invited = await crm.post("/agents", body, key=str(key))
    return await _team(request, crm, me, said, invited)


@router.post("/agents/{agent_id}/role")
async def give_role(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    agent_id: UUID,
    role: Role,
    version: Version,
) -> Response:
    """Let somebody do more, or less; refused if they are no longer what was shown."""
    await crm.put(f"/agents/{agent_id}", {"role": str(role)}, version=version)
    return pages.done(request, await _team(request, crm, me, said), "/settings")


@router.post("/agents/{agent_id}/active")
async def let_in(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    agent_id: UUID,
    active: Annotated[bool, Form()],
    version: Version,
) -> Response:
    """Deactivate somebody, or let them in again; refused if they are no longer what was shown."""
    await crm.put(f"/agents/{agent_id}", {"active": active}, version=version)
    return pages.done(request, await _team(request, crm, me, said), "/settings")


async def _team(
    request: Request, crm: Caller, me: Me, said: Words, invited: Json | None = None
) -> Response:
    agents = await crm.listed("/agents", 20)
    made = (await crm.listed("/roles")).rows if me.may("roles.read") else []
    had = [one["custom_role"] for one in agents.rows if one["custom_role"]]
    return pages.either(
        request,
        ("team.html", "_team.html"),
        said,
        me,
        agents=agents.rows,
        invited=invited,
        roles=ROLES,
        custom_roles={role["id"]: role["name"] for role in (*had, *made)},
        key=uuid4(),
    )
