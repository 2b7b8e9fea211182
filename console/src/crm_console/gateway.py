"""The gateway as the console sees it: its REST API and its event stream, and nothing else."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.requests import Request

Json = dict[str, Any]
PAGE = 50
"""Rows of a list that are asked for at once."""
_OF_BODY = ("content-type", "content-length")
_SILENCE_SECONDS = 45.0
"""The gateway gives a sign of life every 15 s; a stream without one for so long is dead."""


class RefusedError(Exception):
    """The gateway did not do it; `status` and `code` are its problem document's (RFC 9457)."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code, self.detail = status, code, detail


@dataclass(frozen=True)
class Listed:
    """Rows of a list from its beginning, and whether there are more."""

    rows: list[Json]
    has_more: bool


class Gateway:
    """Asks in the name of whoever holds the token. Raises RefusedError for all but success."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, Any] | None = None,
        body: Json | None = None,
        content: AsyncIterator[bytes] | None = None,
    ) -> Json:
        """One request below `/api/v1`; an answer without a body is an empty document.

        `content` is a body that is handed on as it comes, of the type that `headers` say.
        """
        wanted = {k: v for k, v in (query or {}).items() if v not in (None, "", False)}
        try:
            answer = await self._http.request(
                method, f"/api/v1{path}", headers=headers, params=wanted, json=body, content=content
            )
        except httpx.TransportError as error:
            raise _away(error) from None
        if not answer.is_success:
            raise _refusal(answer)
        found: Json = answer.json() if answer.content else {}
        return found

    @asynccontextmanager
    async def stream(
        self, path: str, *, headers: Mapping[str, str], query: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A response's bytes as they come; they end when the connection does, however it ends."""
        timeout = httpx.Timeout(10, read=_SILENCE_SECONDS)
        request = self._http.stream(
            "GET", f"/api/v1{path}", headers=headers, params=query, timeout=timeout
        )
        try:
            async with request as answer:
                if not answer.is_success:
                    await answer.aread()
                    raise _refusal(answer)
                yield _until_lost(answer.aiter_bytes())
        except httpx.TransportError as error:
            raise _away(error) from None

    async def ready(self) -> None:
        """Raises unless the gateway takes traffic."""
        (await self._http.get("/health/ready", timeout=1.0)).raise_for_status()


@dataclass(frozen=True)
class Caller:
    """The gateway for one request of a browser, in the name of who is logged in."""

    gateway: Gateway
    headers: Mapping[str, str]

    async def get(self, path: str, **query: Any) -> Json:
        """Read something; what is empty in `query` is left out."""
        return await self.gateway.ask("GET", path, headers=self.headers, query=query)

    async def post(self, path: str, body: Json, *, key: str | None = None) -> Json:
        """Do something; asked again with the same idempotency `key` it is done once."""
        extra = {"Idempotency-Key": key} if key else {}
        return await self.gateway.ask("POST", path, headers={**self.headers, **extra}, body=body)

    async def put(self, path: str, body: Json, *, version: int | None = None) -> Json:
        """Set something; refused unless what it is of is still at this `version`."""
        return await self._change("PUT", path, body, version)

    async def patch(self, path: str, body: Json, *, version: int | None = None) -> Json:
        """Change what `body` says, and leave the rest; refused as `put` is."""
        return await self._change("PATCH", path, body, version)

    async def delete(self, path: str) -> None:
        """Take something away; what is away already is fine where the API says so."""
        await self.gateway.ask("DELETE", path, headers=self.headers)

    async def hand_on(self, path: str, request: Request) -> Json:
        """Post a browser's body as it comes: it is neither read nor kept here."""
        of_body = {k: v for k, v in request.headers.items() if k in _OF_BODY}
        headers = {**self.headers, **of_body}
        return await self.gateway.ask("POST", path, headers=headers, content=request.stream())

    async def listed(
        self, path: str, pages: int = 1, *, after: str | None = None, **query: Any
    ) -> Listed:
        """The first `pages` pages of a list, or of what comes `after` a cursor."""
        rows: list[Json] = []
        cursor, has_more = after, True
        for _ in range(pages):
            page = await self.get(path, limit=PAGE, cursor=cursor, **query)
            rows += page["data"]
            cursor, has_more = page["next_cursor"], page["has_more"]
            if not has_more:
                break
        return Listed(rows, has_more)

    async def _change(self, method: str, path: str, body: Json, version: int | None) -> Json:
        extra = {} if version is None else {"If-Match": f'"{version}"'}
        return await self.gateway.ask(method, path, headers={**self.headers, **extra}, body=body)


async def _until_lost(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for chunk in chunks:
            yield chunk
    except httpx.TransportError:
        return


def _away(error: httpx.TransportError) -> RefusedError:
    detail = f"The CRM does not answer ({type(error).__name__})."
    return RefusedError(503, "gateway_unavailable", detail)


def _refusal(answer: httpx.Response) -> RefusedError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    code, detail = problem.get("code") or "refused", problem.get("detail") or ""
    reasons = [f"{e['pointer']}: {e['message']}" for e in problem.get("errors") or ()]
    return RefusedError(answer.status_code, code, " ".join([detail, *reasons]).strip())
