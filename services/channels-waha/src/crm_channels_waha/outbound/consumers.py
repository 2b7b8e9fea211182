"""Messages to send enter the ledger."""

from collections.abc import Sequence
from operator import attrgetter

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.messaging.message import MessageQueued

from crm_channels_waha.outbound import ledger
from crm_channels_waha.outbound.models import OutboundMessage


async def on_message_queued(tx: Transaction, events: Sequence[Event[MessageQueued]]) -> None:
    """Owe WhatsApp these messages. A channel that is gone fails them when their turn comes.

    They enter by company, each one's as they came: that is the order to send them in.
    """
    await ledger.enter(
        tx,
        [
            OutboundMessage.model_construct(
                message_id=event.data.message.id,
                tenant_id=event.tenant_id,
                channel_id=event.data.message.channel_id,
                chat_id=event.data.to,
                content_type=event.data.message.content_type,
                content=_storable(event.data.message.content),
                media_url=_storable(event.data.message.media_url),
                media_mime_type=event.data.message.media_mime_type,
                reply_to_external_id=event.data.reply_to_external_id,
                correlation_id=event.cause.correlation_id,
                causation_id=event.cause.causation_id,
                trace_context=dict(event.cause.trace_context),
            )
            for event in sorted(events, key=attrgetter("tenant_id"))
        ],
    )


def _storable(text: str | None) -> str | None:
    return text.replace("\0", "") if text else None
