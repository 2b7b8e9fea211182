"""Sessions: create, drive and pair them (docs/waha.md, "Sessions")."""

import base64
import secrets
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from aiohttp import web

from crm_fakes.waha.body import read_json, required_text
from crm_fakes.waha.errors import VERSION, json_response, session_missing, session_status
from crm_fakes.waha.sessions import SCAN_QR_CODE, STOPPED, WahaSession, checked_config

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import WahaSimulator


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the endpoints to an application."""
    api = SessionApi(waha)
    one = "/api/sessions/{session}"
    app.add_routes(
        [
            web.get("/ping", api.ping),
            web.get("/health", api.health),
            web.get("/api/server/version", api.version),
            web.post("/api/sessions", api.create),
            web.get("/api/sessions", api.all),
            web.get(one, api.get),
            web.put(one, api.replace),
            web.delete(one, api.delete),
            web.get(f"{one}/me", api.me),
            web.post(f"{one}/start", api.driver(waha.start_session)),
            web.post(f"{one}/stop", api.driver(waha.stop_session)),
            web.post(f"{one}/restart", api.driver(api.restarted)),
            web.post(f"{one}/logout", api.driver(waha.logout)),
            web.get("/api/{session}/auth/qr", api.qr),
            web.post("/api/{session}/auth/request-code", api.request_code),
        ]
    )


class SessionApi:
    """The endpoints, one method each."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha

    def _session(self, request: web.Request) -> WahaSession:
        return self.waha.session(request.match_info["session"])

    async def ping(self, _: web.Request) -> web.Response:
        """Answer pong."""
        return json_response({"message": "pong"})

    async def health(self, _: web.Request) -> web.Response:
        """Answer the health of the server, which says nothing of WhatsApp."""
        return json_response({"status": "ok", "info": {}, "error": {}, "details": {}})

    async def version(self, _: web.Request) -> web.Response:
        """Answer the version and the default engine."""
        engine = self.waha.default_engine
        return json_response(
            {"version": VERSION, "engine": engine, "tier": "CORE", "browser": None}
        )

    async def create(self, request: web.Request) -> web.Response:
        """Create a session, started unless asked otherwise."""
        body = await read_json(request)
        name = body.get("name") or f"session_{secrets.token_hex(8)}"
        start = body.get("start", True)
        session = self.waha.create_session(name, body.get("config"), start=bool(start))
        return json_response(session.described(), 201)

    async def all(self, request: web.Request) -> web.Response:
        """List the sessions; stopped ones only with `all=true`."""
        everything = request.query.get("all", "").lower() in ("true", "1")
        sessions = self.waha.sessions.values()
        return json_response([s.described() for s in sessions if everything or s.status != STOPPED])

    async def get(self, request: web.Request) -> web.Response:
        """Describe one session."""
        return json_response(self._session(request).described())

    async def me(self, request: web.Request) -> web.Response:
        """Answer the account, or null."""
        return json_response(self._session(request).me)

    async def replace(self, request: web.Request) -> web.Response:
        """Replace the whole config; a running session is restarted."""
        session = self._session(request)
        body = await read_json(request)
        config = checked_config(body.get("config"))
        running = session.status != STOPPED
        if running:
            self.waha.stop_session(session)
        session.config = config
        if running:
            self.waha.start_session(session)
        return json_response(session.described())

    async def delete(self, request: web.Request) -> web.Response:
        """Stop and remove; a session that is not there is removed already."""
        session = self.waha.sessions.get(request.match_info["session"])
        if session is not None:
            self.waha.stop_session(session)
            del self.waha.sessions[session.name]
        return web.Response(status=200)

    def restarted(self, session: WahaSession) -> None:
        """Stop and start a session."""
        self.waha.stop_session(session)
        self.waha.start_session(session)

    def driver(
        self, drive: Callable[[WahaSession], None]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        """Return the handler of a call that drives a session and describes it."""

        async def driven(request: web.Request) -> web.Response:
            session = self._session(request)
            drive(session)
            return json_response(session.described(), 201)

        return driven

    async def qr(self, request: web.Request) -> web.Response:
        """Answer the QR as PNG bytes, as base64 in JSON, or as its text."""
        session = await self._awaiting_scan(request)
        if request.query.get("format") == "raw":
            return json_response({"value": session.qr})
        png = _png(session.qr)
        if "application/json" in request.headers.get("Accept", ""):
            data = base64.b64encode(png).decode()
            return json_response({"mimetype": "image/png", "data": data})
        return web.Response(body=png, content_type="image/png")

    async def request_code(self, request: web.Request) -> web.Response:
        """Answer a pairing code."""
        required_text(await read_json(request), "phoneNumber")
        await self._awaiting_scan(request)
        return json_response({"code": "ABCD-ABCD"}, 201)

    async def _awaiting_scan(self, request: web.Request) -> WahaSession:
        name = request.match_info["session"]
        session = self.waha.sessions.get(name)
        if session is None:
            raise session_missing(name)
        if session.status != SCAN_QR_CODE:
            raise session_status(name, session.status, SCAN_QR_CODE)
        return session


def _png(text: str) -> bytes:
    """Return a small black and white PNG drawn from the text; it cannot be scanned."""
    side = 24
    bits = "".join(f"{byte:08b}" for byte in text.encode()).ljust(side * side, "0")
    rows = [bits[row * side : (row + 1) * side] for row in range(side)]
    pixels = b"".join(b"\x00" + bytes(0 if bit == "1" else 255 for bit in row) for row in rows)

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + checksum

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )
