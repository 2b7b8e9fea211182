"""Labels: the account's own, and those on a chat."""

from typing import TYPE_CHECKING, Any

from aiohttp import web

from crm_fakes.waha.body import read_json
from crm_fakes.waha.errors import WahaError, bad_request, json_response, not_found, session_status
from crm_fakes.waha.labels import COLORS, Book
from crm_fakes.waha.messages import chat_id
from crm_fakes.waha.sessions import WORKING

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import WahaSimulator


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the endpoints to an application."""
    api = LabelApi(waha)
    labels = "/api/{session}/labels"
    one = "/_control/sessions/{session}/labels"
    app.add_routes(
        [
            web.get(labels, api.labels),
            web.post(labels, api.create),
            web.get(f"{labels}/chats/{{chat}}", api.of_chat),
            web.put(f"{labels}/chats/{{chat}}", api.replace),
            web.put(f"{labels}/{{label}}", api.change),
            web.delete(f"{labels}/{{label}}", api.delete),
            web.post(one, api.by_owner),
        ]
    )


class LabelApi:
    """The endpoints, one method each; all want a session that works."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha

    async def labels(self, request: web.Request) -> web.Response:
        """Answer all labels of the account."""
        session, book = self._working(request)
        self.waha.labels.looks.append(session)
        if self.waha.faults.strike("label_error", session=session):
            raise WahaError(500, {"statusCode": 500, "message": "rate-overlimit"})
        return json_response(list(book.labels.values()))

    async def create(self, request: web.Request) -> web.Response:
        """Make a label `{name, color?, colorHex?}`."""
        session, _ = self._working(request)
        name, color = await _body(request)
        label, _ = self.waha.labels.name(session, name, color=color)
        return json_response(label, 201)

    async def change(self, request: web.Request) -> web.Response:
        """Call or colour a label otherwise; 404 for an unknown one."""
        session, book = self._working(request)
        label_id = _known(book, request)
        name, color = await _body(request)
        label, _ = self.waha.labels.name(session, name, label_id=label_id, color=color)
        return json_response(label)

    async def delete(self, request: web.Request) -> web.Response:
        """Delete a label; 404 for an unknown one."""
        session, book = self._working(request)
        self.waha.labels.delete(session, _known(book, request))
        return json_response({"result": True})

    async def of_chat(self, request: web.Request) -> web.Response:
        """Answer the labels of a chat."""
        _, book = self._working(request)
        ids = book.chats.get(chat_id(request.match_info["chat"]), ())
        return json_response([book.labels[one] for one in ids if one in book.labels])

    async def replace(self, request: web.Request) -> web.Response:
        """Let a chat have `{labels: [{id}]}`, and no others."""
        session, _ = self._working(request)
        wanted = (await read_json(request)).get("labels")
        if not isinstance(wanted, list):
            raise bad_request("labels must be an array")
        chat = request.match_info["chat"]
        self.waha.labels.replace(session, chat, [str(one["id"]) for one in wanted])
        return json_response({"result": True})

    async def by_owner(self, request: web.Request) -> web.Response:
        """Let the phone's owner do it: `{name, label_id?, color?}` makes or changes a label,
        `{delete}` deletes one, `{chat, label_id, on?=true}` puts one on a chat or takes it off.
        """
        session = self.waha.session(request.match_info["session"]).name
        body, labels = await read_json(request), self.waha.labels
        try:
            if "chat" in body:
                act = labels.put_on if body.get("on", True) else labels.take_off
                told = act(session, body["chat"], str(body["label_id"]))
            elif "delete" in body:
                told = labels.delete(session, str(body["delete"]))
            else:
                made, told = labels.name(session, **body)
                return json_response({**made, "told": len(told)}, 201)
        except (KeyError, TypeError, ValueError) as error:
            raise bad_request(f"{type(error).__name__}: {error}") from error
        return json_response({"told": len(told)}, 201)

    def _working(self, request: web.Request) -> tuple[str, Book]:
        session = self.waha.session(request.match_info["session"])
        if session.status != WORKING:
            raise session_status(session.name, session.status, WORKING)
        return session.name, self.waha.labels.book(session.name)


def _known(book: Book, request: web.Request) -> str:
    label_id = request.match_info["label"]
    if label_id not in book.labels:
        raise not_found("Label not found")
    return label_id


async def _body(request: web.Request) -> tuple[str, int]:
    body: dict[str, Any] = await read_json(request)
    name, shade = body.get("name"), body.get("colorHex")
    if not isinstance(name, str) or not name:
        raise bad_request("name must be a string")
    if shade is not None and shade not in COLORS:
        raise bad_request("colorHex must be one of WhatsApp's colors")
    return name, COLORS.index(shade) if shade else int(body.get("color") or 0)
