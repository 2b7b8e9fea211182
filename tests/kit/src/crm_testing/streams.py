"""A reader of server-sent events, without a socket in between."""

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson
from starlette.types import ASGIApp, Message

from crm_testing.services import PATIENCE_SECONDS


class Reader:
    """One GET of an application: `async with Reader(app, path, headers) as reader`.

    It reads all that comes, unless it is told to read nothing more (`stuck`).
    """

    def __init__(
        self, app: ASGIApp, path: str, headers: Mapping[str, str], *, below: str = "/api/v1"
    ) -> None:
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": below + path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": query.encode(),
            "client": ("192.0.2.1", 4711),
            "server": ("gateway", 80),
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.closed = False
        self.stuck = False
        """Whether what is sent to it waits for ever."""
        self._news = asyncio.Event()
        self._left = asyncio.Event()
        self._read = 0
        self._serving = asyncio.ensure_future(app(scope, self._receive, self._send))

    async def __aenter__(self) -> Self:
        await self.until(lambda: bool(self.status))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.leave()

    async def leave(self) -> None:
        """Hang up, and wait until the application has noticed."""
        self._left.set()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._serving

    async def ended(self) -> None:
        """Wait until the application has hung up."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.shield(self._serving)

    async def until(self, condition: Any) -> None:
        """Wait until what was received makes this true."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def frame(self) -> dict[str, str]:
        """The next one, field by field; a comment's name is empty."""
        await self.until(lambda: b"\n\n" in self.body[self._read :])
        end = self.body.index(b"\n\n", self._read)
        lines, self._read = self.body[self._read : end].decode().split("\n"), end + 2
        return {line.partition(":")[0]: line.partition(":")[2].strip() for line in lines}

    async def event(self) -> tuple[str, dict[str, Any]]:
        """The next event's id and what it says; what lies before it is passed over."""
        while "data" not in (frame := await self.frame()):
            pass
        said: dict[str, Any] = orjson.loads(frame["data"])
        return frame.get("id", frame.get("event", "")), said

    async def _receive(self) -> Message:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self.stuck:
            await asyncio.Future()
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]
            self.closed = not message.get("more_body", False)
        self._news.set()
