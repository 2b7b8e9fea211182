"""Every committed document, generated from the code: path below `schemas/` to JSON value."""

from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from shared_events import topology
from shared_events.contracts import asyncapi
from shared_events.envelope import Envelope, EventData
from shared_events.registry import BY_TYPE
from shared_events.requests.registry import BY_KEY

Document = dict[str, Any]


def all_documents() -> dict[str, Document]:
    """What `schemas/` must hold: events, requests, replies, topology, AsyncAPI per service."""
    return {
        **{event_path(event): event_schema(event) for event in BY_TYPE.values()},
        **{f"requests/{key}.json": _schema(request) for key, request in BY_KEY.items()},
        **{f"replies/{key}.json": _schema(request.reply) for key, request in BY_KEY.items()},
        "topology.json": topology_document(),
        **{f"asyncapi/{name}.json": asyncapi.document(name) for name in asyncapi.SERVICES},
    }


def event_path(event: type[EventData]) -> str:
    """Where the schema of this event type and version is kept."""
    return f"events/{event.event_type}.v{event.event_version}.json"


def event_schema(event: type[EventData]) -> Document:
    """The JSON Schema of the whole envelope, with its type and version pinned."""
    schema = _schema(Envelope.__class_getitem__(event))
    schema["properties"]["event_type"] = {"const": event.event_type}
    schema["properties"]["event_version"] = {"const": event.event_version}
    return {**schema, "title": event.event_type, "description": event.description}


def _schema(model: Any) -> Document:
    return TypeAdapter(model).json_schema()


def topology_document() -> Document:
    """Exchanges with their bindings and queues with their arguments, which AsyncAPI leaves out."""
    return {
        "exchanges": [
            {**asdict(exchange), "type": "topic", "dead_letters": exchange.dead_letters}
            for exchange in topology.EXCHANGES
        ],
        "queues": [
            {
                "name": queue.name,
                "exchange": queue.exchange.name,
                "keys": list(queue.keys),
                "arguments": queue.arguments,
                "dead_letters": {
                    "name": queue.dead_letters,
                    "arguments": topology.DEAD_LETTER_ARGUMENTS,
                },
            }
            for queue in topology.QUEUES
        ],
        "requests_exchange": topology.REQUESTS_EXCHANGE,
    }
