"""Changing messages by the API: edits, deletions for everyone, reactions (docs/waha.md)."""

from typing import TYPE_CHECKING

from aiohttp import web

from crm_fakes.waha import changes, engines
from crm_fakes.waha.body import read_json, required_text
from crm_fakes.waha.errors import engine_failure, json_response, not_found
from crm_fakes.waha.messages import Message, bare, new_bare_id
from crm_fakes.waha.send_api import SendApi
from crm_fakes.waha.sessions import WahaSession

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import WahaSimulator


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the endpoints to an application."""
    api = ChangeApi(waha)
    message = "/api/{session}/chats/{chat}/messages/{message}"
    app.router.add_put(message, api.edit)
    app.router.add_delete(message, api.revoke)
    app.router.add_put("/api/reaction", api.react)


class ChangeApi:
    """The endpoints. What each did to WhatsApp stands in the simulator's `actions`."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha
        self._sending = SendApi(waha)

    async def edit(self, request: web.Request) -> web.Response:
        """Replace the text of a message of ours; `{text}`."""
        body = await read_json(request)
        (text,) = required_text(body, "text")
        session, message = await self._own(request)
        act = changes.act_of(session, message, text, "api")
        message.link_preview = body.get("linkPreview") is not False
        self.waha.actions.append(("edit", session.name, f"{message.bare_id} {text}"))
        changes.edit(self.waha.emit, session, message, act)
        return await self._sending.answer(request, session, body, act)

    async def revoke(self, request: web.Request) -> web.Response:
        """Delete a message of ours for everyone."""
        session, message = await self._own(request)
        act = changes.act_of(session, message, None, "api")
        self.waha.actions.append(("revoke", session.name, message.bare_id))
        changes.revoke(self.waha.emit, session, message, act)
        return await self._sending.answer(request, session, {}, act)

    async def _own(self, request: web.Request) -> tuple[WahaSession, Message]:
        info = request.match_info
        session = await self._sending.working(request, info["session"], {})
        message = session.messages.get(bare(info["message"]))
        if message is None or message.revoked:
            raise not_found("Message not found")
        if not message.from_me:
            raise engine_failure(request, {}, "not a message of ours")
        return session, message

    async def react(self, request: web.Request) -> web.Response:
        """Put a reaction on a message of the history, or remove it by an empty one."""
        body = await read_json(request)
        name, message_id, text = required_text(body, "session", "messageId", "reaction")
        session = await self._sending.working(request, name, body)
        target = session.messages.get(bare(message_id))
        if target is None:
            raise not_found("Message not found")
        reaction = Message(
            bare_id=new_bare_id(session.engine, from_me=True),
            session=name,
            chat=target.chat,
            from_me=True,
            kind="text",
            text=text,
            source="api",
            push_name=session.push_name,
        )
        self.waha.actions.append(("reaction", name, f"{target.bare_id} {text}".rstrip()))
        changes.react(self.waha.emit, session, target, reaction)
        if self.waha.faults.strike("error_after_accept", name):
            raise engine_failure(request, body, "Timed out")
        return json_response(engines.answer(reaction, session.engine, session.me_id), 200)
