"""What is a person's own: the second factor of their login, and the companies they work for."""

import time
from typing import Annotated
from uuid import UUID

import segno
from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from crm_console import pages
from crm_console.gateway import Caller, Json, RefusedError
from crm_console.logins import Login
from crm_console.visitor import Crm, Said
from crm_console.words import Words

router = APIRouter(prefix="/account")
Password = Annotated[str, Form(min_length=1, max_length=128)]
Code = Annotated[str, Form(min_length=1, max_length=40)]


@router.get("")
async def show(crm: Crm, said: Said) -> Response:
    """Whether there is a second factor, and which companies there are.

    Who lacks a second factor that their company wants is led here, and may do nothing else.
    """
    return await _page(crm, said)


@router.post("/two-factor")
async def begin(crm: Crm, said: Said, password: Password) -> Response:
    """Show a secret for an authenticator, which is asked to prove that it has it."""
    return await _act(crm, said, "/auth/two-factor", {"password": password})


@router.post("/two-factor/confirm")
async def confirm(crm: Crm, said: Said, code: Code) -> Response:
    """Have codes asked for from now on, and show those for who loses the authenticator."""
    return await _act(crm, said, "/auth/two-factor/confirm", {"code": code})


@router.post("/two-factor/recovery-codes")
async def renew(crm: Crm, said: Said, password: Password, code: Code) -> Response:
    """Show other recovery codes, in place of those of before."""
    body = {"password": password, "code": code}
    return await _act(crm, said, "/auth/two-factor/recovery-codes", body)


@router.post("/two-factor/disable")
async def disable(crm: Crm, said: Said, password: Password, code: Code) -> Response:
    """Ask for the password alone again."""
    body = {"password": password, "code": code}
    return await _act(crm, said, "/auth/two-factor/disable", body)


@router.post("/company")
async def switch(request: Request, crm: Crm, tenant_id: Annotated[UUID, Form()]) -> Response:
    """Go on in another company; the login to this one is given up here."""
    login: Login = request.state.login  # `crm` is in its name
    body = {"tenant_id": str(tenant_id), "refresh_token": login.refresh_token}
    tokens = await crm.post("/auth/switch", body)
    request.state.login = Login.of(tokens, time.time())
    return RedirectResponse("/", 303)


async def _act(crm: Caller, said: Words, path: str, body: Json) -> Response:
    """Do something, and show what it gives, which the gateway shows once; or why it was not done.

    Raises RefusedError where the login is no good any more.
    """
    try:
        given = await crm.post(path, body)
    except RefusedError as refusal:
        if refusal.status == 401:
            raise
        return await _page(crm, said, refusal=refusal)
    return await _page(crm, said, given=given)


async def _page(
    crm: Caller, said: Words, *, given: Json | None = None, refusal: RefusedError | None = None
) -> Response:
    given = given or {}
    uri = given.get("otpauth_uri")
    return pages.page(
        "account.html",
        said,
        None,
        two_factor=await crm.get("/auth/two-factor"),
        companies=(await crm.get("/auth/tenants"))["data"],
        secret=given.get("secret"),
        picture=segno.make(uri).svg_inline(scale=4, light="white") if uri else "",
        recovery_codes=given.get("recovery_codes", ()),
        **pages.of_refusal(said, refusal),
    )
