"""The network behind the simulator: sessions, what was really sent, and the webhooks it causes."""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import orjson

from crm_fakes.waha import engines
from crm_fakes.waha.deliveries import Deliveries, Delivery
from crm_fakes.waha.errors import not_found
from crm_fakes.waha.faults import Faults
from crm_fakes.waha.labels import Labels
from crm_fakes.waha.messages import DEVICE, READ, SERVER, Engine, Media, Message, event_id
from crm_fakes.waha.sessions import (
    FAILED,
    SCAN_QR_CODE,
    STARTING,
    STOPPED,
    WORKING,
    WahaSession,
    already_exists,
    checked_config,
    checked_name,
)

Acks = Literal["none", "delivered", "read"]
_LEVELS: dict[Acks, tuple[int, ...]] = {
    "none": (),
    "delivered": (SERVER, DEVICE),
    "read": (SERVER, DEVICE, READ),
}


@dataclass
class Timing:
    """Every wait of the simulator, in seconds.

    `time_scale` multiplies the waits between webhook retries and the wait for WORKING.
    """

    time_scale: float = 1.0
    start: float = 0.01
    send: float = 0.0
    echo: float = 0.005
    ack: float = 0.02
    webhook_timeout: float = 10.0
    working_wait: float = 5.0
    files_lifetime: float = 180.0
    qr_lifetimes: tuple[float, ...] = (60, 20, 20, 20, 20, 20)


@dataclass(frozen=True)
class StoredFile:
    """A file WAHA serves until `expires_at` (monotonic seconds)."""

    mimetype: str
    content: bytes
    expires_at: float


