"""Answers to requests about messages."""

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.egress import Egress
from service_kit.errors import InvalidError
from shared_events.messaging.message import GetMessage, Message, MessageContent, SendMessage

from crm_messaging import visibility
from crm_messaging.messages import content, service
from crm_messaging.messages.scheduled import service as scheduling
from crm_messaging.settings import MessagingSettings


class Sending:
    """Queues messages. WAHA fetches their media for us, so its URL goes by our egress rule."""

    def __init__(self, egress: Egress, *, plain_http: bool) -> None:
        self._egress = egress
        self._plain_http = plain_http

    @classmethod
    def by_settings(cls, settings: MessagingSettings) -> "Sending":
        """As these settings say."""
        egress = Egress.by_setting(
            settings.media_allowed_networks, is_production=settings.is_production
        )
        return cls(egress, plain_http=not settings.is_production)

    def check(self, request: MessageContent) -> None:
        """Raise InvalidError for what cannot be said, or fetched."""
        content.check(request)
        url = request.media_url
        if url is not None and not self._egress.allows_url(str(url), plain_http=self._plain_http):
            raise InvalidError.field(
                "media_url",
                "url_not_allowed",
                "The URL must be https, without user or password, and lead to a public address.",
            )

    async def send_message(self, tx: Transaction, request: SendMessage, call: Call) -> Message:
        """Queue a message to a contact, or into a group."""
        self.check(request)
        if (contact_id := request.to_contact) is not None:
            await visibility.check_talking(tx, contact_id, request.channel_id, call)
        if request.conversation_id is not None:
            await visibility.check(tx, "conversation", request.conversation_id, call)
        return await service.send(tx, request, call.user_id, call.correlation_id)


async def get_message(tx: Transaction, request: GetMessage, call: Call) -> Message:
    """Read one message; NotFoundError."""
    await visibility.check(tx, "message", request.message_id, call)
    return await scheduling.get(tx, request.message_id)
