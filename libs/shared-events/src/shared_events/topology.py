"""Every exchange, queue and key of the bus, declared once (docs/architecture.md, "The bus").

They are FastStream's exchanges and queues, so subscribers and publishers take them as they are.
All exchanges are topic and durable. Event queues are quorum queues with a TTL of 24 h; what
expires, is rejected or exceeds the delivery limit goes to `<exchange>.dlx` under the queue's name
and rests in `<queue>.dlq`, which drops nothing.

Queues whose order matters and where much comes are split into partitions, by a hash of what the
order is kept within: a conversation, a contact, a number (docs/adr/0014).

Queue arguments cannot be changed in place: a change needs a new name (suffix `.v2`).

None of them is `robust`: aio-pika would make what was lost anew by itself, without its bindings
(docs/adr/0012). FastStream only looks for the exchanges (`declare=False`): no service may make one,
they come with the deployment (docs/adr/0016).
"""

from collections.abc import Iterator, Sequence
from typing import cast

from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue
from faststream.rabbit.schemas.queue import QuorumQueueArgs

from shared_events.channels import channel, group, history, media, traffic
from shared_events.channels.profile_picture import ChannelProfilePictureSeen
from shared_events.contacts import contact, erasure, list_page, merge, opt_out, subject_export
from shared_events.envelope import EventData
from shared_events.gateway import agent, company
from shared_events.keys import topic_matches
from shared_events.messaging import bulk_send, conversation, message, session
from shared_events.messaging.subject_export import SubjectMessagesGathered
from shared_events.notices import FEED_NOTICES
from shared_events.registry import BY_TYPE, EVENTS, PUBLIC
from shared_events.requests import Kind
from shared_events.services import CHANNELS, CONTACTS, GATEWAY, MESSAGING, WEBHOOKS, ServiceName
from shared_events.webhooks import endpoint

DELIVERY_LIMIT = 20
"""Redeliveries before the broker itself dead-letters. Each restart of a consumer costs one."""

NEVER = 1_000_000_000
"""The delivery limit of dead letters. Looking at a letter returns it to its queue, and RabbitMQ 4.0
drops what returned 20 times unless a limit is given; -1, its word for none, is refused by 3.x."""

MESSAGE_TTL_MS = 86_400_000

PARTITIONS = 4
"""Of each queue that is split, unless a setting says otherwise."""

EQUAL_SHARE = "1"
"""The key a partition is bound by: to a consistent-hash exchange it is the weight of its share."""


class TopicExchange(RabbitExchange):
    """A topic exchange; `sources` are the exchanges that feed it, each with the keys it takes."""

    def __init__(self, name: str, sources: Sequence[tuple["TopicExchange", str]] = ()) -> None:
        super().__init__(name, type=ExchangeType.TOPIC, declare=False, robust=False)
        self.sources = tuple(sources)

    @property
    def dead_letters(self) -> RabbitExchange:
        """Where its queues' dead letters go."""
        return RabbitExchange(
            f"{self.name}.dlx", type=ExchangeType.TOPIC, declare=False, robust=False
        )


