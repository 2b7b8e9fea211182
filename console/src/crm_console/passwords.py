"""A first password for who was invited, and another for who forgot theirs.

The links of the gateway's mail lead here (its setting `PUBLIC_URL`). Their token stands behind the
`#`, which browsers send to nobody: a script of ours puts it into the form.
"""

import time
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from crm_console import pages
from crm_console.gateway import RefusedError
from crm_console.logins import Login
from crm_console.visitor import Said, address, gateway
from crm_console.words import Words

router = APIRouter()
Token = Annotated[str, Form(min_length=1, max_length=500)]
Password = Annotated[str, Form(min_length=8, max_length=128)]


@router.get("/accept-invitation")
async def ask_first(said: Said) -> Response:
    """The form of a first password."""
    return _form(said, "accept-invitation")


@router.post("/accept-invitation")
async def accept(
    request: Request,
    said: Said,
    token: Token,
    password: Password,
    code: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Give the invited person their password, and let them in.

    Who has an account already, of another company, gives the password of that, and a code where it
    has a second factor.
    """
    body = {"invitation_token": token, "password": password} | ({"code": code} if code else {})
    try:
        tokens = await gateway(request).ask(
            "POST", "/auth/accept-invitation", headers=address(request), body=body
        )
    except RefusedError as refusal:
        asks_code = bool(code) or refusal.code == "two_factor_required"
        return _form(said, "accept-invitation", refusal, token, asks_code=asks_code)
    request.state.login = Login.of(tokens, time.time())
    return RedirectResponse("/", 303)


@router.get("/reset-password")
async def ask_new(said: Said) -> Response:
    """The form of another password."""
    return _form(said, "reset-password")


@router.post("/reset-password")
async def reset(request: Request, said: Said, token: Token, password: Password) -> Response:
    """Replace a password; every login of before has ended, this browser's too."""
    body = {"reset_token": token, "password": password}
    try:
        await gateway(request).ask(
            "POST", "/auth/password/reset", headers=address(request), body=body
        )
    except RefusedError as refusal:
        return _form(said, "reset-password", refusal, token)
    return pages.to_login(request)


@router.get("/forgot-password")
async def forgot(said: Said) -> Response:
    """Ask whose password it is."""
    return pages.page("forgot.html", said, None, sent=False, why="")


@router.post("/forgot-password")
async def mail(
    request: Request, said: Said, email: Annotated[str, Form(min_length=3, max_length=255)]
) -> Response:
    """Have a link mailed; what is said here tells nobody whether there is an account."""
    try:
        await gateway(request).ask(
            "POST", "/auth/password/forgot", headers=address(request), body={"email": email}
        )
    except RefusedError as refusal:
        return pages.page("forgot.html", said, None, sent=False, **pages.of_refusal(said, refusal))
    return pages.page("forgot.html", said, None, sent=True, why="")


def _form(
    said: Words,
    act: str,
    refusal: RefusedError | None = None,
    token: str = "",
    *,
    asks_code: bool = False,
) -> Response:
    told = pages.of_refusal(said, refusal)
    return pages.page(
        "password.html", said, None, act=act, token=token, asks_code=asks_code, **told
    )
