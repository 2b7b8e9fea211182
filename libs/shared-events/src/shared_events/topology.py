"""Every exchange, queue and key of the bus, declared once (docs/architecture.md, "The bus").

They are FastStream's exchanges and queues, so subscribers and publishers take them as they are.
All exchanges are topic and durable. Event queues are quorum queues with a TTL of 24 h; what
expires, is rejected or exceeds the delivery limit goes to `<exchange>.dlx` under the queue's name
and rests in `<queue>.dlq`, which drops nothing.

Queues whose order matters and where much comes are split into partitions, by a hash of what the
order is kept within: a conversation, a contact, a number (docs/adr/0014, 0034).

Queue arguments cannot be changed in place: a change needs a new name (suffix `.v2`).

None of them is `robust`: aio-pika would make what was lost anew by itself, without its bindings
(docs/adr/0012). FastStream only looks for the exchanges (`declare=False`): no service may make one,
they come with the deployment (docs/adr/0016).
"""

from collections.abc import Iterator
from functools import cache

from faststream.rabbit import ExchangeType, QueueType, RabbitExchange, RabbitQueue

from shared_events.channels import channel, group, history, label, media, traffic
from shared_events.channels.profile_picture import ChannelProfilePictureSeen
from shared_events.contacts import contact, erasure, list_page, merge, opt_out, subject_export
from shared_events.envelope import EventData
from shared_events.gateway import agent, company
from shared_events.keys import topic_matches
from shared_events.messaging import bulk_send, conversation, message, session
from shared_events.messaging.subject_export import SubjectMessagesGathered
from shared_events.notices import FEED_NOTICES
from shared_events.queues import PARTITIONS as PARTITIONS
from shared_events.queues import EventQueue as EventQueue
from shared_events.queues import TopicExchange
from shared_events.queues import returns as returns
from shared_events.registry import BY_TYPE, EVENTS, PUBLIC
from shared_events.requests import Kind
from shared_events.services import CHANNELS, CONTACTS, GATEWAY, MESSAGING, WEBHOOKS, ServiceName
from shared_events.webhooks import endpoint


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
    _keys(
        *(message.MessageQueued, message.MessageChangeRequested, conversation.ConversationRead),
        traffic.ChannelCallReported,
    ),
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
        *(traffic.ChannelReactionReported, traffic.ChannelVoteReported),
        *(traffic.ChannelChangeFailed, traffic.ChannelCallReported),
        *(media.ChannelMediaStored, media.ChannelMediaFailed, group.ChannelGroupReported),
        label.ChannelChatLabelled,
    ),
    service=MESSAGING,
    ordered_by=_AGGREGATE,
)
# History has queues of its own and is taken a page at a time: live traffic never stands behind it.
MESSAGING_HISTORY, CONTACTS_HISTORY = (
    EventQueue(
        f"{service.noun}.history",
        DOMAIN_EVENTS,
        _keys(history.ChannelHistoryRead, *more),
        service=service,
        in_batches=False,
        ordered_by=_AGGREGATE,
    )
    for service, more in ((MESSAGING, (history.ChannelChangesRead,)), (CONTACTS, ()))
)
MESSAGING_REPLICAS = EventQueue(
    "messaging.replicas",
    DOMAIN_EVENTS,
    _keys(
        *(contact.ContactCreated, contact.ContactUpdated, contact.ContactDeleted),
        *(contact.ContactPurged, contact.ContactIdentityLinked, contact.ContactIdentityReleased),
        *(merge.ContactMerged, merge.ContactUnmerged),
        *(channel.ChannelCreated, channel.ChannelUpdated),
        *(channel.ChannelStatusChanged, channel.ChannelDeleted, label.ChannelLabelChanged),
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
_HAPPENINGS = ["call.*", "label.*", "note.*", "session.*", "tracking.*"]
CONTACTS_TIMELINE = EventQueue("contacts.timeline", DOMAIN_EVENTS, _HAPPENINGS, service=CONTACTS)
"""What happens to a contact, told by others than the contact itself."""
WEBHOOKS_DELIVERY = EventQueue(
    "webhooks.delivery", WEBHOOKS_OUTBOUND, ["#"], service=WEBHOOKS, ordered_by=_AGGREGATE
)
DOMAIN_EVENTS_ALL = EventQueue(
    "domain.events.all", DOMAIN_EVENTS, ["#"], service=WEBHOOKS, ordered_by=_AGGREGATE
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


@cache
def events_of(queue: EventQueue) -> tuple[type[EventData], ...]:
    """The event types that reach a queue, through exchange bindings too.

    It is asked for whenever a connection is opened, by processes that have other things to do.
    """
    return tuple(e for e in BY_TYPE.values() if _reaches(e.event_type, queue))


def _reaches(event_type: str, queue: EventQueue) -> bool:
    return queue.exchange.name in _fed_by(event_type) and any(
        topic_matches(key, event_type) for key in queue.keys
    )


@cache
def _fed_by(event_type: str) -> frozenset[str]:
    """The names of the exchanges an event comes to."""
    fed = {event_exchange(event_type).name}
    for exchange in EXCHANGES:  # declared sources first, so one pass is enough
        if any(s.name in fed and topic_matches(k, event_type) for s, k in exchange.sources):
            fed.add(exchange.name)
    return frozenset(fed)


def queues_told(service: ServiceName) -> Iterator[EventQueue]:
    """The queues that what a service publishes must reach, its own among them."""
    published = set(EVENTS.get(service, ()))
    for queue in QUEUES:
        told = queue.exchange is WAHA_EVENTS and service is GATEWAY
        if told or not published.isdisjoint(events_of(queue)):
            yield queue


def queues_of(service: ServiceName) -> Iterator[EventQueue]:
    """The event queues a service consumes."""
    return (queue for queue in QUEUES if queue.service is service)