class EventQueue(RabbitQueue):
    """A queue of one consuming purpose of one service, bound to an exchange by `keys`.

    `single_active`: one consumer at a time, in order, with the other replicas standing by.
    `in_batches`: its consumer takes many messages in one transaction, which pays where much comes.
    `ordered_by`: it is split, and this header's value decides which partition a message goes to;
    what has no such header all goes to one. The queue itself is then never declared.
    """

    def __init__(
        self,
        name: str,
        exchange: TopicExchange,
        keys: Sequence[str],
        *,
        service: ServiceName,
        single_active: bool = True,
        in_batches: bool = True,
        ordered_by: str | None = None,
    ) -> None:
        super().__init__(
            name,
            queue_type=QueueType.QUORUM,
            routing_key=keys[0],  # the subscriber binds one, `service_kit.declaring` all of them
            robust=False,
            arguments={
                "x-message-ttl": MESSAGE_TTL_MS,
                "x-delivery-limit": DELIVERY_LIMIT,
                "x-dead-letter-exchange": exchange.dead_letters.name,
                "x-dead-letter-routing-key": name,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",  # what at-least-once dead-lettering requires
                **({"x-single-active-consumer": True} if single_active else {}),
            },
        )
        self.exchange = exchange
        self.keys = tuple(keys)
        self.service = service
        self.single_active = single_active
        self.in_batches = in_batches
        self.ordered_by = ordered_by

    @property
    def spread(self) -> RabbitExchange | None:
        """The exchange that spreads its messages over the partitions; None when it has none."""
        if self.ordered_by is None:
            return None
        return RabbitExchange(
            self.name,
            type=ExchangeType.X_CONSISTENT_HASH,
            durable=True,
            robust=False,
            arguments={"hash-header": self.ordered_by},
        )

    def partitions(self, count: int) -> tuple[RabbitQueue, ...]:
        """The queues that hold its messages: `count` of them, or itself when it is not split."""
        if self.ordered_by is None:
            return (self,)
        return tuple(
            RabbitQueue(
                f"{self.name}.{index}",
                queue_type=QueueType.QUORUM,
                routing_key=EQUAL_SHARE,
                robust=False,
                arguments=cast(QuorumQueueArgs, self.arguments),
            )
            for index in range(count)
        )

    def parts(self, count: int) -> Iterator["Part"]:
        """What there is of it on the bus, from the end to the source."""
        sources = [(self.exchange.name, key) for key in self.keys]
        sources.append((returns(self.service).name, self.name))
        if self.spread is None:
            yield self, sources
            return
        for partition in self.partitions(count):
            yield partition, [(self.spread.name, EQUAL_SHARE)]
        yield self.spread, sources

    @property
    def dead_letters(self) -> RabbitQueue:
        """Where its dead letters rest."""
        return RabbitQueue(
            f"{self.name}.dlq",
            queue_type=QueueType.QUORUM,
            robust=False,
            arguments={"x-delivery-limit": NEVER},
        )


Part = tuple[RabbitQueue | RabbitExchange, Sequence[tuple[str, str]]]
"""A queue or exchange, with the exchanges it takes from and the keys."""


def _keys(*events: type[EventData]) -> tuple[str, ...]:
    return tuple(event.event_type for event in events)


WAHA_EVENTS = TopicExchange("waha.events")
CONTACT_EVENTS = TopicExchange("contact.events")
DOMAIN_EVENTS = TopicExchange("domain.events", sources=[(CONTACT_EVENTS, "#")])
WEBHOOKS_OUTBOUND = TopicExchange(
    "webhooks.outbound",
    sources=[
        (DOMAIN_EVENTS, event.event_type)
        for event in PUBLIC
        if not event.event_type.startswith("contact.")
    ],
)
"""The public events, but for contact.*: those reach webhooks by `contact.events.webhook`."""
EXCHANGES = (WAHA_EVENTS, CONTACT_EVENTS, DOMAIN_EVENTS, WEBHOOKS_OUTBOUND)

_AGGREGATE = "aggregate_id"
"""What producers keep the order within, in the header every event has."""

WAHA_MESSAGES = EventQueue(
    "waha.messages", WAHA_EVENTS, ["message.#"], service=CHANNELS, ordered_by="channel_id"
)
_NOTICES = ("session", "poll", "call", "label", "group", "presence", "chat", "event", "state")
WAHA_NOTICES = EventQueue(
    "waha.notices",
    WAHA_EVENTS,
    [f"{word}.#" for word in (*_NOTICES, "engine", "unknown")],
    service=CHANNELS,
    in_batches=False,
)
"""Every other WAHA event. The gateway publishes a first word it does not know as `unknown.*`."""

