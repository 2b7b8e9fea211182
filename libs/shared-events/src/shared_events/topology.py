"""Every exchange, queue and key of the bus, declared once (design section 3).

All exchanges are topic and durable. Event queues are quorum queues with the seed's 24 h TTL; what
expires, is rejected or exceeds the delivery limit goes to `<exchange>.dlx` under the queue's name
and rests in `<queue>.dlq`, which has no TTL. Nothing is ever dropped.

Queue arguments cannot be changed in place: a change needs a new name (suffix `.v2`).
"""

from dataclasses import dataclass
from typing import Any

from shared_events import channel, contact, gateway, messaging
from shared_events.envelope import EventData
from shared_events.registry import PUBLIC

DELIVERY_LIMIT = 20
"""Redeliveries before the broker itself dead-letters. Each restart of a consumer costs one."""

MESSAGE_TTL_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A topic exchange; `sources` are (exchange name, key) pairs it is bound to."""

    name: str
    sources: tuple[tuple[str, str], ...] = ()

    @property
    def dead_letters(self) -> str:
        """Where its queues' dead letters go."""
        return f"{self.name}.dlx"


@dataclass(frozen=True, slots=True)
class Queue:
    """An event queue of one consuming purpose.

    `single_active`: one consumer at a time, in order, with the other replicas standing by.
    """

    name: str
    exchange: Exchange
    keys: tuple[str, ...]
    single_active: bool = True

    @property
    def dead_letters(self) -> str:
        """Where its dead letters rest."""
        return f"{self.name}.dlq"

    @property
    def arguments(self) -> dict[str, Any]:
        """What the queue is declared with."""
        arguments: dict[str, Any] = {
            "x-queue-type": "quorum",
            "x-message-ttl": MESSAGE_TTL_MS,
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": self.exchange.dead_letters,
            "x-dead-letter-routing-key": self.name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",  # what at-least-once dead-lettering requires
        }
        if self.single_active:
            arguments["x-single-active-consumer"] = True
        return arguments


DEAD_LETTER_ARGUMENTS: dict[str, Any] = {"x-queue-type": "quorum"}


def _keys(*events: type[EventData]) -> tuple[str, ...]:
    return tuple(event.event_type for event in events)


WAHA_EVENTS = Exchange("waha.events")
CONTACT_EVENTS = Exchange("contact.events")
DOMAIN_EVENTS = Exchange("domain.events", sources=((CONTACT_EVENTS.name, "#"),))
WEBHOOKS_OUTBOUND = Exchange(
    "webhooks.outbound",
    sources=tuple(
        (DOMAIN_EVENTS.name, event.event_type)
        for event in PUBLIC
        if not event.event_type.startswith("contact.")
    ),
)
"""The public events, but for contact.*: those reach webhooks by `contact.events.webhook`."""
EXCHANGES = (WAHA_EVENTS, CONTACT_EVENTS, DOMAIN_EVENTS, WEBHOOKS_OUTBOUND)

WAHA_MESSAGES = Queue("waha.messages", WAHA_EVENTS, ("message.#",))
WAHA_NOTICES = Queue(
    "waha.notices",
    WAHA_EVENTS,
    tuple(
        f"{word}.#"
        for word in (
            "session",
            "poll",
            "call",
            "label",
            "group",
            "presence",
            "chat",
            "event",
            "state",
            "engine",
            "unknown",
        )
    ),
)
"""Every other WAHA event. The gateway publishes a first word it does not know as `unknown.*`."""

CHANNELS_OUTBOUND = Queue("channels.outbound", DOMAIN_EVENTS, _keys(messaging.MessageQueued))
MESSAGING_CHANNEL_EVENTS = Queue(
    "messaging.channel_events",
    DOMAIN_EVENTS,
    _keys(
        channel.ChannelMessageReceived,
        channel.ChannelMessageSent,
        channel.ChannelMessageFailed,
        channel.ChannelMessageStatusReported,
    ),
)
MESSAGING_REPLICAS = Queue(
    "messaging.replicas",
    DOMAIN_EVENTS,
    _keys(
        contact.ContactCreated,
        contact.ContactUpdated,
        contact.ContactDeleted,
        contact.ContactIdentityLinked,
        channel.ChannelCreated,
        channel.ChannelUpdated,
        channel.ChannelDeleted,
        gateway.AgentCreated,
        gateway.AgentUpdated,
    ),
)
MESSAGING_WORKFLOWS = Queue(
    "messaging.workflows",
    DOMAIN_EVENTS,
    _keys(messaging.SessionStarted),
    single_active=False,
)
CONTACTS_CHANNEL_EVENTS = Queue(
    "contacts.channel_events", DOMAIN_EVENTS, _keys(channel.ChannelMessageReceived)
)
CONTACT_ENRICHMENT = Queue("contact.events.enrichment", CONTACT_EVENTS, ("contact.*",))
CONTACT_WEBHOOK = Queue("contact.events.webhook", CONTACT_EVENTS, ("contact.*",))
WEBHOOKS_DELIVERY = Queue("webhooks.delivery", WEBHOOKS_OUTBOUND, ("#",))
DOMAIN_EVENTS_ALL = Queue("domain.events.all", DOMAIN_EVENTS, ("#",), single_active=False)

QUEUES = (
    WAHA_MESSAGES,
    WAHA_NOTICES,
    CHANNELS_OUTBOUND,
    MESSAGING_CHANNEL_EVENTS,
    MESSAGING_REPLICAS,
    MESSAGING_WORKFLOWS,
    CONTACTS_CHANNEL_EVENTS,
    CONTACT_ENRICHMENT,
    CONTACT_WEBHOOK,
    WEBHOOKS_DELIVERY,
    DOMAIN_EVENTS_ALL,
)

REQUESTS_EXCHANGE = "crm.requests"


@dataclass(frozen=True, slots=True)
class RequestQueue:
    """Where one service takes its queries or its commands (keys `<service>.<resource>.<verb>`)."""

    service: str
    kind: str

    @property
    def name(self) -> str:
        """Queue name, e.g. `contacts.queries`."""
        return f"{self.service}.{'queries' if self.kind == 'query' else 'commands'}"


def event_exchange(event_type: str) -> str:
    """The exchange an event is published to; contact.events feeds domain.events by binding."""
    word = event_type.partition(".")[0]
    return CONTACT_EVENTS.name if word == "contact" else DOMAIN_EVENTS.name


WAHA_KEY_WORDS = frozenset(
    key.partition(".")[0] for queue in (WAHA_MESSAGES, WAHA_NOTICES) for key in queue.keys
)


def waha_key(event_name: str) -> str:
    """The routing key of a WAHA event; a name no queue knows travels as `unknown.<name>`."""
    return event_name if event_name.partition(".")[0] in WAHA_KEY_WORDS else f"unknown.{event_name}"
