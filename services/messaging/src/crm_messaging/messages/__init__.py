"""Chat messages: arriving, being sent, and what WhatsApp reports of them."""

from service_kit.service import Service
from shared_events.channels import media as channel_media
from shared_events.channels import traffic
from shared_events.messaging import conversation, message
from shared_events.topology import MESSAGING_CHANNEL_EVENTS

from crm_messaging.messages import (
    arrival,
    changes,
    consumers,
    listing,
    media,
    reached,
    requests,
    retrying,
    scheduled,
)
from crm_messaging.messages.due import DueMessages
from crm_messaging.messages.strays import Strays
from crm_messaging.settings import MessagingSettings


def add_to(service: Service, settings: MessagingSettings) -> None:
    """What is asked about messages, and what channels tell of them."""
    changes.add_to(service)
    scheduled.add_to(service)
    service.background("scheduled", DueMessages(service.database).run)
    service.background("strays", Strays(service.database, settings.sweep_seconds).run)
    sending = requests.Sending.by_settings(settings)
    service.answer(message.SendMessage, sending.send_message)
    service.answer(message.RetryMessage, retrying.retry_message)
    service.answer(message.GetMessage, requests.get_message)
    service.answer(message.ListMessageReceipts, reached.list_receipts)
    service.answer(message.ListMessages, listing.list_messages)
    service.answer(message.ListContactMessages, listing.list_contact_messages)
    service.answer(message.ListSessionMessages, listing.list_session_messages)
    service.answer(conversation.ListConversationMessages, listing.list_conversation_messages)
    queue = MESSAGING_CHANNEL_EVENTS
    service.on(queue, traffic.ChannelMessageReceived, arrival.on_message_received, together=True)
    service.on(queue, traffic.ChannelMessageSent, consumers.on_message_sent, together=True)
    service.on(queue, traffic.ChannelMessageFailed, consumers.on_message_failed, together=True)
    reported = traffic.ChannelMessageStatusReported
    service.on(queue, reported, consumers.on_status_reported, together=True)
    stored, failed = channel_media.ChannelMediaStored, channel_media.ChannelMediaFailed
    service.on(queue, stored, media.on_media_stored, together=True)
    service.on(queue, failed, media.on_media_failed, together=True)
    service.on(queue, traffic.ChannelMessageRevoked, consumers.on_message_revoked, together=True)
