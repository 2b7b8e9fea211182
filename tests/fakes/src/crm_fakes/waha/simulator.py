"""The WAHA simulator: the real server's HTTP API in front of a WhatsApp of our own."""

import secrets
import time
from collections.abc import Iterable
from typing import Any, Literal, TypedDict, Unpack

from aiohttp import web

from crm_fakes import examples
from crm_fakes.journal import PATIENCE_SECONDS
from crm_fakes.serving import LocalServer
from crm_fakes.waha import (
    calls,
    change_api,
    changes,
    chats,
    control_api,
    lookup_api,
    page_api,
    send_api,
    session_api,
    shapes,
)
from crm_fakes.waha.calls import CallKind
from crm_fakes.waha.deliveries import Delivery
from crm_fakes.waha.engines import INBOUND_ACK
from crm_fakes.waha.errors import WahaError, not_found, unauthorized
from crm_fakes.waha.messages import (
    ACK_NAMES,
    READ,
    Engine,
    Kind,
    Location,
    Media,
    Message,
    Poll,
    chat_id,
    new_bare_id,
)
from crm_fakes.waha.sessions import WORKING, WahaSession
from crm_fakes.waha.whatsapp import Acks, Timing, WhatsApp

JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + b"\x00" * 64 + b"\xff\xd9"
OGG = b"OggS\x00\x02" + b"\x00" * 64
PDF = b"%PDF-1.4\n%%EOF\n"
_KEYLESS = ("/_control/", "/_page/", "/_cdn/")


class Inbound(TypedDict, total=False):
    """How an inbound message arrives.

    `lid`: the chat shows this hidden id instead of the phone. `group`: it was said in this
    group. `timestamp`: seconds. `shape`: one of `shapes`. `events`: post under exactly these names
    to every webhook of the session, not `message` and `message.any` to those who subscribe.
    """

    push_name: str
    lid: str | None
    group: str | None
    bare_id: str | None
    timestamp: int | None
    shape: str | None
    events: tuple[str, ...] | None


