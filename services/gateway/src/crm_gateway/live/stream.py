"""One stream: from its first page to the reason it ends."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog
from prometheus_client import Counter
from service_kit.errors import ProblemError
from shared_events.requests import Principal
from shared_events.webhooks.event import FollowEvents
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crm_gateway.live import frames
from crm_gateway.live.streams import Page, Streams
from crm_gateway.problems.edge import request_id
from crm_gateway.problems.errors import HttpError, of_error

log = structlog.get_logger()

ENDED = Counter("crm_event_streams_ended_total", "Event streams that ended", ["reason"])
_AWAY = 500
"""From this status on it is not the reader's doing, and passes."""
_LEFT, _SLOW = "left", "slow_reader"
_RETRY_MS = (1000, 5000)
"""When to come back, drawn anew for each: those of a gateway that goes do not come all at once."""

Admit = Callable[[], Awaitable[Principal]]
"""Says who asks, as things stand now; raises ProblemError when that is nobody who may."""


class _EndedError(Exception):
    """The stream ends."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(code)
        self.code, self.detail = code, detail


class EventStream(Response):
    """Writes what happens until the reader leaves, may not see it any more, or is too slow.

    Whoever comes back with the last id goes on behind it, here or at another gateway.
    """

    media_type = "text/event-stream"
    _bell: asyncio.Event
    _send: Send
    _correlation_id: str

    def __init__(
        self, streams: Streams, tenant_id: str, request: FollowEvents, first: Page, admit: Admit
    ) -> None:
        """`first` is the page that `request` begins with; `admit` is asked before each other."""
        super().__init__(headers={"Connection": "close", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._streams, self._tenant_id = streams, tenant_id
        self._request, self._first, self._admit = request, first, admit
        self._pace = streams.pace
        self._left = False
        self._look_at = self._beat_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it to its end."""
        self._send, self._correlation_id = send, request_id(scope)
        with self._streams.entered(self._tenant_id) as self._bell:
            leaving = asyncio.create_task(self._until_left(receive))
            try:
                await send(
                    {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                )
                await self._follow()
            except _EndedError as over:
                ENDED.labels(over.code).inc()
                log.debug("event_stream_ended", reason=over.code)
                if over.code not in (_LEFT, _SLOW):
                    with suppress(_EndedError):
                        await self._write(frames.end(over.code, over.detail), is_last=True)
            finally:
                leaving.cancel()

    async def _until_left(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._left = True
        self._bell.set()

    async def _follow(self) -> None:
        await self._write(frames.opening(random.randint(*_RETRY_MS)))  # noqa: S311
        await self._show(self._first)
        await self._write(frames.beat(self._first.cursor))
        self._bell.set()  # it may have grown before there was a bell
        while True:
            is_due = await self._woken()
            if self._left:
                raise _EndedError(_LEFT)
            if self._streams.closing:
                raise _EndedError("moving", "This server is replaced: come back, and miss nothing.")
            try:
                principal = await self._admit()
                if is_due:
                    await self._show(await self._next(principal))
            except (ProblemError, HttpError) as error:
                refusal = error if isinstance(error, HttpError) else of_error(error)
                if refusal.status < _AWAY:
                    raise _EndedError(refusal.code, refusal.detail) from None
                self._look_at = time.monotonic() + self._pace.again
            if time.monotonic() >= self._beat_at:
                await self._write(frames.beat(self._request.after or ""))

    async def _woken(self) -> bool:
        """Wait for the bell, or for the next thing to do by the clock; whether that is to read."""
        wait = min(self._look_at, self._beat_at) - time.monotonic()
        if wait > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._bell.wait()
        rang = self._bell.is_set()
        self._bell.clear()
        return rang or time.monotonic() >= self._look_at

    async def _next(self, principal: Principal) -> Page:
        return await self._streams.pages.read(self._request, principal, self._correlation_id)

    async def _show(self, page: Page) -> None:
        for chunk in page.chunks:
            await self._write(chunk)
        self._request = self._request.model_copy(update={"after": page.cursor})
        self._look_at = 0.0 if page.has_more else time.monotonic() + self._pace.look

    async def _write(self, data: bytes, *, is_last: bool = False) -> None:
        """Returns when the socket has taken it; raises _EndedError when that takes too long."""
        try:
            async with asyncio.timeout(self._pace.write):
                await self._send(
                    {"type": "http.response.body", "body": data, "more_body": not is_last}
                )
        except TimeoutError:
            raise _EndedError(_SLOW) from None
        self._beat_at = time.monotonic() + self._pace.beat
