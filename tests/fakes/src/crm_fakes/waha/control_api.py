"""Driving the simulator from another process: `/_control/...`, without a key."""

from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from crm_fakes.waha import shapes
from crm_fakes.waha.body import Json, read_json
from crm_fakes.waha.deliveries import Delivery
from crm_fakes.waha.errors import bad_request, json_response
from crm_fakes.waha.messages import Message

if TYPE_CHECKING:
    from crm_fakes.waha.simulator import WahaSimulator

RECEIVABLE = ("text", "image", "voice", "document", "location", "vcard", "poll")


def add_routes(app: web.Application, waha: "WahaSimulator") -> None:
    """Add the endpoints to an application."""
    api = ControlApi(waha)
    one = "/_control/sessions/{session}"
    app.add_routes(
        [
            web.post("/_control/sessions", api.create_session),
            web.post(f"{one}/scan", api.scan),
            web.post(f"{one}/status", api.status),
            web.post(f"{one}/receive", api.receive),
            web.post(f"{one}/phone", api.sent_from_phone),
            web.post(f"{one}/deafen", api.deafen),
            web.post(f"{one}/restrict", api.restrict),
            web.post(f"{one}/ack", api.ack),
            web.post(f"{one}/edit", api.edit),
            web.post(f"{one}/revoke", api.revoke),
            web.post(f"{one}/react", api.react),
            web.post(f"{one}/vote", api.vote),
            web.post(f"{one}/call", api.call),
            web.post(f"{one}/examples/{{name}}", api.example),
            web.get("/_control/shapes", api.shapes),
            web.get("/_control/faults", api.faults),
            web.post("/_control/faults", api.add_fault),
            web.delete("/_control/faults", api.clear_faults),
            web.post("/_control/settings", api.settings),
            web.get("/_control/sent", api.sent),
            web.get("/_control/deliveries", api.deliveries),
            web.get("/_control/counters", api.counters),
            web.post("/_control/reset", api.reset),
        ]
    )


