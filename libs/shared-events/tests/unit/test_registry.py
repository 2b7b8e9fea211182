import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError
from shared_events import bounds, examples, registry
from shared_events.channels.channel import Channel, DriveChannel
from shared_events.contacts.contact import Contact, ContactCreated, GetContact, ListContacts
from shared_events.contracts.documents import all_documents, event_schema
from shared_events.envelope import EventData
from shared_events.messaging.message import ListContactMessages, Message
from shared_events.registry import BY_KEY, BY_TYPE, EVENTS, PUBLIC, REQUESTS
from shared_events.requests import Page, Request
from shared_events.services import SERVICES

ALL_EVENTS = tuple(BY_TYPE.values())
CONTRACT = all_documents()["contract.json"]


def by_type(event: type[EventData]) -> str:
    return event.event_type


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "$defs": CONTRACT["$defs"]})


class TestEventTypes:
    @pytest.mark.parametrize("event", ALL_EVENTS, ids=by_type)
    def test_are_two_words_without_an_id(self, event: type[EventData]) -> None:
        assert re.fullmatch(r"[a-z]+\.[a-z_]+", event.event_type)

    def test_are_named_once(self) -> None:
        assert len(BY_TYPE) == sum(len(events) for events in EVENTS.values())

    @pytest.mark.parametrize("event", ALL_EVENTS, ids=by_type)
    def test_say_who_publishes_them_and_what_they_mean(self, event: type[EventData]) -> None:
        assert registry.publisher_of(event) in SERVICES
        assert len(event.description()) > 10
        assert "\n" not in event.description()

    def test_say_whether_customers_may_subscribe(self) -> None:
        assert ContactCreated in PUBLIC
        assert {e.event_type for e in ALL_EVENTS if not e.public} == {
            "agent.updated",
            "bulk.recipients_wanted",
            "list.page_read",
            "channel.call_reported",
            "channel.change_failed",
            "channel.chat_labelled",
            "channel.changes_read",
            "channel.deleted",
            "channel.group_reported",
            "channel.media_failed",
            "channel.history_read",
            "channel.media_stored",
            "channel.profile_picture_seen",
            "channel.message_edited",
            "channel.message_failed",
            "channel.message_received",
            "channel.message_revoked",
            "channel.message_sent",
            "channel.message_status_reported",
            "channel.reaction_reported",
            "channel.updated",
            "channel.vote_reported",
            "contact.identity_linked",
            "contact.identity_released",
            "erasure.started",
            "message.change_requested",
            "settings.updated",
            "subject.export_gathered",
            "subject.export_started",
            *(f"erasure.done_by_{service.noun}" for service in SERVICES),
        }


class TestExamples:
    @pytest.mark.parametrize("event", ALL_EVENTS, ids=by_type)
    def test_parse_and_fit_their_schema(self, event: type[EventData]) -> None:
        body = examples.body(event.event_type, event.event_version)
        envelope = registry.parse_any(event.event_type, event.event_version, body)
        assert isinstance(envelope.data, event)
        assert envelope.aggregate_type == event.aggregate_type
        shown = examples.load(event.event_type, event.event_version)
        committed = CONTRACT["events"][f"{event.event_type}.v{event.event_version}"]["data"]
        for form in (shown, envelope.model_dump(mode="json")):
            Draft202012Validator(event_schema(event)).validate(form)
            validator(CONTRACT["frames"]["Envelope"]).validate(form)
            validator(committed).validate(form["data"])

    @pytest.mark.parametrize("event", ALL_EVENTS, ids=by_type)
    def test_show_every_field_there_is(self, event: type[EventData]) -> None:
        shown = examples.load(event.event_type, event.event_version)
        assert shown["data"].keys() == event.model_fields.keys()

    @pytest.mark.parametrize("key", BY_KEY)
    def test_of_a_request_parse_and_fit_their_schema(self, key: str) -> None:
        body = examples.load_request(key)
        assert BY_KEY[key].model_validate(body)
        validator(CONTRACT["requests"][key]["body"]).validate(body)

    def test_say_which_one_is_missing(self) -> None:
        with pytest.raises(LookupError, match=r"nothing\.happened\.v1"):
            examples.load("nothing.happened")
        with pytest.raises(LookupError, match=r"contacts\.contact\.eat"):
            examples.load_request("contacts.contact.eat")


class TestParse:
    def test_tolerates_a_field_it_does_not_know(self) -> None:
        body = examples.body("contact.deleted").replace(b'"data": {', b'"data": {"new": 1, ')
        assert b'"new": 1' in body
        assert registry.parse_any("contact.deleted", "1", body)

    def test_refuses_an_unknown_version(self) -> None:
        with pytest.raises(registry.UnknownEventError, match=r"contact\.deleted version 2"):
            registry.parse_any("contact.deleted", "2", b"{}")

    def test_refuses_a_missing_field(self) -> None:
        with pytest.raises(ValidationError):
            registry.parse_any("contact.deleted", "1", b"{}")

    def test_refuses_what_exceeds_a_bound(self) -> None:
        name = "x" * bounds.limit(bounds.Name)
        body = examples.body("contact.created").replace(b"Mariana Souza", name.encode())
        assert registry.parse_any("contact.created", "1", body).data.contact.name == name
        with pytest.raises(ValidationError, match="string_too_long"):
            registry.parse_any("contact.created", "1", body.replace(name.encode(), b"x" * 256))


class TestRequests:
    @pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
    def test_keys_are_three_words_and_begin_with_their_service(self, service: Any) -> None:
        for request in REQUESTS[service]:
            assert re.fullmatch(rf"{service.noun}\.[a-z]+\.[a-z_]+", request.key)

    @pytest.mark.parametrize(
        ("request_type", "kind", "reply"),
        [
            (GetContact, "query", Contact),
            (ListContacts, "query", Page[Contact]),
            (ListContactMessages, "query", Page[Message]),
            (DriveChannel, "command", Channel),
        ],
    )
    def test_know_their_kind_and_their_reply(
        self, request_type: type[Request[Any]], kind: str, reply: Any
    ) -> None:
        assert request_type.kind == kind
        assert request_type.reply_model() is reply

    def test_refuse_a_misspelt_field(self) -> None:
        with pytest.raises(ValidationError, match="extra_forbidden"):
            BY_KEY["contacts.contact.create"].model_validate({"name": "Zé", "tgas": []})
