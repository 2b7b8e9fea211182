"""What happens, as it happens: from the gateway's event stream to open pages.

A page is told what has changed and asks for it anew, in the words and with the rights of who looks;
no event's content goes through here. Names of changes are `inbox`, `conversation-<id>` (what was
said), `session-<contact>`, or `session-<conversation>` of a group (who has it, and whether it goes
on), `contact-<id>`, `board-<pipeline>` and `channels`; `fresh` means that anything may have
changed.
"""

import asyncio
import json
from collections.abc import AsyncIterator

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse

from crm_console.gateway import Caller, Json, RefusedError
from crm_console.logins import LoggedOutError
from crm_console.visitor import caller

log = structlog.get_logger()
router = APIRouter()
_TYPES = "message.*,session.*,conversation.*,contact.*,note.*,channel.*"
_TOGETHER_SECONDS = 0.2
"""What happens within it is told together: a page asks five times a second at most."""
_AGAIN_SECONDS = 1.0
_LATER_SECONDS = 30.0


@router.get("/live")
async def follow(request: Request) -> Response:
    """The page's event stream; `Last-Event-ID` goes on where another one broke off."""
    after = request.headers.get("last-event-id", "")
    try:
        told = changes(await caller(request), after)
    except (LoggedOutError, RefusedError):
        told = _briefly(frame("fresh"))  # the page asks for something, and is told why not
    headers = {"X-Accel-Buffering": "no"}
    return StreamingResponse(told, media_type="text/event-stream", headers=headers)


async def changes(crm: Caller, after: str) -> AsyncIterator[bytes]:
    """Frames for a page, until the login ends; a gateway that goes away is waited for."""
    told = _Told(after)
    reading = asyncio.create_task(_read(crm, told))
    try:
        while not told.is_over:
            yield await told.next()
            await asyncio.sleep(_TOGETHER_SECONDS)
    finally:
        reading.cancel()


class _Told:
    """Changes that the page was not told of yet, and how far in the feed they reach."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        self.is_over = False
        """Whether the page was told of all, and that no more comes."""
        self._ends = False
        self._names: set[str] = set()
        self._bell = asyncio.Event()

    def add(self, names: set[str], cursor: str) -> None:
        """More of them; without a name it is a sign of life."""
        self._names |= names
        self.cursor = cursor or self.cursor
        self._bell.set()

    def begin_anew(self) -> None:
        """What comes behind the cursor is kept no more."""
        self.cursor = ""

    def end(self) -> None:
        """No more comes; what changes from now on is not told."""
        self._ends = True
        self.add({"fresh"}, "")

    async def next(self) -> bytes:
        """All changes there are, once there are some."""
        await self._bell.wait()
        self._bell.clear()
        names, self._names, self.is_over = self._names, set(), self._ends
        return b"".join(map(frame, sorted(names))) + b"id: %b\n\n" % self.cursor.encode()


async def _read(crm: Caller, told: _Told) -> None:
    """Follow the gateway until the login's token has ended; the page then comes with a new one."""
    try:
        while True:
            try:
                await _follow(crm, told)
                pause = _AGAIN_SECONDS
            except RefusedError as refusal:
                log.info("events_refused", code=refusal.code)
                if refusal.status == 401:
                    return
                is_too_old = refusal.code == "cursor_expired"
                if is_too_old:
                    told.begin_anew()
                passes = refusal.status >= 500 or is_too_old
                pause = _AGAIN_SECONDS if passes else _LATER_SECONDS
            await asyncio.sleep(pause)
    finally:
        told.end()


async def _follow(crm: Caller, told: _Told) -> None:
    headers = {**crm.headers, **({"Last-Event-ID": told.cursor} if told.cursor else {})}
    # What happened before the stream begins is in what a page asks for after that, not before.
    begins = not told.cursor
    async with crm.gateway.stream(
        "/events/stream", headers=headers, query={"types": _TYPES}
    ) as chunks:
        async for fields in parsed(chunks):
            if fields.get("event") == "end":
                return
            event = json.loads(fields["data"]) if "data" in fields else None
            names, cursor = touched(event) if event else set(), fields.get("id", "")
            told.add(names | {"fresh"} if begins and cursor else names, cursor)
            begins = begins and not cursor


async def parsed(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, str]]:
    """The fields of each server-sent event.

    Its lines end with a line feed and nothing else: what people write may have other line breaks.
    """
    rest = b""
    async for chunk in chunks:
        *frames, rest = (rest + chunk).split(b"\n\n")
        for each in frames:
            lines = (line.partition(": ") for line in each.decode().split("\n"))
            yield {name: value for name, _, value in lines}


def touched(event: Json) -> set[str]:
    """The names of what an event has changed."""
    data, noun = event["data"], event["type"].partition(".")[0]
    inner = data.get(noun) if isinstance(data.get(noun), dict) else {}
    match noun:
        case "message" | "conversation":
            of = inner.get("conversation_id") or data.get("conversation_id")
            names = {f"conversation-{of}", "inbox"}
        case "session":
            names = {f"session-{inner.get('conversation_id') or inner['contact_id']}", "inbox"}
        case "channel":
            names = {"channels"}
        case "note":
            names = {f"contact-{inner.get('contact_id') or data.get('contact_id')}"}
        case _:
            names = {f"contact-{inner.get('id') or data.get('contact_id')}", "inbox"}
            places = (inner, data.get("before") or {}, data.get("after") or {})
            names |= {f"board-{p['pipeline_id']}" for p in places if p.get("pipeline_id")}
    return names


def frame(name: str) -> bytes:
    """An event for a page; browsers drop one without data."""
    return b"event: %b\ndata: -\n\n" % name.encode()


async def _briefly(data: bytes) -> AsyncIterator[bytes]:
    yield data
    await asyncio.sleep(_AGAIN_SECONDS)  # before the page comes back