CHANNELS_OUTBOUND = EventQueue(
    "channels.outbound",
    DOMAIN_EVENTS,
    _keys(message.MessageQueued, message.MessageChangeRequested, conversation.ConversationRead),
    service=CHANNELS,
    ordered_by=_AGGREGATE,
)
MESSAGING_CHANNEL_EVENTS = EventQueue(
    "messaging.channel_events",
    DOMAIN_EVENTS,
    _keys(
        *(traffic.ChannelMessageReceived, traffic.ChannelMessageSent),
        *(traffic.ChannelMessageFailed, traffic.ChannelMessageStatusReported),
        *(traffic.ChannelMessageRevoked, traffic.ChannelMessageEdited),
        *(
            traffic.ChannelReactionReported,
            traffic.ChannelVoteReported,
            traffic.ChannelChangeFailed,
        ),
        *(media.ChannelMediaStored, media.ChannelMediaFailed, group.ChannelGroupReported),
    ),
    service=MESSAGING,
    ordered_by=_AGGREGATE,
)
# History has queues of its own and is taken a page at a time: live traffic never stands behind it.
MESSAGING_HISTORY, CONTACTS_HISTORY = (
    EventQueue(
        f"{service.noun}.history",
        DOMAIN_EVENTS,
        _keys(history.ChannelHistoryRead),
        service=service,
        in_batches=False,
        ordered_by=_AGGREGATE,
    )
    for service in (MESSAGING, CONTACTS)
)
MESSAGING_REPLICAS = EventQueue(
    "messaging.replicas",
    DOMAIN_EVENTS,
    _keys(
        *(contact.ContactCreated, contact.ContactUpdated, contact.ContactDeleted),
        *(contact.ContactPurged, contact.ContactIdentityLinked, contact.ContactIdentityReleased),
        *(merge.ContactMerged, merge.ContactUnmerged),
        *(channel.ChannelCreated, channel.ChannelUpdated),
        *(channel.ChannelStatusChanged, channel.ChannelDeleted),
        *(agent.AgentCreated, agent.AgentUpdated, company.SettingsUpdated, erasure.ErasureStarted),
        *(subject_export.SubjectExportStarted, opt_out.ContactOptedOut, opt_out.ContactOptedIn),
        list_page.ContactListRead,
    ),
    service=MESSAGING,
    ordered_by=_AGGREGATE,
)
_SETTINGS = _keys(company.SettingsUpdated)
CONTACTS_SETTINGS = EventQueue(
    "contacts.settings", DOMAIN_EVENTS, _SETTINGS, service=CONTACTS, ordered_by=_AGGREGATE
)
MESSAGING_WORKFLOWS = EventQueue(
    "messaging.workflows",
    DOMAIN_EVENTS,
    _keys(session.SessionStarted),
    service=MESSAGING,
    single_active=False,
    in_batches=False,
)
CONTACTS_CHANNEL_EVENTS = EventQueue(
    "contacts.channel_events",
    DOMAIN_EVENTS,
    _keys(traffic.ChannelMessageReceived, traffic.ChannelCallReported, ChannelProfilePictureSeen),
    service=CONTACTS,
    ordered_by=_AGGREGATE,
)
CONTACT_ENRICHMENT, CONTACT_WEBHOOK = (
    EventQueue(name, CONTACT_EVENTS, keys, service=service, ordered_by=_AGGREGATE)
    for name, keys, service in (
        ("contact.events.enrichment", ["contact.*", "tracking.created"], CONTACTS),
        ("contact.events.webhook", ["contact.*"], WEBHOOKS),
    )
)
_HAPPENINGS = ["call.*", "note.*", "session.*", "tracking.*"]
CONTACTS_TIMELINE = EventQueue("contacts.timeline", DOMAIN_EVENTS, _HAPPENINGS, service=CONTACTS)
"""What happens to a contact, told by others than the contact itself."""
WEBHOOKS_DELIVERY = EventQueue(
    "webhooks.delivery", WEBHOOKS_OUTBOUND, ["#"], service=WEBHOOKS, ordered_by=_AGGREGATE
)
DOMAIN_EVENTS_ALL = EventQueue(
    "domain.events.all", DOMAIN_EVENTS, ["#"], service=WEBHOOKS, single_active=False
)
CONTACTS_SUBJECT_EXPORTS = EventQueue(
    "contacts.subject_exports", DOMAIN_EVENTS, _keys(SubjectMessagesGathered), service=CONTACTS
)
_WANTED = _keys(bulk_send.BulkRecipientsWanted)
CONTACTS_BULK_SENDS = EventQueue("contacts.bulk_sends", DOMAIN_EVENTS, _WANTED, service=CONTACTS)
CONTACTS_ERASURES = EventQueue("contacts.erasures", DOMAIN_EVENTS, ["erasure.*"], service=CONTACTS)
CHANNELS_ERASURES, WEBHOOKS_ERASURES, GATEWAY_ERASURES = (
    EventQueue(f"{s.noun}.erasures", DOMAIN_EVENTS, _keys(erasure.ErasureStarted), service=s)
    for s in (CHANNELS, WEBHOOKS, GATEWAY)
)
"""Messaging hears of erasures behind what was told of the contact before: by its replicas, as of
subject exports."""
GATEWAY_ENDPOINT_NOTICES = EventQueue(
    "gateway.endpoint_notices",
    DOMAIN_EVENTS,
    _keys(endpoint.WebhookEndpointFailing, endpoint.WebhookEndpointDisabled),
    service=GATEWAY,
    in_batches=False,
)

