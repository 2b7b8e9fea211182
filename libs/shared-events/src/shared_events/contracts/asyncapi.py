"""AsyncAPI 3.0 documents: what one service publishes, consumes, answers and asks."""

from collections.abc import Iterable
from typing import Any, cast

from pydantic.json_schema import models_json_schema

from shared_events import channel, contact, gateway, messaging, topology, webhook
from shared_events.envelope import Envelope, EventData
from shared_events.registry import BY_TYPE
from shared_events.requests.base import Request
from shared_events.requests.registry import BY_KEY

_PUBLISHES = {
    contact.__name__: "contacts",
    messaging.__name__: "messaging",
    channel.__name__: "channels-waha",
    webhook.__name__: "webhooks",
    gateway.__name__: "gateway",
}
SERVICES = tuple(_PUBLISHES.values())

CONSUMES: dict[str, tuple[topology.Queue, ...]] = {
    "contacts": (topology.CONTACTS_CHANNEL_EVENTS, topology.CONTACT_ENRICHMENT),
    "messaging": (
        topology.MESSAGING_CHANNEL_EVENTS,
        topology.MESSAGING_REPLICAS,
        topology.MESSAGING_WORKFLOWS,
    ),
    "channels-waha": (
        topology.WAHA_MESSAGES,
        topology.WAHA_NOTICES,
        topology.CHANNELS_OUTBOUND,
    ),
    "webhooks": (
        topology.CONTACT_WEBHOOK,
        topology.WEBHOOKS_DELIVERY,
        topology.DOMAIN_EVENTS_ALL,
    ),
    "gateway": (),
}
"""Whose queue is whose. Raw WAHA webhooks are not events of ours and have no schema here."""

ANSWERS = {
    "contacts": "contacts",
    "messaging": "messaging",
    "channels-waha": "channels",
    "webhooks": "webhooks",
}
"""The first word of the request keys a service answers. The gateway asks, and answers none."""

_SCHEMA_REF = "#/components/schemas/{model}"
_RAW = object()


def publisher_of(event: type[EventData]) -> str:
    """The one service that publishes this event type."""
    return _PUBLISHES[event.__module__]


def events_of(queue: topology.Queue) -> list[type[EventData]]:
    """The event types that reach a queue, through exchange bindings too."""
    return [e for e in BY_TYPE.values() if _reaches(e.event_type, queue)]


def _reaches(event_type: str, queue: topology.Queue) -> bool:
    fed = {topology.event_exchange(event_type)}
    for exchange in topology.EXCHANGES:  # declared sources first, so one pass is enough
        if any(s in fed and topic_matches(key, event_type) for s, key in exchange.sources):
            fed.add(exchange.name)
    return queue.exchange.name in fed and any(topic_matches(k, event_type) for k in queue.keys)


def topic_matches(pattern: str, key: str) -> bool:
    """AMQP topic matching: `*` is one word, a final `#` any number of words."""
    words, wanted = key.split("."), pattern.split(".")
    if wanted[-1] == "#":
        wanted = wanted[:-1]
        words = words[: len(wanted)]
    return len(words) == len(wanted) and all(
        w in ("*", k) for w, k in zip(wanted, words, strict=True)
    )


def document(service: str) -> dict[str, Any]:
    """The AsyncAPI document of one service (named as its folder under `services/`)."""
    published = [e for e in BY_TYPE.values() if publisher_of(e) == service]
    answered = [r for key, r in BY_KEY.items() if key.split(".")[0] == ANSWERS.get(service)]
    asked = list(BY_KEY.values()) if service == "gateway" else []
    parts = _Parts(service)
    for event in published:
        exchange = topology.event_exchange(event.event_type)
        parts.add_events("send", exchange, [event], _exchange_binding(exchange))
    for queue in CONSUMES[service]:
        parts.add_events("receive", queue.name, events_of(queue), _queue_binding(queue))
    if service == "gateway":
        waha = topology.WAHA_EVENTS.name
        parts.add_events("send", waha, [], _exchange_binding(waha))
    for request in answered:
        parts.add_request("receive", request)
    for request in asked:
        parts.add_request("send", request)
    return parts.document()


def _exchange_binding(name: str) -> dict[str, Any]:
    exchange = {"name": name, "type": "topic", "durable": True, "autoDelete": False}
    return {"is": "routingKey", "exchange": exchange, "bindingVersion": "0.3.0"}


def _queue_binding(queue: topology.Queue) -> dict[str, Any]:
    declared = {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False}
    return {"is": "queue", "queue": declared, "bindingVersion": "0.3.0"}


class _Parts:
    """Gathers channels, operations and messages of one document."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._channels: dict[str, Any] = {}
        self._operations: dict[str, Any] = {}
        self._messages: dict[str, Any] = {}
        self._models: dict[str, Any] = {}

    def add_events(
        self,
        action: str,
        address: str,
        events: Iterable[type[EventData]],
        binding: dict[str, Any],
    ) -> None:
        """Without events the address carries raw WAHA webhooks, whose shape is not ours."""
        names = []
        for event in events:
            names.append(f"{event.event_type}.v{event.event_version}")
            self._add_message(names[-1], Envelope.__class_getitem__(event), event.description)
        if not names:
            names.append("waha.webhook")
            self._add_message("waha.webhook", _RAW, "A webhook as WAHA sent it")
        for name in names:
            self._add_to_channel(address, name)
        self._channels[address]["bindings"] = {"amqp": binding}
        self._operations[f"{action}.{address}"] = {
            "action": action,
            "channel": _ref("channels", address),
        }

    def add_request(self, action: str, request: type[Request]) -> None:
        key = request.key
        summary = (request.__doc__ or key).partition("\n")[0]
        self._add_message(key, request, summary)
        self._add_message(f"{key}.reply", request.reply, f"The answer to {key}")
        self._add_to_channel(key, key)
        self._add_to_channel("replies", f"{key}.reply")
        self._operations[f"{action}.{key}"] = {
            "action": action,
            "channel": _ref("channels", key),
            "reply": {"channel": _ref("channels", "replies")},
        }

    def _add_message(self, name: str, model: Any, summary: str) -> None:
        if model is not _RAW:
            self._models[name] = model
        self._messages[name] = {
            "name": name,
            "summary": summary,
            "contentType": "application/json",
            "payload": {"type": "object"},
        }

    def _add_to_channel(self, address: str, message: str) -> None:
        channel = self._channels.setdefault(
            address, {"address": None if address == "replies" else address, "messages": {}}
        )
        channel["messages"][message] = _ref("components/messages", message)

    def document(self) -> dict[str, Any]:
        places, schemas = models_json_schema(
            [(model, "validation") for model in dict.fromkeys(self._models.values())],
            ref_template=_SCHEMA_REF,
        )
        for name, model in self._models.items():
            self._messages[name]["payload"] = places[model, "validation"]
        return {
            "asyncapi": "3.0.0",
            "info": {"title": f"crm-{self._service}", "version": "1"},
            "defaultContentType": "application/json",
            "channels": self._channels,
            "operations": self._operations,
            "components": {
                "messages": self._messages,
                "schemas": cast(dict[str, Any], schemas.get("$defs", {})),
            },
        }


def _ref(where: str, name: str) -> dict[str, str]:
    return {"$ref": f"#/{where}/{name}"}
