"""Every event type there is, and which of them customers may subscribe to."""

from typing import Any, cast

from shared_events import channel, contact, gateway, messaging, webhook
from shared_events.envelope import Data, Envelope, EventData

PUBLIC: tuple[type[EventData], ...] = (
    contact.ContactCreated,
    contact.ContactUpdated,
    contact.ContactDeleted,
    messaging.SessionStarted,
    messaging.SessionAssigned,
    messaging.SessionClosed,
    messaging.SessionExpired,
    messaging.MessageReceived,
    messaging.MessageQueued,
    messaging.MessageSent,
    messaging.MessageDelivered,
    messaging.MessageRead,
    messaging.MessagePlayed,
    messaging.MessageFailed,
    channel.ChannelCreated,
    channel.ChannelStatusChanged,
    gateway.AgentCreated,
    webhook.WebhookEndpointDisabled,
)
"""Offered to customers as webhooks; the list in `GET /event-types`."""

INTERNAL: tuple[type[EventData], ...] = (
    channel.ChannelMessageReceived,
    channel.ChannelMessageSent,
    channel.ChannelMessageFailed,
    channel.ChannelMessageStatusReported,
    channel.ChannelUpdated,
    channel.ChannelDeleted,
    contact.ContactIdentityLinked,
    gateway.AgentUpdated,
)
"""Between our services only."""

BY_TYPE: dict[tuple[str, str], type[EventData]] = {
    (event.event_type, event.event_version): event for event in (*PUBLIC, *INTERNAL)
}


class UnknownEventError(LookupError):
    """No class is registered for this event type and version."""


def parse(data_type: type[Data], body: bytes) -> Envelope[Data]:
    """Decode the body of a known event; raises pydantic's ValidationError when it does not fit."""
    envelope_of = cast(type[Envelope[Data]], Envelope.__class_getitem__(data_type))
    return envelope_of.model_validate_json(body)


def parse_any(event_type: str, event_version: str, body: bytes) -> Envelope[Any]:
    """Decode an event by its headers; raises UnknownEventError or ValidationError."""
    try:
        data_type = BY_TYPE[event_type, event_version]
    except KeyError:
        raise UnknownEventError(f"{event_type} version {event_version}") from None
    return parse(data_type, body)
