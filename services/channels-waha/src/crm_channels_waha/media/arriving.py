"""Files that come with messages: entered in the transaction that tells of the message."""

from urllib.parse import urlsplit
from uuid import UUID, uuid5

from service_kit.cause import Cause
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.identity import WhatsAppId

from crm_channels_waha.media.models import MediaRow


def with_file(message: ChannelMessageReceived) -> ChannelMessageReceived:
    """The message with the id its file has with us, if it has a file.

    The id follows from the message's, so that it is one however often the message is told.
    """
    if message.media is None:
        return message
    file = message.media.model_copy(update={"id": media_id(message.channel.id, message)})
    return message.model_copy(update={"media": file})


def media_id(channel_id: UUID, message: ChannelMessageReceived) -> UUID:
    """The id of a message's file."""
    return uuid5(channel_id, f"media/{message.chat_id}/{message.external_id}")


def _sender(message: ChannelMessageReceived) -> str | None:
    if message.direction != "inbound":
        return None
    shown = message.person.identities[0]
    return WhatsAppId(shown.kind, shown.value).chat_id


def row_of(
    message: ChannelMessageReceived, tenant_id: str, server_url: str, cause: Cause
) -> MediaRow | None:
    """What there is to fetch of a message; WAHA is where `server_url` says."""
    media = message.media
    if media is None or media.id is None:
        return None
    return MediaRow.model_construct(
        id=media.id,
        tenant_id=tenant_id,
        state="pending",
        source="message",
        mime_type=media.mime_type,
        filename=media.filename,
        channel_id=message.channel.id,
        chat_id=message.chat_id,
        sender=_sender(message),
        external_id=message.external_id,
        content_type=message.content_type,
        url=media.url,
        server=urlsplit(server_url).netloc[:255],
        correlation_id=cause.correlation_id,
        causation_id=cause.causation_id,
        trace_context=dict(cause.trace_context),
    )
