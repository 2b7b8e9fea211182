"""How the company works: its options, for everybody."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import Json
from crm_console.visitor import Crm, Me, Myself, Said
from crm_console.words import Words

router = APIRouter(prefix="/settings/company")
AGENTS_SEE = ("all", "own")
AUTO_ASSIGNMENT = ("off", "round_robin", "least_busy")


@router.get("")
async def show(request: Request, crm: Crm, me: Myself, said: Said) -> Response:
    """The options, as they are."""
    return _options(request, me, said, await crm.get("/settings"))


@router.post("")
async def change(
    request: Request,
    crm: Crm,
    me: Myself,
    said: Said,
    version: Annotated[int, Form(ge=0, lt=2**31)],
    agents_see: Annotated[Literal["all", "own"], Form()],
    auto_assignment: Annotated[Literal["off", "round_robin", "least_busy"], Form()],
    sessions_per_agent: Annotated[int, Form(ge=1, le=1000)],
    event_retention_days: Annotated[int | None, Form(ge=1, le=365)] = None,
    require_two_factor: Annotated[bool, Form()] = False,
) -> Response:
    """Change them, at once and for everybody; refused if somebody changed them in between."""
    wanted: Json = {
        "agents_see": agents_see,
        "auto_assignment": auto_assignment,
        "sessions_per_agent": sessions_per_agent,
        "event_retention_days": event_retention_days,
        "require_two_factor": require_two_factor,
    }
    options = await crm.patch("/settings", wanted, version=version)
    return pages.done(request, _options(request, me, said, options), "/settings/company")


def _options(request: Request, me: Me, said: Words, options: Json) -> Response:
    return pages.either(
        request,
        ("company.html", "_company.html"),
        said,
        me,
        options=options,
        agents_see=AGENTS_SEE,
        auto_assignment=AUTO_ASSIGNMENT,
    )
