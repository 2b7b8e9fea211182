"""What every request passes on its way in and every response on its way out."""

import re
from urllib.parse import urlsplit

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_console.logins import MAX_AGE, Cookies

COOKIE = "crm_console"
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Shielded:
    """Refuses what another site's page asks, and tells browsers what this one's may not do.

    A browser says where a request comes from: `Sec-Fetch-Site`, or at least `Origin`. No token in
    forms is needed then (https://owasp.org/www-community/attacks/csrf, Fetch Metadata); the login's
    cookie is SameSite besides.
    """

    def __init__(self, app: ASGIApp, files_origin: str) -> None:
        self._app = app
        files = f"'self' {files_origin}"
        self._headers = {
            "Content-Security-Policy": "; ".join(
                (
                    "default-src 'none'",
                    "script-src 'self'",
                    "style-src 'self'",
                    "connect-src 'self'",
                    f"img-src {files}",
                    f"media-src {files}",
                    "form-action 'self'",
                    "base-uri 'none'",
                    "frame-ancestors 'none'",
                )
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer 403 to a stranger's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if scope["method"] in _SAFE or _is_own(Headers(scope=scope)):
            await self._app(scope, receive, shielded)
        else:
            refused = PlainTextResponse("This was asked by another site's page.", 403)
            await refused(scope, receive, shielded)


def _is_own(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc == headers.get("host", "")


class Bounded:
    """Answers 413 to a form that is larger than any of ours, before it is kept or understood.

    Files are not forms: what goes to the paths of `but` is handed on as it comes, and the gateway
    says how much it may be.
    """

    def __init__(self, app: ASGIApp, limit: int, but: re.Pattern[str]) -> None:
        self._app, self._limit, self._but = app, limit, but

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose body stays below the limit, in bytes."""
        if scope["type"] != "http" or self._but.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit:
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)


class LoggedIn:
    """Opens the login's cookie into `request.state.login`, and seals what is there afterwards."""

    def __init__(self, app: ASGIApp, cookies: Cookies, *, secure: bool) -> None:
        self._app, self._cookies, self._secure = app, cookies, secure

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; the cookie is written only when the login has changed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        value = HTTPConnection(scope).cookies.get(COOKIE, "")
        before = self._cookies.read(value) if value else None
        state = scope.setdefault("state", {})
        state["login"] = before

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                after = state["login"]
                if after != before or (value and after is None):
                    sealed = self._cookies.write(after) if after else ""
                    MutableHeaders(scope=message).append("Set-Cookie", self._cookie(sealed))
            await send(message)

        await self._app(scope, receive, sealed)

    def _cookie(self, value: str) -> str:
        bearer = Response()
        bearer.set_cookie(
            COOKIE,
            value,
            max_age=MAX_AGE if value else 0,
            httponly=True,
            secure=self._secure,
            samesite="lax",
        )
        return bearer.headers["set-cookie"]
