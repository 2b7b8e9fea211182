"""What the patterns of each service let through, over the whole topology.

The kit's tests have a real broker say the same (service-kit, test_rights.py).
"""

import re

import pytest
from shared_events import topology
from shared_events.envelope import EventData
from shared_events.notices import FEED_NOTICES
from shared_events.registry import BY_KEY, BY_TYPE, EVENTS, publisher_of
from shared_events.rights import TopicRights, rights_of
from shared_events.services import GATEWAY, SERVICES, WEBHOOKS, ServiceName
from shared_events.topology import EventQueue

ANSWERING = tuple(service for service in SERVICES if service is not GATEWAY)


def by_name(named: EventQueue | ServiceName) -> str:
    return named.name


def may(service: ServiceName, right: str, name: str) -> bool:
    """Whether RabbitMQ would say yes: it looks for the pattern anywhere in the name."""
    return re.search(getattr(rights_of(service), right), name) is not None


def topic(service: ServiceName, exchange: str) -> TopicRights:
    return next(each for each in rights_of(service).topics if each.exchange == exchange)


@pytest.mark.parametrize("queue", topology.QUEUES, ids=by_name)
class TestQueue:
    @pytest.mark.parametrize("suffix", ["", ".dlq", ".0", ".12"])
    def test_is_its_owners_alone(self, queue: EventQueue, suffix: str) -> None:
        for right in ("configure", "write", "read"):
            entitled = [s for s in SERVICES if may(s, right, f"{queue.name}{suffix}")]
            assert entitled == [queue.service]

    def test_is_bound_by_its_owner_with_its_keys_alone(self, queue: EventQueue) -> None:
        assert may(queue.service, "read", queue.exchange.name)
        heard = topic(queue.service, queue.exchange.name).read
        assert all(re.search(heard, key) for key in queue.keys)
        # In a rolling update code of before still binds one by one what a pattern covers now.
        narrower = (key.replace("*", "added").replace("#", "a.b") for key in queue.keys)
        assert all(re.search(heard, key) for key in narrower)
        beside = (q for q in topology.queues_of(queue.service) if q.exchange is queue.exchange)
        assert any("#" in q.keys for q in beside) or not re.search(heard, "#")

    def test_has_dead_letters_and_returns_that_only_its_owner_fills(
        self, queue: EventQueue
    ) -> None:
        letters = queue.exchange.dead_letters.name
        for service in SERVICES:
            fills = may(service, "write", letters) and re.search(
                topic(service, letters).write, queue.name
            )
            assert bool(fills) is (service is queue.service)
            for name in (topology.returns(queue.service), *topology.retry(queue.service, 30_000)):
                assert may(service, "write", name.name) is (service is queue.service)


@pytest.mark.parametrize("event", BY_TYPE.values(), ids=lambda event: event.event_type)
class TestEvent:
    def test_is_told_by_its_publisher_alone(self, event: type[EventData]) -> None:
        event_type = event.event_type
        exchange = topology.event_exchange(event_type).name
        tellers = [
            service
            for service in SERVICES
            if may(service, "write", exchange)
            and re.search(topic(service, exchange).write, event_type)
        ]
        assert tellers == [publisher_of(event)]


@pytest.mark.parametrize("service", ANSWERING, ids=by_name)
class TestRequests:
    def test_are_taken_by_the_service_they_are_for(self, service: ServiceName) -> None:
        heard = topic(service, topology.CRM_REQUESTS.name).read
        for key in BY_KEY:
            assert bool(re.search(heard, key)) is key.startswith(f"{service.noun}.")
        assert not re.search(heard, "#")
        for name in ("queries", "commands"):
            queue = f"{service.noun}.{name}"
            assert [s for s in SERVICES if may(s, "read", queue)] == [service]

    def test_are_asked_by_the_gateway_alone(self, service: ServiceName) -> None:
        assert may(GATEWAY, "write", topology.CRM_REQUESTS.name)
        assert not may(service, "write", topology.CRM_REQUESTS.name)

    def test_are_answered_to_the_gateway_alone(self, service: ServiceName) -> None:
        assert may(service, "write", topology.CRM_REPLIES.name)
        assert not may(service, "read", topology.CRM_REPLIES.name)
        assert may(GATEWAY, "read", topology.CRM_REPLIES.name)

    def test_that_feeds_have_grown_is_told_by_webhooks_to_the_gateway(
        self, service: ServiceName
    ) -> None:
        assert may(service, "write", FEED_NOTICES.name) is (service is WEBHOOKS)
        assert not may(service, "read", FEED_NOTICES.name)
        assert may(GATEWAY, "read", FEED_NOTICES.name)
        assert may(GATEWAY, "configure", "notices.1")


@pytest.mark.parametrize("service", SERVICES, ids=by_name)
class TestService:
    def test_reaches_no_queue_by_its_name(self, service: ServiceName) -> None:
        """`amq.default` is what RabbitMQ calls the default exchange here."""
        assert not may(service, "write", "amq.default")

    def test_makes_no_exchange_that_others_use(self, service: ServiceName) -> None:
        for exchange in topology.SHARED_EXCHANGES:
            assert not may(service, "configure", exchange.name)

    def test_brings_raw_webhooks_only_if_it_is_the_gateway(self, service: ServiceName) -> None:
        assert may(service, "write", topology.WAHA_EVENTS.name) is (service is GATEWAY)

    def test_awaits_the_queues_of_all_it_tells(self, service: ServiceName) -> None:
        told = set(topology.queues_told(service))
        for event in EVENTS[service]:
            assert {q for q in topology.QUEUES if event in topology.events_of(q)} <= told
        assert (topology.WAHA_MESSAGES in told) is (service is GATEWAY)