class WahaSimulator(WhatsApp, LocalServer):
    """A WAHA server for tests: `async with WahaSimulator(api_key="k") as waha: waha.url`.

    Answers and webhooks follow the session's engine. Look at `sent` for what WhatsApp received,
    at `deliveries` for webhooks, at `actions` for the rest; spoil things with `faults`.
    """

    def __init__(
        self,
        port: int = 0,
        api_key: str = "waha-api-key",
        *,
        host: str = "127.0.0.1",
        default_engine: Engine = "GOWS",
        acks: Acks = "delivered",
        echo: bool = True,
        time_scale: float = 1.0,
        timing: Timing | None = None,
        fetch_files: bool = False,
        auto_scan: bool = False,
        limit: int | None = None,
    ) -> None:
        LocalServer.__init__(self, host, port)
        WhatsApp.__init__(
            self,
            default_engine=default_engine,
            acks=acks,
            echo=echo,
            timing=timing or Timing(time_scale=time_scale),
            auto_scan=auto_scan,
            limit=limit,
        )
        self.api_key = api_key
        self.fetch_files = fetch_files

    async def start(self) -> None:
        """Start posting webhooks and answering requests."""
        await self.poster.start()
        await LocalServer.start(self)

    async def stop(self) -> None:
        """Stop both; pending webhooks are lost, as with the real server."""
        await LocalServer.stop(self)
        await self.poster.stop()

    def build_app(self) -> web.Application:
        """Return the HTTP API, its control API and the page."""
        app = web.Application(client_max_size=self.max_body, middlewares=[self._guard])
        for api in (send_api, change_api, session_api, lookup_api, control_api, page_api):
            api.add_routes(app, self)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            if request.path != "/" and not request.path.startswith(_KEYLESS):
                key = request.headers.get("X-Api-Key") or request.query.get("x-api-key")
                if key != self.api_key or self.faults.strike("unauthorized"):
                    raise unauthorized()
            response: web.StreamResponse = await handler(request)
            return response
        except WahaError as error:
            return error.response()
        except web.HTTPNotFound:
            return not_found(f"Cannot {request.method} {request.path}").response()

    # -- what happens on the phones ---------------------------------------------------------

    async def receive_text(
        self, session: str, from_phone: str | None, text: str, **options: Unpack[Inbound]
    ) -> Message:
        """Let a customer write to us; returns the message, its webhooks on their way."""
        return self._receive(session, from_phone, "text", options, text=text)

    async def receive_image(
        self,
        session: str,
        from_phone: str | None,
        caption: str | None = None,
        *,
        content: bytes = JPEG,
        mimetype: str = "image/jpeg",
        **options: Unpack[Inbound],
    ) -> Message:
        """Let a customer send a picture."""
        media = Media(mimetype, content)
        return self._receive(session, from_phone, "image", options, text=caption, media=media)

    def show_picture(self, person: str, content: bytes | None) -> None:
        """Let somebody, a phone or a chat id, show another profile picture, or none.

        The url of the one before is dead, and a day has passed: WAHA asks WhatsApp again.
        """
        chat = chat_id(person)
        self.pictures_cached.clear()
        if before := self.pictures.pop(chat, None):
            self.picture_files.pop(before.rpartition("/")[2], None)
        if content is not None:
            name = secrets.token_hex(8)
            self.picture_files[name] = content
            self.pictures[chat] = f"{self.url}/_cdn/{name}"

    async def receive_voice(
        self,
        session: str,
        from_phone: str | None,
        *,
        content: bytes = OGG,
        **options: Unpack[Inbound],
    ) -> Message:
        """Let a customer send a voice note."""
        media = Media("audio/ogg; codecs=opus", content)
        return self._receive(session, from_phone, "voice", options, media=media)

    async def receive_document(
        self,
        session: str,
        from_phone: str | None,
        filename: str = "comprovante.pdf",
        caption: str | None = None,
        *,
        content: bytes = PDF,
        mimetype: str = "application/pdf",
        **options: Unpack[Inbound],
    ) -> Message:
        """Let a customer send a document."""
        media = Media(mimetype, content, filename)
        return self._receive(session, from_phone, "document", options, text=caption, media=media)

    async def receive_location(
        self,
        session: str,
        from_phone: str | None,
        latitude: float,
        longitude: float,
        name: str | None = None,
        **options: Unpack[Inbound],
    ) -> Message:
        """Let a customer send a place; degrees."""
        place = Location(latitude, longitude, name)
        return self._receive(session, from_phone, "location", options, location=place)

    async def receive_vcard(
        self, session: str, from_phone: str | None, vcard: str, **options: Unpack[Inbound]
    ) -> Message:
        """Let a customer send a contact card."""
        return self._receive(session, from_phone, "vcard", options, vcards=[vcard])

    def _receive(
        self, name: str, phone: str | None, kind: Kind, options: Inbound, **content: Any
    ) -> Message:
        session = self.session(name)
        shapes.check(options.get("shape"), session.engine)
        lid, group = options.get("lid"), options.get("group")
        author = chat_id(lid if lid and "@" in lid else f"{lid}@lid") if lid else None
        if author is None:
            if phone is None:
                raise ValueError("a sender needs a phone, a lid or both")
            author = chat_id(phone)
        elif phone is not None:
            session.lids[author] = chat_id(phone)
        message = Message(
            bare_id=options.get("bare_id") or new_bare_id(session.engine, from_me=False),
            session=name,
            chat=group or author,
            from_me=False,
            kind=kind,
            timestamp=options.get("timestamp") or int(time.time()),
            push_name=options.get("push_name", "Maria Souza"),
            phone=phone,
            participant=author if group else None,
            ack=INBOUND_ACK[session.engine],
            shape=options.get("shape"),
            **content,
        )
        self.remember(session, message)
        # While WAHA is not connected nothing is told: only the history will show it.
        if session.status == WORKING:
            self.publish(session, message, options.get("events"))
        return message

    async def sent_from_phone(
        self,
        session: str,
        to: str,
        text: str,
        *,
        bare_id: str | None = None,
        timestamp: int | None = None,
    ) -> Message:
        """Let our own people write on the phone itself; `to` is a phone, a chat's or group's id."""
        ours = self.session(session)
        message = Message(
            bare_id=bare_id or new_bare_id("NOWEB", from_me=False),
            session=session,
            chat=chat_id(to),
            from_me=True,
            kind="text",
            text=text,
            push_name=ours.push_name,
            participant=ours.me_id if to.endswith("@g.us") else None,
            timestamp=timestamp or int(time.time()),
            ack=1,
        )
        self.remember(ours, message)
        if ours.status == WORKING:
            self.publish(ours, message)
        return message

    async def deafen(self, session: str, *, restarts: int = 1) -> None:
        """Let a session keep what is said, and tell nobody, until it was restarted so often."""
        self.session(session).deaf = restarts

    async def ack(
        self,
        session: str,
        bare_id: str,
        level: int | Literal["ERROR", "PENDING", "SERVER", "DEVICE", "READ", "PLAYED"],
        *,
        participant: str | None = None,
        error: dict[str, Any] | None = None,
    ) -> list[Delivery]:
        """Acknowledge a message of the history; raises KeyError if it is unknown."""
        ours = self.session(session)
        numbers = {name: number for number, name in ACK_NAMES.items()}
        number = level if isinstance(level, int) else numbers[level]
        return self.report_ack(
            ours, ours.messages[bare_id], number, participant=participant, error=error
        )

    async def read(self, session: str, chat: str) -> list[Delivery]:
        """Let the customer read all that we wrote in a chat."""
        ours = self.session(session)
        unread = (m for m in chats.said(ours, chat) if m.from_me and m.ack < READ)
        return [told for message in unread for told in self.report_ack(ours, message, READ)]

    async def edit(self, session: str, bare_id: str, text: str) -> list[Delivery]:
        """Let who wrote a message of the history replace its text; KeyError if it is unknown."""
        ours = self.session(session)
        message = ours.messages[bare_id]
        act = changes.act_of(ours, message, text, "app")
        return changes.edit(self.emit, ours, message, act)

    async def revoke(self, session: str, bare_id: str) -> list[Delivery]:
        """Let who wrote a message of the history delete it for everyone."""
        ours = self.session(session)
        message = ours.messages[bare_id]
        act = changes.act_of(ours, message, None, "app")
        return changes.revoke(self.emit, ours, message, act)

    async def react(
        self, session: str, bare_id: str, emoji: str, *, by: str | None = None
    ) -> list[Delivery]:
        """Let somebody react to a message of the history: the customer, or `by` in a group."""
        ours = self.session(session)
        message = ours.messages[bare_id]
        return changes.react(self.emit, ours, message, self._act(ours, message, emoji, by))

    def _act(self, ours: WahaSession, upon: Message, text: str | None, by: str | None) -> Message:
        """What the customer does to a message, or `by` in a group."""
        return Message(
            bare_id=new_bare_id(ours.engine, from_me=False),
            session=ours.name,
            chat=upon.chat,
            from_me=False,
            kind="text",
            text=text,
            participant=chat_id(by) if by else None,
        )

    async def receive_poll(
        self,
        session: str,
        from_phone: str | None,
        name: str,
        options: list[str],
        **options_of: Unpack[Inbound],
    ) -> Message:
        """Let a customer ask something to choose from."""
        poll = Poll(name, options)
        return self._receive(session, from_phone, "poll", options_of, poll=poll)

    async def vote(
        self, session: str, bare_id: str, chosen: list[str] | None, *, by: str | None = None
    ) -> list[Delivery]:
        """Let the customer, or `by` in a group, choose these of a poll and nothing else.

        None is a vote that WAHA cannot decrypt.
        """
        ours = self.session(session)
        poll = ours.messages[bare_id]
        return changes.vote(self.emit, ours, poll, self._act(ours, poll, None, by), chosen)

    async def call(
        self,
        session: str,
        from_phone: str | None,
        kind: CallKind = "received",
        *,
        call_id: str = "CALL1",
        lid: str | None = None,
        by_us: bool = False,
        video: bool = False,
    ) -> list[Delivery]:
        """Let a customer ring, be answered on our phone, or be rejected there or hang up.

        WEBJS tells no more than that it rings.
        """
        ours = self.session(session)
        caller = chat_id(f"{lid}@lid" if lid else from_phone or "")
        if ours.status != WORKING or kind not in calls.TOLD[ours.engine]:
            return []
        me = ours.me_id if by_us else None
        told = calls.payload(ours.engine, kind, call_id, caller, from_phone, ours=me, video=video)
        return self.emit(ours, f"call.{kind}", told)

    async def post_example(self, name: str, session: str | None = None) -> list[Delivery]:
        """Post a stored example to every webhook of its session, or of another one."""
        example = examples.by_name(name)
        if session is not None:
            example = example.with_session(session)
        ours: WahaSession = self.session(example.body["session"])
        body, _ = example.signed("")
        return [
            self.poster.post(hook, ours.name, example.body["event"], example.body["id"], body)
            for hook in ours.config.get("webhooks") or []
        ]

    async def settled(
        self, deliveries: Iterable[Delivery] | None = None, timeout: float = PATIENCE_SECONDS
    ) -> None:
        """Wait until the webhooks given (or all so far) are accepted, given up or dropped."""
        await self.poster.settled(deliveries, timeout)
