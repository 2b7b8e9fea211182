"""The gateway as far as the console asks it: one company's inbox, in memory.

Paths, fields, codes and server-sent events are the gateway's; the journey in tests/e2e proves the
same with the real one. What was asked stands in `asked`.
"""

import asyncio
import json
from typing import Any
from uuid import uuid4

from aiohttp import web
from crm_fakes.serving import LocalServer

Json = dict[str, Any]
NOW = "2026-03-14T12:30:06Z"
_PUBLIC = {
    *("auth/login", "auth/refresh", "auth/logout", "auth/accept-invitation"),
    *("auth/password/forgot", "auth/password/reset", "auth/email/verify"),
}
AGENT = ("contacts.read", "messages.*", "sessions.*", "notes.*", "events.read")


def a_message(**said: Any) -> Json:
    """A customer's text, unless something else is said."""
    return {
        "id": str(uuid4()),
        "direction": "inbound",
        "content_type": "text",
        "content": "Oi!",
        "media_id": None,
        "reply_to_id": None,
        "session_id": None,
        "metadata": {},
        "status": "received",
        "sent_by": None,
        "sent_at": NOW,
        "created_at": NOW,
        "edited_at": None,
        "revoked_at": None,
        "failure_reason": None,
        "version": 1,
        "reactions": [],
        "seq": 1,
        **said,
    }


