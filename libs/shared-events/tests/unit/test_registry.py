import re

import pytest
from jsonschema import Draft202012Validator
from pydantic import BaseModel, ValidationError
from shared_events import examples, registry, topology
from shared_events.contracts.asyncapi import CONSUMES, SERVICES, events_of, publisher_of
from shared_events.contracts.documents import all_documents, event_path
from shared_events.envelope import EventData
from shared_events.registry import BY_TYPE, INTERNAL, PUBLIC
from shared_events.requests.registry import BY_KEY

EVENTS = tuple(BY_TYPE.values())
DOCUMENTS = all_documents()


def by_type(event: type[EventData]) -> str:
    return event.event_type


class TestEventTypes:
    @pytest.mark.parametrize("event", EVENTS, ids=by_type)
    def test_is_two_words_without_an_id(self, event: type[EventData]) -> None:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event.event_type)

    def test_names_each_event_once(self) -> None:
        assert len(BY_TYPE) == len(PUBLIC) + len(INTERNAL)

    @pytest.mark.parametrize("event", EVENTS, ids=by_type)
    def test_says_who_publishes_it_and_what_it_means(self, event: type[EventData]) -> None:
        assert publisher_of(event) in SERVICES
        assert event.description


class TestExamples:
    @pytest.mark.parametrize("event", EVENTS, ids=by_type)
    def test_parses_and_fits_its_schema(self, event: type[EventData]) -> None:
        body = examples.body(event.event_type, event.event_version)
        envelope = registry.parse_any(event.event_type, event.event_version, body)
        assert isinstance(envelope.data, event)
        assert envelope.aggregate_type == event.aggregate_type
        validator = Draft202012Validator(DOCUMENTS[event_path(event)])
        validator.validate(examples.load(event.event_type, event.event_version))
        validator.validate(envelope.model_dump(mode="json"))

    @pytest.mark.parametrize("event", EVENTS, ids=by_type)
    def test_shows_every_field_there_is(self, event: type[EventData]) -> None:
        shown = examples.load(event.event_type, event.event_version)
        assert shown["data"].keys() == event.model_fields.keys()

    @pytest.mark.parametrize("key", BY_KEY)
    def test_of_a_request_parses_and_fits_its_schema(self, key: str) -> None:
        body = examples.load_request(key)
        assert BY_KEY[key].model_validate(body)
        Draft202012Validator(DOCUMENTS[f"requests/{key}.json"]).validate(body)

    def test_says_which_one_is_missing(self) -> None:
        with pytest.raises(LookupError, match=r"nothing\.happened\.v1"):
            examples.load("nothing.happened")


class TestParse:
    def test_tolerates_a_field_it_does_not_know(self) -> None:
        body = examples.body("contact.deleted").replace(b'"data": {', b'"data": {"new": 1, ')
        assert registry.parse_any("contact.deleted", "1", body)

    def test_refuses_an_unknown_version(self) -> None:
        with pytest.raises(registry.UnknownEventError, match=r"contact\.deleted version 2"):
            registry.parse_any("contact.deleted", "2", b"{}")

    def test_refuses_a_missing_field(self) -> None:
        with pytest.raises(ValidationError):
            registry.parse_any("contact.deleted", "1", b"{}")


class TestRequests:
    @pytest.mark.parametrize(("key", "request_type"), BY_KEY.items())
    def test_key_is_three_words_and_path_fields_exist(
        self, key: str, request_type: type[BaseModel]
    ) -> None:
        assert re.fullmatch(r"[a-z]+\.[a-z]+\.[a-z_]+", key)
        assert set(BY_KEY[key].path) <= request_type.model_fields.keys()
        assert BY_KEY[key].kind in ("query", "command")

    def test_refuses_a_misspelt_field(self) -> None:
        with pytest.raises(ValidationError, match="extra_forbidden"):
            BY_KEY["contacts.contact.create"].model_validate({"name": "Zé", "tgas": []})


class TestTopology:
    @pytest.mark.parametrize("queue", topology.QUEUES, ids=lambda q: q.name)
    def test_has_one_owner_and_only_events_that_exist(self, queue: topology.Queue) -> None:
        assert sum(queue in queues for queues in CONSUMES.values()) == 1
        if queue.exchange is topology.WAHA_EVENTS:
            return
        types = {event.event_type for event in EVENTS}
        for key in queue.keys:
            assert "*" in key or "#" in key or key in types
        assert events_of(queue)

    @pytest.mark.parametrize("queue", topology.QUEUES, ids=lambda q: q.name)
    def test_drops_nothing(self, queue: topology.Queue) -> None:
        arguments = queue.arguments
        assert arguments["x-dead-letter-exchange"] == f"{queue.exchange.name}.dlx"
        assert arguments["x-dead-letter-routing-key"] == queue.name
        assert "x-max-length" not in arguments
        assert "x-message-ttl" not in topology.DEAD_LETTER_ARGUMENTS

    @pytest.mark.parametrize("event", PUBLIC, ids=by_type)
    def test_brings_every_public_event_to_webhooks_once(self, event: type[EventData]) -> None:
        reached = [
            queue.name
            for queue in (topology.WEBHOOKS_DELIVERY, topology.CONTACT_WEBHOOK)
            if event in events_of(queue)
        ]
        assert len(reached) == 1

    @pytest.mark.parametrize("event", EVENTS, ids=by_type)
    def test_brings_every_event_to_the_event_log(self, event: type[EventData]) -> None:
        assert event in events_of(topology.DOMAIN_EVENTS_ALL)

    @pytest.mark.parametrize("event", INTERNAL, ids=by_type)
    def test_keeps_internal_events_from_webhooks_outbound(self, event: type[EventData]) -> None:
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
    def test_gives_every_waha_event_a_key_some_queue_is_bound_for(
        self, name: str, key: str
    ) -> None:
        assert topology.waha_key(name) == key
