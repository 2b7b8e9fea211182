"""The catalogue of public event types, read from the event contracts."""

from functools import cache

import orjson
from shared_events import examples
from shared_events.registry import PUBLIC
from shared_events.requests import Page

from crm_gateway.event_types.schemas import EventType, ListEventTypes
from crm_gateway.rest.own import OwnRequests


def add_to(own: OwnRequests) -> None:
    """What is asked about event types."""
    own.answer_plain(ListEventTypes, list_event_types)


async def list_event_types(request: ListEventTypes) -> Page[EventType]:
    """Every public event type, by name. It is the same for everybody and needs no database."""
    del request
    return _catalogue()


@cache
def _catalogue() -> Page[EventType]:
    return Page[EventType](
        data=[
            EventType(
                name=event.event_type,
                version=event.event_version,
                description=event.description(),
                data_schema=event.model_json_schema(mode="serialization"),
                example=_as_delivered(examples.body(event.event_type, event.event_version)),
            )
            for event in sorted(PUBLIC, key=lambda event: event.event_type)
        ]
    )


def _as_delivered(envelope: bytes) -> dict[str, object]:
    """The example as a webhook body (Standard Webhooks)."""
    event = orjson.loads(envelope)
    return {
        "type": event["event_type"],
        "timestamp": event["occurred_at"],
        "data": event["data"],
        "tenant_id": event["tenant_id"],
        "id": event["event_id"],
    }