class Double(LocalServer):
    """Answers for one company; tests put into it what they need."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.permissions: tuple[str, ...] = AGENT
        self.expires_in = 900
        self.code = ""
        self.refreshes = 0
        self.tokens: set[str] = set()
        self.conversations: list[Json] = []
        self.messages: list[Json] = []
        self.files: dict[str, Json] = {}
        self.me = str(uuid4())
        self.documents: dict[str, Json] = {
            "sessions": {"data": []},
            **dict.fromkeys(("messages/scheduled", "roles"), rows()),
        }
        """What other paths answer, whatever is done or one method (`POST agents`)."""
        self.refusal: tuple[int, str] | None = None
        self.refused: dict[str, tuple[int, str]] = {}
        """What is refused by path; `refusal` is of everything."""
        self.streams: list[asyncio.Queue[bytes]] = []
        self.stream_headers: list[dict[str, str]] = []

    def converse(self, **shown: Any) -> Json:
        """Add a conversation, and return it."""
        conversation = {
            "id": str(uuid4()),
            "channel_id": str(uuid4()),
            "contact": {"id": str(uuid4()), "name": "Maria", "phone": "+5511988880001"},
            "is_group": False,
            "subject": None,
            "last_message": None,
            "last_message_at": NOW,
            "unread_count": 0,
            "active_session": None,
            "status": None,
            "seq": 1,
            **shown,
        }
        self.conversations.append(conversation)
        return conversation

    def tell(self, kind: str, cursor: str, **data: Any) -> None:
        """An event, to all who follow."""
        event = json.dumps({"type": kind, "data": data}, ensure_ascii=False)
        for queue in self.streams:
            queue.put_nowait(f"id: {cursor}\ndata: {event}\n\n".encode())

    def end(self, code: str) -> None:
        """Close all streams, and say why."""
        for queue in self.streams:
            queue.put_nowait(b'event: end\ndata: {"code": "%b"}\n\n' % code.encode())
            queue.put_nowait(b"")

    def build_app(self) -> web.Application:
        """The double as an application."""
        app = web.Application(client_max_size=2**23)
        app.router.add_get("/health/ready", self._ready)
        app.router.add_get("/api/v1/events/stream", self._stream)
        app.router.add_route("*", "/api/v1/{path:.*}", self._answer)
        return app

    async def _ready(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        if not self._is_known(request):
            return problem(401, "invalid_token")
        self.stream_headers.append(dict(request.headers))
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"retry: 1000\n\n: \nid: start\n\n")
        self.streams.append(queue)
        try:
            while chunk := await queue.get():
                await answer.write(chunk)
        finally:
            self.streams.remove(queue)
        return answer

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.match_info["path"]
        body = await self._body(request)
        self.asked.append((request.method, path, body or dict(request.query)))
        self.headers.append(dict(request.headers))
        if path in _PUBLIC:
            return self._tokens(path, body or {})
        if not self._is_known(request):
            return problem(401, "invalid_token")
        if refusal := self.refused.get(path, self.refusal):
            return problem(*refusal)
        if self._is_stale(request, path):
            return problem(412, "stale_version")
        found = self._found(request, path, body)
        return problem(404, "not_found") if found is None else web.json_response(found)

    async def _body(self, request: web.Request) -> Any:
        if not request.can_read_body:
            return None
        if request.content_type == "application/json":
            return await request.json()
        form = await request.post()  # a file comes alone, as the gateway will have it
        (file,) = (each for each in form.values() if isinstance(each, web.FileField))
        assert list(form) == ["file"]
        return {"filename": file.filename, "bytes": file.file.read()}

    def _tokens(self, path: str, body: Json) -> web.Response:
        if path == "auth/logout":
            return web.Response(status=204)
        if self.refusal and not path.startswith("auth/login"):
            return problem(*self.refusal)
        if path.startswith("auth/password/"):
            return web.Response(status=202 if path.endswith("forgot") else 204)
        if path == "auth/email/verify":
            return web.Response(status=204)
        if path == "auth/login" and body["password"] != "uma senha comprida":
            return problem(401, "invalid_credentials")
        if path == "auth/login" and self.code and body.get("code") != self.code:
            return problem(401, "invalid_code" if "code" in body else "two_factor_required")
        if path == "auth/refresh":
            self.refreshes += 1
            if body["refresh_token"] not in self.tokens:  # used, or never given
                return problem(401, "invalid_refresh_token")
            self.tokens.clear()
        return web.json_response(self._pair())

    def _pair(self) -> Json:
        pair = {"access_token": f"access-{uuid4()}", "refresh_token": f"refresh-{uuid4()}"}
        self.tokens |= set(pair.values())
        return {**pair, "expires_in": self.expires_in}

    def _is_known(self, request: web.Request) -> bool:
        return request.headers.get("authorization", "").removeprefix("Bearer ") in self.tokens

    def _file(self, name: str) -> Json:
        return self.files.get(name, {"mime_type": None})

    def _is_stale(self, request: web.Request, path: str) -> bool:
        wanted = request.headers.get("If-Match")
        if wanted is None:
            return False
        document = self.documents.get(path) or self._found(request, path, None) or {}
        return wanted != f'"{document.get("version")}"'

    def _found(self, request: web.Request, path: str, body: Any) -> Json | None:
        match path.split("/"):
            case ["auth", "me"]:
                who = {"id": self.me, "name": "Ana"}
                company = {"name": "Loja Exemplo"}
                return {"user": who, "tenant": company, "permissions": self.permissions}
            case ["auth", "switch"] if body["refresh_token"] in self.tokens:
                return self._pair()
            case ["conversations"]:
                return _page(self.conversations, request)
            case ["conversations", name]:
                return next((c for c in self.conversations if c["id"] == name), None)
            case ["conversations", name, "messages"]:
                return _page([m for m in self.messages if m["conversation_id"] == name], request)
            case ["messages", "send"]:
                return {"id": str(uuid4()), **body}
            case ["messages", name] if name != "scheduled":
                return next((m for m in self.messages if m["id"] == name), None)
            case ["media"]:
                media_id, filename = str(uuid4()), body["filename"]
                self.files[media_id] = {"id": media_id, "filename": filename, "mime_type": None}
                return self.files[media_id]
            case ["media", name]:
                return {"id": name, "url": f"https://files.example.com/{name}", **self._file(name)}
            case _:
                answer = self.documents.get(path, {})
                return self.documents.get(f"{request.method} {path}", answer)


def rows(*found: Json) -> Json:
    """A list that is short."""
    return {"data": list(found), "has_more": False, "next_cursor": None}


def problem(status: int, code: str, detail: str = "no") -> web.Response:
    """A problem document."""
    return web.json_response({"code": code, "detail": detail}, status=status)


def _page(rows: list[Json], request: web.Request) -> Json:
    start, limit = int(request.query.get("cursor", 0)), int(request.query["limit"])
    end = start + limit
    has_more = end < len(rows)
    return {
        "data": rows[start:end],
        "has_more": has_more,
        "next_cursor": str(end) if has_more else None,
    }
