"""The committed documents, generated from the code."""

from typing import Any, cast

from faststream.rabbit import RabbitQueue
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from shared_events import topology
from shared_events.envelope import Envelope, EventData
from shared_events.notices import FEED_NOTICES
from shared_events.registry import BY_KEY, BY_TYPE, publisher_of
from shared_events.requests import Reply, RequestEnvelope
from shared_events.slots import SLOTS

Document = dict[str, Any]


def all_documents() -> dict[str, Document]:
    """Every committed document by its file name."""
    return {"contract.json": contract_document(), "topology.json": topology_document()}


def contract_document() -> Document:
    """All that may be said: the frames, every event, every request with its reply; shared `$defs`.

    An event's schema is that of its data; the frame `Envelope` is around all of them.
    """
    mode: JsonSchemaMode = "validation"
    frames: dict[str, Any] = {
        "Envelope": Envelope[EventData],
        "Request": RequestEnvelope[dict[str, Any]],
        "Reply": Reply,
    }
    replies = {key: request.reply_model() for key, request in BY_KEY.items()}
    models = dict.fromkeys(
        [*frames.values(), *BY_TYPE.values(), *BY_KEY.values(), *replies.values()]
    )
    places, schemas = models_json_schema(
        [(model, mode) for model in models], ref_template="#/$defs/{model}"
    )
    return {
        "frames": {name: places[model, mode] for name, model in frames.items()},
        "events": {
            f"{event.event_type}.v{event.event_version}": {
                "publisher": publisher_of(event).name,
                "aggregate": event.aggregate_type,
                "public": event.public,
                "data": places[event, mode],
            }
            for event in BY_TYPE.values()
        },
        "requests": {
            key: {
                "kind": request.kind,
                "body": places[request, mode],
                "reply": places[replies[key], mode],
            }
            for key, request in BY_KEY.items()
        },
        "$defs": schemas["$defs"],
    }


def event_schema(event: type[EventData]) -> Document:
    """The JSON Schema of the whole envelope of an event, with its type and version pinned."""
    envelope = cast(type[Envelope[EventData]], Envelope.__class_getitem__(event))
    schema = envelope.model_json_schema()
    schema["properties"]["event_type"] = {"const": event.event_type}
    schema["properties"]["event_version"] = {"const": event.event_version}
    return {**schema, "title": event.event_type, "description": event.description()}


def topology_document() -> Document:
    """Exchanges with their bindings and queues with their arguments."""
    return {
        "slots": SLOTS,
        "exchanges": [
            {
                "name": exchange.name,
                "type": exchange.type.value,
                "sources": [[source.name, key] for source, key in exchange.sources],
                "dead_letters": exchange.dead_letters.name,
            }
            for exchange in topology.EXCHANGES
        ],
        "queues": [
            {
                **_declared(queue),
                "service": queue.service.name,
                "exchange": queue.exchange.name,
                "keys": list(queue.keys),
                "ordered_by": queue.ordered_by,
                "dead_letters": _declared(queue.dead_letters),
            }
            for queue in topology.QUEUES
        ],
        "requests_exchange": topology.CRM_REQUESTS.name,
        "replies_exchange": topology.CRM_REPLIES.name,
        "notices_exchange": FEED_NOTICES.name,
    }


def _declared(queue: RabbitQueue) -> Document:
    return {"name": queue.name, "arguments": dict(queue.arguments)}
