import pytest
from shared_events import topology
from shared_events.contracts.documents import all_documents
from shared_events.envelope import EventData
from shared_events.keys import topic_matches
from shared_events.registry import BY_TYPE, PUBLIC
from shared_events.services import SERVICES, ServiceName
from shared_events.topology import EventQueue, events_of
from shared_events.waha_keys import waha_key

EVENTS = tuple(BY_TYPE.values())
INTERNAL = tuple(event for event in EVENTS if not event.public)


def by_name(queue: EventQueue) -> str:
    return queue.name


def by_type(event: type[EventData]) -> str:
    return event.event_type


class TestQueues:
    @pytest.mark.parametrize("queue", topology.QUEUES, ids=by_name)
    def test_have_one_owner_and_only_events_that_exist(self, queue: EventQueue) -> None:
        assert queue in topology.queues_of(queue.service)
        assert sum(queue in topology.queues_of(service) for service in SERVICES) == 1
        if queue.exchange is topology.WAHA_EVENTS:
            return
        types = {event.event_type for event in EVENTS}
        for key in queue.keys:
            assert "*" in key or "#" in key or key in types
        assert events_of(queue)

    @pytest.mark.parametrize("queue", topology.QUEUES, ids=by_name)
    def test_drop_nothing(self, queue: EventQueue) -> None:
        arguments = dict(queue.arguments)
        assert arguments["x-queue-type"] == "quorum"
        assert arguments["x-dead-letter-exchange"] == f"{queue.exchange.name}.dlx"
        assert arguments["x-dead-letter-routing-key"] == queue.name
        assert arguments["x-dead-letter-strategy"] == "at-least-once"
        assert arguments["x-message-ttl"] == 24 * 3600 * 1000
        assert "x-max-length" not in arguments

    @pytest.mark.parametrize("queue", topology.QUEUES, ids=by_name)
    def test_keep_dead_letters_however_often_they_are_looked_at(self, queue: EventQueue) -> None:
        letters = queue.dead_letters
        assert letters.name == f"{queue.name}.dlq"
        # 3.x refuses a negative limit; nobody looks at a letter a billion times.
        assert dict(letters.arguments) == {
            "x-queue-type": "quorum",
            "x-delivery-limit": 1_000_000_000,
        }

    def test_are_bound_by_their_subscriber_as_by_their_declaration(self) -> None:
        for queue in topology.QUEUES:
            assert queue.routing() == queue.keys[0]

    def test_are_all_committed(self) -> None:
        document = all_documents()["topology.json"]
        assert [queue["name"] for queue in document["queues"]] == [q.name for q in topology.QUEUES]


class TestBindings:
    @pytest.mark.parametrize("event", PUBLIC, ids=by_type)
    def test_bring_every_public_event_to_webhooks_once(self, event: type[EventData]) -> None:
        reached = [
            queue.name
            for queue in (topology.WEBHOOKS_DELIVERY, topology.CONTACT_WEBHOOK)
            if event in events_of(queue)
        ]
        assert len(reached) == 1

    @pytest.mark.parametrize("event", EVENTS, ids=by_type)
    def test_bring_every_event_to_the_event_log(self, event: type[EventData]) -> None:
        assert event in events_of(topology.DOMAIN_EVENTS_ALL)

    @pytest.mark.parametrize("event", INTERNAL, ids=by_type)
    def test_keep_internal_events_from_webhooks_outbound(self, event: type[EventData]) -> None:
        assert event not in events_of(topology.WEBHOOKS_DELIVERY)

    @pytest.mark.parametrize(
        ("name", "key"),
        [
            ("message", "message"),
            ("message.any", "message.any"),
            ("session.status", "session.status"),
            ("presence.update", "presence.update"),
            ("brand.new", "unknown.brand.new"),
            ("", "unknown."),
        ],
    )
    def test_exist_for_every_waha_event(self, name: str, key: str) -> None:
        assert waha_key(name) == key


class TestTopicMatches:
    @pytest.mark.parametrize(
        ("pattern", "key", "matches"),
        [
            ("#", "message.received", True),
            ("message.#", "message", True),
            ("message.#", "message.any", True),
            ("contact.*", "contact.created", True),
            ("contact.*", "contact", False),
            ("contact.*", "contact.a.b", False),
            ("contact.created", "contact.updated", False),
        ],
    )
    def test_matches_as_the_broker_does(self, pattern: str, key: str, matches: bool) -> None:
        assert topic_matches(pattern, key) is matches


class TestToldQueues:
    @pytest.mark.parametrize("service", SERVICES)
    def test_are_found_once_and_not_with_each_connection(
        self, service: ServiceName, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Thousands of patterns in one turn of the loop: everybody else in the process waits."""
        found = list(topology.queues_told(service))

        def matched(pattern: str, key: str) -> bool:
            raise AssertionError(f"{key} was compared with {pattern} once more")

        monkeypatch.setattr(topology, "topic_matches", matched)
        assert list(topology.queues_told(service)) == found