QUEUES = (
    *(WAHA_MESSAGES, WAHA_NOTICES, CHANNELS_OUTBOUND),
    *(MESSAGING_CHANNEL_EVENTS, MESSAGING_HISTORY, MESSAGING_REPLICAS, MESSAGING_WORKFLOWS),
    *(CONTACTS_CHANNEL_EVENTS, CONTACTS_HISTORY, CONTACT_ENRICHMENT, CONTACTS_TIMELINE),
    *(CONTACT_WEBHOOK, WEBHOOKS_DELIVERY, DOMAIN_EVENTS_ALL, CONTACTS_SUBJECT_EXPORTS),
    *(CONTACTS_SETTINGS, CONTACTS_ERASURES, CHANNELS_ERASURES, WEBHOOKS_ERASURES),
    *(GATEWAY_ERASURES, GATEWAY_ENDPOINT_NOTICES, CONTACTS_BULK_SENDS),
)


def returns(service: ServiceName) -> RabbitExchange:
    """Brings a message back to a queue of the service; the key is the queue's name.

    Through the default exchange any queue could be reached, and any service could write to it.
    """
    return RabbitExchange(f"{service.noun}.returns", type=ExchangeType.DIRECT, robust=False)


def retry(service: ServiceName, delay_ms: int) -> tuple[RabbitExchange, RabbitQueue]:
    """Where a message of a service waits for `delay_ms` and returns to the queue it came from.

    Publish to the exchange with the name of that queue as the routing key.
    """
    name = f"{service.noun}.retry.{delay_ms}ms"
    queue = RabbitQueue(
        name,
        queue_type=QueueType.QUORUM,
        robust=False,
        arguments={
            "x-message-ttl": delay_ms,
            "x-dead-letter-exchange": returns(service).name,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        },
    )
    return RabbitExchange(name, type=ExchangeType.TOPIC, robust=False), queue


CRM_REQUESTS = RabbitExchange("crm.requests", type=ExchangeType.TOPIC, declare=False, robust=False)
CRM_REPLIES = RabbitExchange("crm.replies", type=ExchangeType.DIRECT, declare=False, robust=False)
"""Answers to requests; the key is the reply queue's name, which nobody can guess."""

SHARED_EXCHANGES = (
    *EXCHANGES,
    *(exchange.dead_letters for exchange in EXCHANGES),
    CRM_REQUESTS,
    CRM_REPLIES,
    FEED_NOTICES,
)
"""Every exchange that more than one service uses."""


def request_queue(service: ServiceName, kind: Kind) -> RabbitQueue:
    """Where a service takes its queries or its commands, e.g. `contacts.queries`.

    It goes with its last consumer, so that who asks a service that is away is told at once: no
    queue is there to take the request. It is not replicated, because requests live for seconds: a
    node that is lost takes those on it along, and the service declares the queue anew.
    """
    name = f"{service.noun}.{'queries' if kind == 'query' else 'commands'}"
    return RabbitQueue(name, durable=True, auto_delete=True, robust=False)


def event_exchange(event_type: str) -> TopicExchange:
    """The exchange an event is published to; contact.events feeds domain.events by binding."""
    return CONTACT_EVENTS if event_type.startswith(("contact.", "tracking.")) else DOMAIN_EVENTS


def events_of(queue: EventQueue) -> tuple[type[EventData], ...]:
    """The event types that reach a queue, through exchange bindings too."""
    return tuple(e for e in BY_TYPE.values() if _reaches(e.event_type, queue))


def _reaches(event_type: str, queue: EventQueue) -> bool:
    fed = {event_exchange(event_type).name}
    for exchange in EXCHANGES:  # declared sources first, so one pass is enough
        if any(s.name in fed and topic_matches(k, event_type) for s, k in exchange.sources):
            fed.add(exchange.name)
    return queue.exchange.name in fed and any(topic_matches(k, event_type) for k in queue.keys)


def queues_told(service: ServiceName) -> Iterator[EventQueue]:
    """The queues that what a service publishes must reach, its own among them."""
    for queue in QUEUES:
        told = queue.exchange is WAHA_EVENTS and service is GATEWAY
        if told or any(event in events_of(queue) for event in EVENTS.get(service, ())):
            yield queue


def queues_of(service: ServiceName) -> Iterator[EventQueue]:
    """The event queues a service consumes."""
    return (queue for queue in QUEUES if queue.service is service)
