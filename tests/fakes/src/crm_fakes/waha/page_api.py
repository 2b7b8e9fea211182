"""A page on which a developer writes to the company as anybody, and sees what it answers.

Plain forms, each leading back to the page it was sent from; the page asks for itself twice a
second. Like `/_control` it wants no key.
"""

from importlib.resources import files
from itertools import islice
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined

from crm_fakes.waha import chats
from crm_fakes.waha.chats import Person
from crm_fakes.waha.errors import bad_request, not_found
from crm_fakes.waha.messages import Message
from crm_fakes.waha.sessions import WORKING, WahaSession

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import Inbound, WahaSimulator

TICKS = {-1: "✗ failed", 0: "…", 1: "✓ sent", 2: "✓✓ delivered", 3: "✓✓ read", 4: "✓✓ played"}
EMOJI = ("👍", "❤️", "😂", "🙏")
_MOST_TEXT = 65_536
_MOST_SHOWN = 200


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the page and what its forms ask for to an application."""
    page = Page(waha)
    session = "/_page/{session}"
    app.add_routes(
        [
            web.get("/", page.show),
            web.get("/_page/page.{kind:css|js}", page.asset),
            web.get(f"{session}/files/{{bare_id}}", page.file),
            web.post(f"{session}/scan", page.scan),
            web.post(f"{session}/write", page.write),
            web.post(f"{session}/read", page.read),
            web.post(f"{session}/react", page.react),
            web.post(f"{session}/edit", page.edit),
            web.post(f"{session}/revoke", page.revoke),
        ]
    )


class Page:
    """The page and its forms. Who writes, and where, stands in the query of each of them."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha
        self._templates = Environment(
            loader=PackageLoader("crm_fakes.waha"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def show(self, request: web.Request) -> web.Response:
        """The chats of one session, and one of them open; `?session=&chat=&phone=&name=`."""
        session = self._chosen(request.query.get("session"))
        person = _person(request)
        if session and person.chat and not person.phone:
            person = chats.writer(session, person.chat)
        page = self._templates.get_template("page.html").render(
            waha=self.waha,
            session=session,
            sessions=sorted(self.waha.sessions.values(), key=lambda s: s is not session),
            chats=list(islice(chats.newest(session), _MOST_SHOWN)) if session else [],
            person=person,
            said=chats.said(session, person.chat)[-_MOST_SHOWN:] if session and person.chat else [],
            ticks=TICKS,
            emoji=EMOJI,
            link=_link,
        )
        return web.Response(text=page, content_type="text/html", headers=_headers())

    def _chosen(self, name: str | None) -> WahaSession | None:
        """The session asked for; else the first that works, else any."""
        if name in self.waha.sessions:
            return self.waha.sessions[name]
        every = sorted(self.waha.sessions.values(), key=lambda s: s.status != WORKING)
        return next(iter(every), None)

    async def asset(self, request: web.Request) -> web.Response:
        """Its style or its script."""
        kind = request.match_info["kind"]
        text = (files("crm_fakes.waha") / "templates" / f"page.{kind}").read_text("utf-8")
        content_type = {"css": "text/css", "js": "text/javascript"}[kind]
        return web.Response(text=text, content_type=content_type, headers=_headers())

    async def file(self, request: web.Request) -> web.Response:
        """The file of a message; it does not expire as WAHA's own link to it does."""
        media = self._message(request, request.match_info["bare_id"]).media
        if media is None or not media.content:
            raise not_found("There is no such file")
        headers = _headers() | {"Content-Type": media.mimetype, "Content-Disposition": "attachment"}
        return web.Response(body=media.content, headers=headers)

    async def scan(self, request: web.Request) -> web.Response:
        """Pair a session, as the company's phone would by its code."""
        self.waha.scan(request.match_info["session"])
        return _back(request, _person(request))

    async def write(self, request: web.Request) -> web.Response:
        """Write `{phone, name, group, text, file}` to the company, as a person or in a group."""
        form = await request.post()
        text, file = str(form.get("text", "")).strip(), form.get("file")
        phone = "".join(c for c in str(form.get("phone", "")) if c.isdigit())
        if not 8 <= len(phone) <= 15:
            raise bad_request("phone must have 8 to 15 digits")
        options: Inbound = {"push_name": str(form.get("name", "")).strip() or phone}
        before = _person(request)
        if group := "".join(c for c in str(form.get("group", "")) if c.isdigit() or c == "-"):
            options["group"] = f"{group}@g.us"
        elif before.chat.endswith("@lid") and before.phone == phone:
            options["lid"] = before.chat  # the person shows no phone in this chat
        message = await self._written(request.match_info["session"], phone, text, file, options)
        return _back(request, Person(phone, options["push_name"], message.chat))

    async def _written(
        self, session: str, phone: str, text: str, file: object, options: "Inbound"
    ) -> Message:
        if not isinstance(file, web.FileField) or not file.filename:
            if not 0 < len(text) <= _MOST_TEXT:
                raise bad_request("write a text, or choose a file")
            return await self.waha.receive_text(session, phone, text, **options)
        content, kind = file.file.read(), file.content_type
        if kind.startswith("audio/"):
            return await self.waha.receive_voice(session, phone, content=content, **options)
        if kind.startswith("image/"):
            return await self.waha.receive_image(
                session, phone, text or None, content=content, mimetype=kind, **options
            )
        return await self.waha.receive_document(
            session, phone, file.filename, text or None, content=content, mimetype=kind, **options
        )

    async def read(self, request: web.Request) -> web.Response:
        """Read all that the company wrote in this chat."""
        person = _person(request)
        await self.waha.read(request.match_info["session"], person.chat)
        return _back(request, person)

    async def react(self, request: web.Request) -> web.Response:
        """React to `{bare_id}` with `{emoji}`; an empty one takes the reaction away."""
        person, form = _person(request), await request.post()
        message = self._message(request, str(form.get("bare_id")))
        by = person.phone if message.is_group else None
        emoji = str(form.get("emoji", ""))
        await self.waha.react(message.session, message.bare_id, emoji, by=by)
        return _back(request, person)

    async def edit(self, request: web.Request) -> web.Response:
        """Give `{bare_id}`, which a person wrote, another `{text}`."""
        form = await request.post()
        message, text = self._own(request, str(form.get("bare_id"))), str(form.get("text", ""))
        if not 0 < len(text.strip()) <= _MOST_TEXT:
            raise bad_request("write another text")
        await self.waha.edit(message.session, message.bare_id, text.strip())
        return _back(request, _person(request))

    async def revoke(self, request: web.Request) -> web.Response:
        """Delete `{bare_id}`, which a person wrote, for everyone."""
        form = await request.post()
        message = self._own(request, str(form.get("bare_id")))
        await self.waha.revoke(message.session, message.bare_id)
        return _back(request, _person(request))

    def _message(self, request: web.Request, bare_id: str) -> Message:
        message = self.waha.session(request.match_info["session"]).messages.get(bare_id)
        if message is None:
            raise not_found("Message not found")
        return message

    def _own(self, request: web.Request, bare_id: str) -> Message:
        """A message of a person; raises the 400 of one that the company wrote."""
        message = self._message(request, bare_id)
        if message.from_me or message.revoked:
            raise bad_request("only who wrote it may change it, and not what is deleted")
        return message


def _person(request: web.Request) -> Person:
    query = request.query
    return Person(query.get("phone", ""), query.get("name", ""), query.get("chat", ""))


def _link(session: str, person: Person | None = None, act: str = "") -> str:
    """Where a session, or somebody's chat in it, is shown, or where it is acted upon."""
    who = vars(person) if person else {}
    shown = {name: value for name, value in {"session": session, **who}.items() if value}
    return f"{f'/_page/{session}/{act}' if act else '/'}?{urlencode(shown)}"


def _back(request: web.Request, person: Person) -> web.Response:
    here = _link(request.match_info["session"], person)
    return web.Response(status=303, headers={"Location": here})


def _headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
