"""Coming in and going out, and the choice of a language."""

import time
from contextlib import suppress
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from crm_console import pages
from crm_console.gateway import RefusedError
from crm_console.logins import Login
from crm_console.visitor import Said, address, gateway
from crm_console.words import LANGUAGES

router = APIRouter()
_YEAR = 365 * 24 * 3600


@router.get("/login")
async def show(request: Request, said: Said) -> Response:
    """The form, unless somebody is logged in."""
    if request.state.login is not None:
        return RedirectResponse("/", 303)
    return pages.page("login.html", said, None, email="", why="", asks_code=False)


@router.post("/login")
async def log_in(
    request: Request,
    said: Said,
    email: Annotated[str, Form(max_length=255)],
    password: Annotated[str, Form(max_length=128)],
    code: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Exchange e-mail and password for tokens; what the gateway refuses is said in the form.

    Who has a second factor is asked for a code then, and for the password once more: it is kept
    nowhere meanwhile.
    """
    body = {"email": email, "password": password} | ({"code": code} if code else {})
    try:
        tokens = await gateway(request).ask(
            "POST", "/auth/login", headers=address(request), body=body
        )
    except RefusedError as refusal:
        asks_code = bool(code) or refusal.code == "two_factor_required"
        return pages.page(
            "login.html",
            said,
            None,
            email=email,
            **pages.of_refusal(said, refusal),
            asks_code=asks_code,
        )
    request.state.login = Login.of(tokens, time.time())
    return RedirectResponse("/", 303)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the login, here and at the gateway."""
    login, request.state.login = request.state.login, None
    if login is not None:
        body = {"refresh_token": login.refresh_token}
        with suppress(RefusedError):  # the cookie goes all the same, and the token with it
            await gateway(request).ask("POST", "/auth/logout", headers=address(request), body=body)
    return RedirectResponse("/login", 303)


@router.post("/language")
async def choose(request: Request, language: Annotated[str, Form(max_length=10)]) -> Response:
    """Remember a language, and show the page anew."""
    back = urlsplit(request.headers.get("referer", "")).path
    answer = RedirectResponse(back if back.startswith("/") and back[1:2] != "/" else "/", 303)
    if language in LANGUAGES:
        answer.set_cookie("language", language, max_age=_YEAR, samesite="lax")
    return answer
