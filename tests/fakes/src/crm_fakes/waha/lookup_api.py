"""Lookups: message history, hidden ids, contacts with their pictures, files, and labels."""

import asyncio
import time
from typing import TYPE_CHECKING

from aiohttp import web

from crm_fakes.waha import engines, history, label_api
from crm_fakes.waha.body import Json
from crm_fakes.waha.errors import (
    WahaError,
    bad_request,
    json_response,
    not_found,
    not_implemented,
    session_status,
)
from crm_fakes.waha.messages import ACK_NAMES, Message, bare, chat_id, new_bare_id
from crm_fakes.waha.sessions import WORKING, WahaSession

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import WahaSimulator


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the endpoints to an application."""
    api = LookupApi(waha)
    history = "/api/{session}/chats/{chat}/messages"
    app.add_routes(
        [
            web.get("/api/{session}/new-message-id", api.new_message_id),
            web.get("/api/{session}/chats/overview", api.overview),
            web.get(history, api.messages),
            web.get(f"{history}/{{message}}", api.message),
            web.get("/api/{session}/groups/{group}", api.group),
            web.get("/api/{session}/lids/pn/{phone}", api.lid_of_phone),
            web.get("/api/{session}/lids/{lid}", api.phone_of_lid),
            web.get("/api/contacts/check-exists", api.check_exists),
            web.get("/api/contacts/profile-picture", api.profile_picture),
            web.get("/api/files/{session}/{file}", api.file),
            web.get("/_cdn/{picture}", api.picture),
        ]
    )
    label_api.add_routes(app, waha)


class LookupApi:
    """The endpoints, one method each."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha

    def _session(self, request: web.Request) -> WahaSession:
        return self.waha.session(request.match_info["session"])

    async def new_message_id(self, request: web.Request) -> web.Response:
        """Answer an id to send with later; WEBJS cannot."""
        session = self._session(request)
        if session.engine not in engines.PRE_GENERATED_IDS:
            raise not_implemented()
        return json_response({"id": new_bare_id(session.engine, from_me=True)})

    def _history(self, session: WahaSession, chat: str) -> list[Message]:
        if not session.keeps_history:
            return []
        whole = chat == "all" and session.engine in engines.PRE_GENERATED_IDS
        wanted = chat_id(chat)
        # One person's chat is found by phone and by hidden id alike.
        same = {wanted, session.lids.get(wanted, wanted)}
        return [m for m in session.messages.values() if whole or m.chat in same]

    def _row(self, request: web.Request, session: WahaSession, message: Message) -> Json | None:
        if request.query.get("downloadMedia", "true") == "true":
            self.waha.serve_file(session, message)
        return history.row(message, session.engine, session.me_id)

    async def overview(self, request: web.Request) -> web.Response:
        """Answer a page of the chats, newest first, alike on all engines; 422 unless WORKING."""
        session = self._session(request)
        if session.status != WORKING:
            raise session_status(session.name, session.status, WORKING)
        try:
            limit = int(request.query.get("limit", 20))
            offset = int(request.query.get("offset", 0))
        except ValueError as error:
            raise bad_request(str(error)) from error
        newest: dict[str, Message] = {}
        for message in session.messages.values() if session.keeps_history else ():
            last = newest.get(message.chat)
            at = history.said_at(message, session.engine)
            if last is None or history.said_at(last, session.engine) <= at:
                newest[message.chat] = message
        rows = sorted(
            newest.values(), key=lambda m: history.said_at(m, session.engine), reverse=True
        )
        return json_response(
            [
                {
                    "id": last.chat,
                    "name": last.push_name,
                    "picture": None,
                    "lastMessage": history.row(last, session.engine, session.me_id),
                    "_chat": {"id": last.chat},
                }
                for last in rows[offset : offset + limit]
            ]
        )

    async def messages(self, request: web.Request) -> web.Response:
        """Answer a page of a chat, newest first; filters are applied after paging."""
        session = self._session(request)
        if self.waha.faults.strike("history_error", session=session.name):
            raise WahaError(500, {"statusCode": 500, "message": "Internal Server Error"})
        query = request.query
        try:
            limit, offset = int(query.get("limit", 10)), int(query.get("offset", 0))
            since = float(query.get("filter.timestamp.gte", 0))
            until = float(query.get("filter.timestamp.lte", "inf"))
        except ValueError as error:
            raise bad_request(str(error)) from error
        rows = self._history(session, request.match_info["chat"])
        rows.sort(key=lambda m: history.said_at(m, session.engine))
        if query.get("sortOrder", "desc") != "asc":
            rows.reverse()  # within a second, too
        mine, ack = query.get("filter.fromMe"), query.get("filter.ack")
        return json_response(
            [
                row
                for m in rows[offset : offset + limit]
                if since <= history.said_at(m, session.engine) <= until
                and mine in (None, "true" if m.from_me else "false")
                and ack in (None, ACK_NAMES[m.ack])
                and (row := self._row(request, session, m))
            ]
        )

    async def message(self, request: web.Request) -> web.Response:
        """Answer one message by its id, full or bare; its file is served anew."""
        session = self._session(request)
        wanted = bare(request.match_info["message"])
        for message in self._history(session, request.match_info["chat"]):
            if message.bare_id == wanted and (row := self._row(request, session, message)):
                return json_response(row)
        raise not_found("Message not found")

    async def group(self, request: web.Request) -> web.Response:
        """Answer a group whose subject is kept in `groups`, as its engine does.

        422 unless WORKING, 404 for one that we are not in.
        """
        session, chat = self._session(request), request.match_info["group"]
        self.waha.group_looks.append((session.name, chat))
        if session.status != WORKING:
            raise session_status(session.name, session.status, WORKING)
        if self.waha.faults.strike("group_error", session=session.name):
            raise WahaError(500, {"statusCode": 500, "message": "rate-overlimit"})
        subject = self.waha.groups.get(chat)
        if subject is None:
            raise not_found("Group not found")
        return json_response(engines.group(session.engine, chat, subject))

    async def phone_of_lid(self, request: web.Request) -> web.Response:
        """Answer the phone behind a hidden id, null when unknown."""
        digits = request.match_info["lid"].removesuffix("@lid")
        lid = f"{digits}@lid"
        return json_response({"lid": lid, "pn": self._session(request).lids.get(lid)})

    async def lid_of_phone(self, request: web.Request) -> web.Response:
        """Answer the hidden id of a phone, null when unknown."""
        phone = chat_id(request.match_info["phone"])
        lids = self._session(request).lids
        lid = next((lid for lid, known in lids.items() if known == phone), None)
        return json_response({"lid": lid, "pn": phone})

    async def check_exists(self, request: web.Request) -> web.Response:
        """Answer the chat id of a phone; `numbers` may name another one, or None for nobody.

        422 unless WORKING, on all engines.
        """
        session = self.waha.session(request.query.get("session", ""))
        digits = "".join(c for c in request.query.get("phone", "") if c.isdigit())
        self.waha.number_looks.append((session.name, digits))
        if session.status != WORKING:
            raise session_status(session.name, session.status, WORKING)
        if self.waha.faults.strike("number_error", session=session.name):
            raise WahaError(500, {"statusCode": 500, "message": "rate-overlimit"})
        found = self.waha.numbers.get(digits, f"{digits}@c.us" if digits else None)
        if found is None:
            return json_response({"numberExists": False})
        return json_response({"numberExists": True, "chatId": chat_id(found)})

    async def profile_picture(self, request: web.Request) -> web.Response:
        """Answer the url kept in `pictures` for a chat id, or null; 422 unless WORKING.

        What was answered is answered for a day, unless `refresh` is asked for.
        """
        session = self.waha.session(request.query.get("session", ""))
        contact = chat_id(request.query.get("contactId", ""))
        self.waha.picture_looks.append((session.name, contact, time.monotonic()))
        if session.status != WORKING:
            raise session_status(session.name, session.status, WORKING)
        if self.waha.faults.strike("picture_error", session=session.name):
            raise WahaError(500, {"statusCode": 500, "message": "rate-overlimit"})
        key = session.name, contact
        known = self.waha.pictures_cached
        if key not in known or request.query.get("refresh") == "true":
            known[key] = self.waha.pictures.get(contact)
        return json_response({"profilePictureURL": known[key]})

    async def picture(self, request: web.Request) -> web.Response:
        """Answer a picture's bytes, as WhatsApp's CDN does: to whoever has the url."""
        if self.waha.faults.strike("file_error"):
            raise WahaError(500, {"statusCode": 500, "message": "Internal Server Error"})
        content = self.waha.picture_files.get(request.match_info["picture"])
        if content is None:
            raise web.HTTPForbidden(text="URL signature expired")
        return web.Response(body=content, content_type="image/jpeg")

    async def file(self, request: web.Request) -> web.Response:
        """Answer the bytes of a file until it expires."""
        key = (request.match_info["session"], request.match_info["file"])
        if slow := self.waha.faults.strike("file_slow", session=key[0]):
            await asyncio.sleep(slow.seconds or 0)
        if self.waha.faults.strike("file_error", session=key[0]):
            raise WahaError(500, {"statusCode": 500, "message": "Internal Server Error"})
        stored = self.waha.files.get(key)
        if stored is None or stored.expires_at <= time.monotonic():
            self.waha.files.pop(key, None)
            raise not_found(f"File not found: {key[1]}")
        return web.Response(body=stored.content, headers={"Content-Type": stored.mimetype})
