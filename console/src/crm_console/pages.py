"""Pages and parts of pages, from templates; every value is escaped."""

from functools import cache
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from crm_console.gateway import RefusedError
from crm_console.visitor import Me
from crm_console.words import LANGUAGES, Words, words

SECTIONS = (
    ("inbox", "/", "sessions.read"),
    ("board", "/board", "pipelines.read"),
    ("channels", "/channels", "channels.read"),
    ("webhooks", "/webhooks", "webhooks.read"),
    ("reports", "/reports", "reports.read"),
    ("settings", "/settings", "agents.read"),
)
"""What there is to go to: its name, its path, and the permission to read it."""


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("crm_console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def part(template: str, said: Words, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A piece of a page, to take the place of an older one."""
    return HTMLResponse(_templates().get_template(template).render(t=said, **values), status)


def page(
    template: str, said: Words, me: Me | None, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A whole page; without `me` one for who is not logged in."""
    sections = [s for s in SECTIONS if me and me.may(s[2])]
    frame = {"me": me, "sections": sections, "languages": LANGUAGES}
    return part(template, said, status=status, **frame, **values)


def of_refusal(said: Words, refusal: RefusedError | None) -> dict[str, Any]:
    """What a page says of a refusal, if there was one: its status, and `why`."""
    if refusal is None:
        return {"why": ""}
    why = said.or_else(f"problem.{refusal.code}", refusal.detail)
    return {"status": refusal.status, "why": why}


def either(
    request: Request, templates: tuple[str, str], said: Words, me: Me, **values: Any
) -> HTMLResponse:
    """The second template for htmx, the first, which holds it, for who asks for a whole page."""
    whole, piece = templates
    if _is_htmx(request):
        return part(piece, said, me=me, **values)
    return page(whole, said, me, **values)


def done(request: Request, answer: Response, location: str) -> Response:
    """After an act: what changes in the page, or, without htmx, the page it was asked from."""
    return answer if _is_htmx(request) else RedirectResponse(location, 303)


def to_login(request: Request) -> Response:
    """Forget the login, and lead the browser to where there is another."""
    request.state.login = None
    return to(request, "/login")


def to(request: Request, location: str) -> Response:
    """Lead the browser to another page."""
    if _is_htmx(request):
        return Response(headers={"HX-Redirect": location})
    return RedirectResponse(location, 303)


def refused(request: Request, refusal: RefusedError) -> Response:
    """Say why something was not done: beside the page, or, without htmx, instead of it."""
    said = words(request)
    told = of_refusal(said, refusal)
    if not _is_htmx(request):
        return page("problem.html", said, None, **told)
    answer = part("_problem.html", said, **told)
    answer.headers.update({"HX-Retarget": "#problem", "HX-Reswap": "innerHTML"})
    return answer


def _is_htmx(request: Request) -> bool:
    return "hx-request" in request.headers