class ControlApi:
    """The endpoints, one method each; a wrong argument is answered 400 with its reason."""

    def __init__(self, waha: "WahaSimulator") -> None:
        self.waha = waha

    async def create_session(self, request: web.Request) -> web.Response:
        """Create `{name, engine?, config?, start?=true, scan?=false}`; scan pairs it at once.

        A name whose session was not created yet may be given an engine only, by `create: false`.
        """
        body = await read_json(request)
        if engine := body.get("engine"):
            if engine not in ("GOWS", "NOWEB", "WEBJS"):
                raise bad_request("engine must be GOWS, NOWEB or WEBJS")
            self.waha.engines[body["name"]] = engine
        if not body.get("create", True):
            return json_response({"name": body["name"], "engine": engine}, 201)
        start = bool(body.get("start", True))
        session = self.waha.create_session(body["name"], body.get("config"), start=start)
        if body.get("scan"):
            self.waha.scan(session.name)
        return json_response(session.described(), 201)

    async def scan(self, request: web.Request) -> web.Response:
        """Pair a session; `{phone?, push_name?}`."""
        await self._called(self._scan, request)
        return json_response(self.waha.session(request.match_info["session"]).described())

    async def _scan(self, session: str, **options: Any) -> None:
        self.waha.scan(session, **options)

    async def status(self, request: web.Request) -> web.Response:
        """Put a session in any `{status, data?}` and tell it, for example FAILED."""
        body = await read_json(request)
        session = self.waha.session(request.match_info["session"])
        self.waha.enter(session, body["status"], body.get("data"))
        return json_response(session.described())

    async def receive(self, request: web.Request) -> web.Response:
        """Let a customer write; `{kind?="text", from_phone, ...}` as the `receive_*` methods."""
        body = await read_json(request)
        kind = body.pop("kind", "text")
        if kind not in RECEIVABLE:
            raise bad_request(f"kind must be one of {', '.join(RECEIVABLE)}")
        body.setdefault("from_phone", None)
        if "events" in body:
            body["events"] = tuple(body["events"])
        message = await self._called(getattr(self.waha, f"receive_{kind}"), request, body)
        return json_response(_message(message), 201)

    async def sent_from_phone(self, request: web.Request) -> web.Response:
        """Let our people answer on the phone; `{to, text}`."""
        message = await self._called(self.waha.sent_from_phone, request)
        return json_response(_message(message), 201)

    async def deafen(self, request: web.Request) -> web.Response:
        """Let a session tell nothing until it was restarted `{restarts?=1}` times."""
        await self._called(self.waha.deafen, request)
        return json_response(self.waha.session(request.match_info["session"]).described())

    async def restrict(self, request: web.Request) -> web.Response:
        """Let WhatsApp restrict an account, or lift that; `{until?, is_active?, tells?}`."""
        await self._called(self.waha.restrict, request)
        return json_response(self.waha.session(request.match_info["session"]).described())

    async def ack(self, request: web.Request) -> web.Response:
        """Acknowledge `{bare_id, level, participant?, error?}`."""
        deliveries = await self._called(self.waha.ack, request)
        return json_response([_delivery(d) for d in deliveries], 201)

    async def edit(self, request: web.Request) -> web.Response:
        """Let who wrote `{bare_id}` replace its text by `{text}`."""
        deliveries = await self._called(self.waha.edit, request)
        return json_response([_delivery(d) for d in deliveries], 201)

    async def revoke(self, request: web.Request) -> web.Response:
        """Let who wrote `{bare_id}` delete it for everyone."""
        deliveries = await self._called(self.waha.revoke, request)
        return json_response([_delivery(d) for d in deliveries], 201)

    async def react(self, request: web.Request) -> web.Response:
        """Let the customer, or `{by?}` in a group, react to `{bare_id}` with `{emoji}`."""
        deliveries = await self._called(self.waha.react, request)
        return json_response([_delivery(d) for d in deliveries], 201)

    async def vote(self, request: web.Request) -> web.Response:
        """Let the customer, or `{by?}` in a group, choose `{chosen}` of the poll `{bare_id}`."""
        deliveries = await self._called(self.waha.vote, request)
        return json_response([_delivery(d) for d in deliveries], 201)

    async def call(self, request: web.Request) -> web.Response:
        """Let a customer call; `{from_phone, kind?, call_id?, lid?, by_us?, video?}`."""
        deliveries = await self._called(self.waha.call, request)
        return json_response([_delivery(d) for d in deliveries], 201)

    async def example(self, request: web.Request) -> web.Response:
        """Post a stored example to the webhooks of this session."""
        info = request.match_info
        try:
            deliveries = await self.waha.post_example(info["name"], info["session"])
        except KeyError as error:
            raise bad_request(str(error)) from error
        return json_response([_delivery(d) for d in deliveries], 201)

    async def shapes(self, _: web.Request) -> web.Response:
        """Answer the odd shapes of each engine, for `shape` of what is received."""
        return json_response({engine: shapes.of(engine) for engine in shapes.ALL})

    async def faults(self, _: web.Request) -> web.Response:
        """List the faults in force and how often each kind struck."""
        faults = self.waha.faults
        return json_response({"active": faults.active(), "struck": faults.struck})

    async def add_fault(self, request: web.Request) -> web.Response:
        """Switch on `{kind, ...}` with the fields of `Fault`, such as `times`."""
        body = await read_json(request)
        try:
            self.waha.faults.add(body.pop("kind", ""), **body)
        except ValueError as error:
            raise bad_request(str(error)) from error
        return json_response(self.waha.faults.active(), 201)

    async def clear_faults(self, request: web.Request) -> web.Response:
        """Switch off all faults, or those of `?kind=`."""
        self.waha.faults.clear(request.query.get("kind"))
        return json_response(self.waha.faults.active())

    async def settings(self, request: web.Request) -> web.Response:
        """Change `{acks?, echo?, api_key?, auto_scan?, numbers?, pictures?}`."""
        body = await read_json(request)
        allowed = {"acks", "echo", "api_key", "auto_scan", "numbers", "pictures"}
        if unknown := body.keys() - allowed:
            raise bad_request(f"unknown settings {sorted(unknown)}; known: {sorted(allowed)}")
        if body.get("acks", "none") not in ("none", "delivered", "read"):
            raise bad_request("acks must be none, delivered or read")
        for name, value in body.items():
            setattr(self.waha, name, value)
        return json_response({name: getattr(self.waha, name) for name in sorted(allowed)})

    async def sent(self, request: web.Request) -> web.Response:
        """List what WhatsApp received from us, oldest first; `?chat=` and `?session=` narrow."""
        chat, session = request.query.get("chat"), request.query.get("session")
        return json_response(
            [
                _message(m)
                for m in list(self.waha.sent.values())
                if chat in (None, m.chat) and session in (None, m.session)
            ]
        )

    async def deliveries(self, request: web.Request) -> web.Response:
        """List webhooks, oldest first; `?event=`, `?state=` and `?session=` narrow."""
        query = request.query
        return json_response(
            [
                _delivery(d)
                for d in self.waha.deliveries
                if query.get("event") in (None, d.event)
                and query.get("state") in (None, d.state)
                and query.get("session") in (None, d.session)
            ]
        )

    async def counters(self, _: web.Request) -> web.Response:
        """Count what was sent, and webhooks by event and by state."""
        deliveries = list(self.waha.deliveries)
        return json_response(
            {
                "sent": len(self.waha.sent),
                "sent_twice": sum(1 for m in self.waha.sent.values() if m.times > 1),
                "deliveries": self.waha.deliveries.appended,
                "attempts": sum(len(d.attempts) for d in deliveries),
                "events": Counter(d.event for d in deliveries),
                "states": Counter(d.state for d in deliveries),
            }
        )

    async def reset(self, _: web.Request) -> web.Response:
        """Forget the ledgers and the faults; sessions stay."""
        self.waha.sent.clear()
        self.waha.deliveries.clear()
        self.waha.actions.clear()
        self.waha.faults.clear()
        return json_response({})

    async def _called(self, method: Any, request: web.Request, body: Json | None = None) -> Any:
        arguments = await read_json(request) if body is None else body
        try:
            return await method(request.match_info["session"], **arguments)
        except (TypeError, ValueError, KeyError) as error:
            raise bad_request(f"{type(error).__name__}: {error}") from error


def _message(message: Message) -> Json:
    return {
        "bare_id": message.bare_id,
        "session": message.session,
        "chat": message.chat,
        "kind": message.kind,
        "text": message.text,
        "timestamp": message.timestamp,
        "ack": message.ack,
        "times": message.times,
    }


def _delivery(delivery: Delivery) -> Json:
    return {
        "request_id": delivery.request_id,
        "event_id": delivery.event_id,
        "event": delivery.event,
        "session": delivery.session,
        "url": delivery.url,
        "state": delivery.state,
        "attempts": [{"at": a.at, "status": a.status, "error": a.error} for a in delivery.attempts],
        "accepted_at": delivery.accepted_at,
    }