class WhatsApp:
    """Sessions by name, the ledgers, and the webhooks each happening causes.

    `sent` holds every message WhatsApp really received from us, by bare id; a message whose
    `times` is above 1 was sent twice. `limit` bounds the ledgers for long runs.
    """

    url: str

    def __init__(
        self,
        *,
        default_engine: Engine,
        acks: Acks,
        echo: bool,
        timing: Timing,
        auto_scan: bool,
        limit: int | None,
    ) -> None:
        self.default_engine: Engine = default_engine
        self.engines: dict[str, Engine] = {}
        self.acks: Acks = acks
        self.echo = echo
        self.timing = timing
        self.auto_scan = auto_scan
        self.limit = limit
        self.faults = Faults()
        self.sessions: dict[str, WahaSession] = {}
        self.sent: dict[str, Message] = {}
        self.actions: deque[tuple[str, str, str]] = deque(maxlen=limit)
        self.files: dict[tuple[str, str], StoredFile] = {}
        self.numbers: dict[str, str | None] = {}
        self.number_looks: deque[tuple[str, str]] = deque(maxlen=limit)
        self.groups: dict[str, str] = {}
        self.group_looks: deque[tuple[str, str]] = deque(maxlen=limit)
        self.labels = Labels(self)
        self.pictures: dict[str, str] = {}
        self.pictures_cached: dict[tuple[str, str], str | None] = {}
        self.picture_files: dict[str, bytes] = {}
        self.picture_looks: deque[tuple[str, str, float]] = deque(maxlen=limit)
        self.poster = Deliveries(
            self.faults,
            time_scale=timing.time_scale,
            timeout=timing.webhook_timeout,
            limit=limit,
        )
        self.deliveries = self.poster.ledger

    # -- sessions ---------------------------------------------------------------------------

    def session(self, name: str) -> WahaSession:
        """Return a session; raises the 404 of an unknown one."""
        try:
            return self.sessions[name]
        except KeyError:
            raise not_found("Session not found") from None

    def create_session(
        self,
        name: str,
        config: dict[str, Any] | None = None,
        *,
        engine: Engine | None = None,
        start: bool = True,
    ) -> WahaSession:
        """Create a session and start it. Raises the 422 of a name already taken."""
        checked_name(name)
        if name in self.sessions:
            raise already_exists(name)
        if engine is not None:
            self.engines[name] = engine
        session = WahaSession(
            name, self.engines.get(name, self.default_engine), checked_config(config)
        )
        self.sessions[name] = session
        if start:
            self.start_session(session)
        return session

    def start_session(self, session: WahaSession) -> None:
        """Go STARTING, then WORKING if paired or else SCAN_QR_CODE. Idempotent."""
        if session.status in (STARTING, SCAN_QR_CODE, WORKING):
            return
        session.deaf = max(session.deaf - 1, 0)
        self.enter(session, STARTING)
        self.poster.spawn(self._come_up(session, session.changed))

    def stop_session(self, session: WahaSession) -> None:
        """Go STOPPED, keeping the login. Idempotent."""
        if session.status != STOPPED:
            self.enter(session, STOPPED)

    def logout(self, session: WahaSession) -> None:
        """Forget the login, and the history with it; a running session starts with a new QR."""
        running = session.status != STOPPED
        session.phone = None
        session.messages.clear()
        if running:
            self.stop_session(session)
            self.start_session(session)

    def scan(
        self, name: str, phone: str = "5511900000001", push_name: str = "Loja Exemplo"
    ) -> None:
        """Pair a session, as if the phone had scanned its QR: WORKING at once."""
        session = self.session(name)
        session.phone, session.push_name = phone, push_name
        if session.status != WORKING:
            self.enter(session, WORKING)

    def enter(self, session: WahaSession, status: str, data: object = None) -> None:
        """Change the status and tell it by `session.status`."""
        session.enter(status)
        body = {
            "name": session.name,
            "status": status,
            "statuses": list(session.statuses),
            "data": data,
        }
        self.emit(session, "session.status", body)

    async def restrict(
        self,
        name: str,
        *,
        until: float | None = None,
        is_active: bool = True,
        tells: bool = True,
    ) -> None:
        """Let WhatsApp restrict an account (or, not `is_active`, lift that) until then, in seconds.

        `tells`: as newer builds do, by the session's status and in `me`; older ones show it in
        what becomes of messages alone.
        """
        session = self.session(name)
        session.timelock = {
            "enforcementType": "RESTRICT_ALL_COMPANIONS",
            "isActive": is_active,
            "timeEnforcementEnds": until,
        }
        session.tells_timelock = tells
        if tells:
            self.enter(session, session.status, {"reachoutTimelock": session.timelock})

    def restriction_error(self, session: WahaSession) -> dict[str, Any]:
        """The error of an ack of what a restricted account sent to somebody new."""
        error: dict[str, Any] = {"code": "463", "blocked": True, "reason": "account_restricted"}
        lock = session.timelock or {}
        if (ends := lock.get("timeEnforcementEnds")) is not None:
            at = datetime.fromtimestamp(ends, UTC).isoformat(timespec="milliseconds")
            error |= {"until": at.replace("+00:00", "Z")}
            error |= {"enforcementType": lock["enforcementType"]}
        return error

    async def _come_up(self, session: WahaSession, started: asyncio.Event) -> None:
        await asyncio.sleep(self.timing.start)
        if session.changed is not started:  # stopped, or started once more, meanwhile
            return
        if session.phone is not None:
            self.enter(session, WORKING)
            return
        for lifetime in self.timing.qr_lifetimes:
            session.qr = "2@" + secrets.token_urlsafe(48)
            self.enter(session, SCAN_QR_CODE)
            if self.auto_scan:
                self.scan(session.name)
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(lifetime):
                    await session.changed.wait()
            if session.status != SCAN_QR_CODE:
                return
        self.enter(session, FAILED)

    # -- webhooks ---------------------------------------------------------------------------

    def emit(
        self, session: WahaSession, event: str, payload: object, *, forced: bool = False
    ) -> list[Delivery]:
        """Post an event to the webhooks that subscribe to it (`forced`: to all of them)."""
        hooks = (session.config.get("webhooks") or []) if forced else session.hooks(event)
        if not hooks or session.deaf:
            return []
        session.activity = int(time.time() * 1000)
        envelope: dict[str, Any] = {
            "id": event_id(),
            "timestamp": session.activity,
            "event": event,
            "session": session.name,
        }
        if metadata := session.config.get("metadata"):
            envelope["metadata"] = metadata
        envelope |= {
            "me": session.me,
            "payload": payload,
            "engine": session.engine,
            "environment": session.environment,
        }
        body = orjson.dumps(envelope)
        return [self.poster.post(hook, session.name, event, envelope["id"], body) for hook in hooks]

    def publish(
        self, session: WahaSession, message: Message, events: tuple[str, ...] | None = None
    ) -> list[Delivery]:
        """Tell a message under the event names a real server uses, or exactly under `events`."""
        if session.ignores(message.chat):
            return []
        names = events or (("message.any",) if message.from_me else ("message", "message.any"))
        payload = engines.payload(message, session.engine, session.me_id)
        forced = events is not None
        return [
            delivery
            for name in names
            for delivery in self.emit(session, name, payload, forced=forced)
        ]

    # -- messages ---------------------------------------------------------------------------

    def remember(self, session: WahaSession, message: Message) -> None:
        """Keep a message in the history of its chat, and serve its file."""
        session.messages[message.bare_id] = message
        if message.media is not None:
            self.serve_file(session, message)
        self._forget_oldest(session.messages)
        self._forget_oldest(self.sent)
        self._forget_oldest(self.files)

    def _forget_oldest(self, kept: dict[Any, Any]) -> None:
        if self.limit is not None and len(kept) > self.limit:
            del kept[next(iter(kept))]

    def serve_file(self, session: WahaSession, message: Message) -> Media | None:
        """Make the file of a message downloadable from now on, and set its url."""
        media = message.media
        if media is None:
            return None
        stem = message.full_id if session.engine == "WEBJS" else message.bare_id
        name = f"{stem}.{media.extension}"
        expires_at = time.monotonic() + self.timing.files_lifetime
        self.files[(session.name, name)] = StoredFile(media.mimetype, media.content, expires_at)
        media.url = f"{self.url}/api/files/{session.name}/{name}"
        return media

    def accept(self, session: WahaSession, message: Message) -> Message:
        """Take a message of ours to WhatsApp: ledger, echo and acks.

        The same id a second time is one message for WhatsApp: it is counted in `times`,
        without another echo.
        """
        known = self.sent.get(message.bare_id)
        if known is not None:
            known.times += 1
            return known
        message.ack = engines.FIRST_ACK[session.engine]
        self.sent[message.bare_id] = message
        self.remember(session, message)
        if self.echo or self.acks != "none":
            self.poster.spawn(self._aftermath(session, message))
        return message

    def reaches(self, chat: str) -> bool:
        """Whether what is sent to this chat arrives: not where `numbers` says another, or None."""
        digits, _, server = chat.partition("@")
        return server != "c.us" or self.numbers.get(digits, digits) in (digits, chat)

    async def _aftermath(self, session: WahaSession, message: Message) -> None:
        if self.echo:
            await asyncio.sleep(self.timing.echo)
            self.publish(session, message)
        reached = self.reaches(message.chat)
        for level in _LEVELS[self.acks] if reached else _LEVELS[self.acks][:1]:
            await asyncio.sleep(self.timing.ack)
            if level != SERVER or session.engine != "GOWS":
                self.report_ack(session, message, level)

    def report_ack(
        self,
        session: WahaSession,
        message: Message,
        level: int,
        *,
        participant: str | None = None,
        error: dict[str, Any] | None = None,
    ) -> list[Delivery]:
        """Raise the ack of a message and tell it; groups are acked by each participant."""
        event = engines.ack_event(message)
        tags = (session.config.get("webjs") or {}).get("tagsEventsOn")
        message.ack = max(message.ack, level)
        if session.ignores(message.chat):
            return []
        if message.is_group and session.engine == "WEBJS" and not tags:
            return []
        readers = [participant] if participant or not message.is_group else self._members(message)
        deliveries = []
        for reader in readers:
            if reader and level >= DEVICE:
                message.receipts.setdefault(reader, {}).setdefault(level, int(time.time()))
            payload = engines.ack_payload(
                message, session.engine, session.me_id, level, int(time.time()), reader
            )
            if error is not None:
                payload["error"] = error
            deliveries += self.emit(session, event, payload)
        return deliveries

    def _members(self, message: Message) -> list[str | None]:
        history = self.sessions[message.session].messages.values()
        members = {m.participant for m in history if m.chat == message.chat and not m.from_me}
        return [*sorted(member for member in members if member)]
