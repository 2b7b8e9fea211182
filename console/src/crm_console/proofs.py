"""Proof that an e-mail is its owner's: where the link in the mail leads, and who is asked for it.

Nothing is proved by opening the link, which mail servers do as well: a person presses the button.
"""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from crm_console import pages
from crm_console.gateway import RefusedError
from crm_console.visitor import Crm, Said, address, gateway
from crm_console.words import Words

router = APIRouter(prefix="/verify-email")


@router.get("")
async def show(request: Request, said: Said) -> Response:
    """The form, and for who is logged in a way to another link."""
    return _page(request, said)


@router.post("")
async def verify(
    request: Request, said: Said, token: Annotated[str, Form(min_length=1, max_length=500)]
) -> Response:
    """Prove the e-mail that the token was mailed to."""
    try:
        await gateway(request).ask(
            "POST", "/auth/email/verify", headers=address(request), body={"token": token}
        )
    except RefusedError as refusal:
        return _page(request, said, refusal)
    return _page(request, said, told="verify-email.done")


@router.post("/again")
async def mail(request: Request, said: Said, crm: Crm) -> Response:
    """Have another link mailed to who is logged in."""
    try:
        await crm.post("/auth/email/verification", {})
    except RefusedError as refusal:
        return _page(request, said, refusal)
    return _page(request, said, told="verify-email.sent")


def _page(
    request: Request, said: Words, refusal: RefusedError | None = None, told: str = ""
) -> Response:
    return pages.page(
        "verify.html",
        said,
        None,
        told=told,
        is_known=request.state.login is not None,
        **pages.of_refusal(said, refusal),
    )
