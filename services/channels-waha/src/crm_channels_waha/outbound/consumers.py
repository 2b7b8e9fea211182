"""Messages to send, and changes to those that are sent, enter the ledger."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.text import without_nul
from shared_events.messaging.message import Message, MessageChangeRequested, MessageQueued

from crm_channels_waha.outbound import changes, ledger, retrying
from crm_channels_waha.outbound.models import OutboundMessage

_DETAILS = {"location": "location", "contact": "contacts", "poll": "poll"}
"""Under which key of its metadata a message of a content type says what it says."""


async def on_message_queued(tx: Transaction, events: Sequence[Event[MessageQueued]]) -> None:
    """Owe WhatsApp these messages. A channel that is gone fails them when their turn comes.

    They enter by company, each one's as they came: that is the order to send them in.
    """
    messages = [
        OutboundMessage.model_construct(
            message_id=event.data.message.id,
            tenant_id=event.tenant_id,
            channel_id=event.data.message.channel_id,
            chat_id=event.data.to,
            proved=event.data.proved,
            content_type=event.data.message.content_type,
            content=_storable(event.data.message.content),
            media_id=event.data.message.media_id,
            media_url=_storable(event.data.message.media_url),
            media_mime_type=event.data.message.media_mime_type,
            details=_details(event.data.message),
            bulk=event.data.bulk,
            message_version=event.data.message.version,
            expires_at=event.data.message.expires_at,
            reply_to_external_id=event.data.reply_to_external_id,
            correlation_id=event.cause.correlation_id,
            causation_id=event.cause.causation_id,
            trace_context=dict(event.cause.trace_context),
        )
        for event in sorted(events, key=attrgetter("tenant_id"))
    ]
    await ledger.enter(tx, messages)
    await retrying.enter_again(tx, messages)


async def on_change_requested(
    tx: Transaction, events: Sequence[Event[MessageChangeRequested]]
) -> None:
    """Owe WhatsApp these changes; what waits to be sent and is taken back, is not sent."""
    await changes.enter(
        tx,
        [
            OutboundMessage.model_construct(
                message_id=event.data.id,
                tenant_id=event.tenant_id,
                channel_id=event.data.channel_id,
                chat_id=event.data.to,
                content_type=event.data.change,
                content=_storable(event.data.content),
                target_id=event.data.message_id,
                target_external_id=event.data.external_id,
                target_from_us=event.data.from_us,
                target_participant=event.data.participant,
                correlation_id=event.cause.correlation_id,
                causation_id=event.cause.causation_id,
                trace_context=dict(event.cause.trace_context),
            )
            for event in sorted(events, key=attrgetter("tenant_id"))
        ],
        {event.data.id: event.cause for event in events},
    )


def _details(message: Message) -> dict[str, Any]:
    """What a message says beside text and file; the rest of its metadata is the customer's own."""
    keys = (_DETAILS.get(message.content_type), "mentions")
    found = {key: message.metadata[key] for key in keys if key and key in message.metadata}
    details: dict[str, Any] = without_nul(found)
    return details


def _storable(text: str | None) -> str | None:
    return text.replace("\0", "") if text else None
