"""Sending: the endpoints that put a message of ours on WhatsApp (docs/waha.md, "Sending")."""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from crm_fakes.waha import calls, engines
from crm_fakes.waha.body import Json, read_json, required_text
from crm_fakes.waha.errors import (
    bad_request,
    engine_failure,
    json_response,
    session_missing,
    session_status,
)
from crm_fakes.waha.messages import Kind, Location, Media, Message, Poll, bare, chat_id, new_bare_id
from crm_fakes.waha.sessions import WORKING, WahaSession

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import WahaSimulator

Content = Callable[["SendApi", web.Request, Json], Awaitable[Json]]


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the endpoints to an application."""
    api = SendApi(waha)
    senders: tuple[tuple[str, Kind, Content, bool], ...] = (
        ("sendText", "text", _text, True),
        ("sendPoll", "poll", _poll, True),
        ("sendLocation", "location", _location, True),
        ("sendContactVcard", "vcard", _vcards, True),
        ("sendImage", "image", _file, False),
        ("sendFile", "document", _file, False),
        ("sendVoice", "voice", _voice, False),
        ("sendVideo", "video", _file, False),
    )
    for name, kind, content, takes_id in senders:
        app.router.add_post(f"/api/{name}", api.sender(kind, content, takes_id))
    for action in ("sendSeen", "startTyping", "stopTyping"):
        app.router.add_post(f"/api/{action}", api.actor(action))
    app.router.add_post("/api/{session}/calls/reject", api.reject_call)


class SendApi:
    """The endpoints, one method or closure each."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha

    def sender(
        self, kind: Kind, content: Content, takes_id: bool
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler of one kind; `takes_id`: its body may carry a pre-generated id."""

        async def send(request: web.Request) -> web.Response:
            body = await read_json(request)
            name, chat = required_text(body, "session", "chatId")
            fields = await content(self, request, body)
            session = await self.working(request, name, body)
            engine = session.engine
            wanted = body.get("id") if takes_id and engine in engines.PRE_GENERATED_IDS else None
            chat = chat_id(chat)
            group = chat.endswith("@g.us")
            quoted = body.get("reply_to")
            message = Message(
                bare_id=bare(wanted) if wanted else new_bare_id(engine, from_me=True),
                session=name,
                chat=chat,
                from_me=True,
                kind=kind,
                source="api",
                push_name=session.push_name,
                phone=session.lids.get(chat, "").removesuffix("@c.us") or None,
                participant=session.me_id if group else None,
                reply_to=session.messages.get(bare(quoted)) if quoted else None,
                mentions=[str(mentioned) for mentioned in body.get("mentions") or []],
                **fields,
            )
            if not session.may_write_to(chat):
                return self.restricted(request, session, body, message)
            message = self.waha.accept(session, message)
            return await self.answer(request, session, body, message)

        return send

    async def working(self, request: web.Request, name: str, body: Json) -> WahaSession:
        """Return the session once it is WORKING; raises what a real server answers if not."""
        session = self.waha.sessions.get(name)
        if session is None:
            raise session_missing(name)
        faults, timing = self.waha.faults, self.waha.timing
        if refused := faults.strike("refuse", name):
            await asyncio.sleep(refused.seconds or 0.0)
            raise session_status(name, refused.status, WORKING)
        if faults.strike("error_before", name):
            raise engine_failure(request, body, "rate-overlimit")
        if not await session.reach(timing.working_wait * timing.time_scale, WORKING):
            raise session_status(name, session.status, WORKING)
        return session

    def restricted(
        self, request: web.Request, session: WahaSession, body: Json, message: Message
    ) -> web.Response:
        """WhatsApp does not take it: NOWEB tells so by the ack, others by the answer."""
        if session.engine != "NOWEB":
            raise engine_failure(request, body, "server returned error 463")
        self.waha.remember(session, message)
        self.waha.report_ack(session, message, -1, error=self.waha.restriction_error(session))
        return json_response(engines.answer(message, session.engine, session.me_id), 201)

    async def answer(
        self, request: web.Request, session: WahaSession, body: Json, message: Message
    ) -> web.Response:
        """Answer a message that WhatsApp has; the faults of this moment leave that hidden."""
        if hang := self.waha.faults.strike("timeout_after_accept", session.name):
            return await self.waha.hang(request, hang.seconds or 0.0)
        if self.waha.faults.strike("error_after_accept", session.name):
            raise engine_failure(request, body, "Timed out")
        if self.waha.timing.send:
            await asyncio.sleep(self.waha.timing.send)
        return json_response(engines.answer(message, session.engine, session.me_id), 201)

    def actor(self, action: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler of a call without a message: seen, typing."""

        async def act(request: web.Request) -> web.Response:
            body = await read_json(request)
            name, chat = required_text(body, "session", "chatId")
            await self.working(request, name, body)
            self.waha.actions.append((action, name, chat_id(chat)))
            return json_response({"result": True}, 201)

        return act

    async def reject_call(self, request: web.Request) -> web.Response:
        """Reject what rings; `{from, id}`. All engines tell of that."""
        body = await read_json(request)
        caller, call_id = required_text(body, "from", "id")
        session = await self.working(request, request.match_info["session"], body)
        chat = chat_id(caller)
        self.waha.actions.append(("rejectCall", session.name, f"{chat} {call_id}"))
        told = calls.payload(session.engine, "rejected", call_id, chat, None, ours=session.me_id)
        self.waha.emit(session, "call.rejected", told)
        return json_response({"result": True}, 201)


async def _text(_: SendApi, __: web.Request, body: Json) -> Json:
    (text,) = required_text(body, "text")
    return {"text": text, "link_preview": body.get("linkPreview") is not False}


async def _poll(_: SendApi, __: web.Request, body: Json) -> Json:
    poll = body.get("poll") or {}
    name, options = poll.get("name"), poll.get("options")
    if not isinstance(name, str) or not isinstance(options, list):
        raise bad_request("poll.name must be a string", "poll.options must be an array")
    return {"poll": Poll(name, [str(o) for o in options], bool(poll.get("multipleAnswers")))}


async def _location(_: SendApi, __: web.Request, body: Json) -> Json:
    places = (body.get("latitude"), body.get("longitude"))
    if not all(isinstance(p, int | float) and not isinstance(p, bool) for p in places):
        raise bad_request("latitude must be a number", "longitude must be a number")
    return {"location": Location(body["latitude"], body["longitude"], body.get("title"))}


async def _vcards(_: SendApi, __: web.Request, body: Json) -> Json:
    contacts = body.get("contacts")
    if not isinstance(contacts, list) or not contacts:
        raise bad_request("contacts must be a non-empty array")
    return {"vcards": [_vcard(contact) for contact in contacts]}


def _vcard(contact: dict[str, Any]) -> str:
    if contact.get("vcard"):
        return str(contact["vcard"])
    phone = contact.get("phoneNumber", "")
    waid = contact.get("whatsappId") or "".join(c for c in phone if c.isdigit())
    return (
        f"BEGIN:VCARD\nVERSION:3.0\nFN:{contact.get('fullName', '')}\n"
        f"ORG:{contact.get('organization') or ''};\nTEL;type=CELL;waid={waid}:{phone}\nEND:VCARD"
    )


async def _file(api: SendApi, request: web.Request, body: Json) -> Json:
    file = body.get("file")
    if not isinstance(file, dict) or bool(file.get("url")) == bool(file.get("data")):
        raise bad_request("file must have exactly one of url and data")
    content = b""
    if file.get("data"):
        try:
            content = base64.b64decode(file["data"], validate=True)
        except (binascii.Error, ValueError) as error:
            raise engine_failure(request, body, f"bad base64: {error}") from error
    elif api.waha.fetch_files:
        content = await _fetch(request, body, file["url"])
    mimetype = file.get("mimetype") or "application/octet-stream"
    return {"text": body.get("caption"), "media": Media(mimetype, content, file.get("filename"))}


async def _voice(api: SendApi, request: web.Request, body: Json) -> Json:
    """A voice note has no caption: what comes as one is dropped silently."""
    return await _file(api, request, {**body, "caption": None})


async def _fetch(request: web.Request, body: Json, url: str) -> bytes:
    try:
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            response.raise_for_status()
            return await response.read()
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise engine_failure(request, body, f"cannot fetch the file: {error}") from error
