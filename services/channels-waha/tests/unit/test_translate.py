"""Every stored WAHA example means what its `expected` says."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.ids import bare_id
from crm_channels_waha.waha.meaning import (
    Heard,
    Kept,
    Listener,
    Receipt,
    SessionReport,
    Translation,
)
from crm_channels_waha.waha.translate import KNOWN_EVENTS, translate
from crm_fakes import examples
from crm_fakes.examples import Example

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "loja-exemplo")


def named(name: str) -> Translation:
    return translate(examples.by_name(name).body, LISTENER, RECEIVED_AT)


def by_action(*actions: str) -> list[Any]:
    found = [e for e in examples.load() if e.expected["action"] in actions]
    return [pytest.param(e, id=e.name) for e in found]


class TestExamples:
    @pytest.mark.parametrize(
        "example", by_action("create_message", "ignore_duplicate", "confirm_outbound")
    )
    def test_message_is_heard_as_expected(self, example: Example) -> None:
        expected = example.expected
        heard = translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(heard, Heard)
        message = heard.message
        people = {i.kind: i.value for i in message.person.identities}
        assert message.external_id == expected["external_key"]
        assert message.direction == expected["direction"]
        assert message.content_type == expected["content_type"]
        assert message.received_at == RECEIVED_AT
        found = {
            "text": message.content,
            "chat_id": message.chat_id,
            "phone": people.get("phone"),
            "lid": f"{people.get('lid')}@lid",
            "contact_name": message.person.push_name,
            "reply_to_key": message.reply_to_external_id,
            "is_group": message.is_group,
            "participant": message.details.get("participant"),
            "selected_row_id": message.details.get("selected_row_id"),
            "location": message.details.get("location"),
            "contacts": message.details.get("contacts"),
            "poll_options": message.details.get("poll", {}).get("options"),
            "origin": message.origin,
        }
        assert {k: found[k] for k in found if k in expected} == {
            k: expected[k] for k in found if k in expected
        }
        assert message.sent_at.timestamp() == example.body["payload"]["timestamp"]

    @pytest.mark.parametrize(
        "example",
        [
            p
            for p in by_action("create_message")
            if set(p.values[0].expected.get("media", {})) - {"fetch"}
        ],
    )
    def test_media_is_described_as_expected(self, example: Example) -> None:
        expected = example.expected["media"]
        heard = translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(heard, Heard)
        media = heard.message.media
        assert media is not None
        found = {
            "mimetype": media.mime_type,
            "filename": media.filename,
            "duration_seconds": media.duration_seconds,
            "state": media.state,
        }
        wanted = {k: v for k, v in expected.items() if k in found}
        assert {k: found[k] for k in wanted} == wanted

    @pytest.mark.parametrize(
        "example", by_action("update_status", "mark_inbound_read", "update_group_receipt")
    )
    def test_ack_is_a_receipt_as_expected(self, example: Example) -> None:
        expected = example.expected
        receipt = translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(receipt, Receipt)
        assert receipt.report.external_id == expected["external_key"]
        assert receipt.report.status == expected["status"]
        assert receipt.report.from_us == (expected["direction"] == "outbound")
        assert receipt.report.participant == expected.get("participant")
        assert receipt.chat_id == expected["chat_id"]

    @pytest.mark.parametrize("example", by_action("update_session"))
    def test_session_status_is_reported_as_expected(self, example: Example) -> None:
        expected = example.expected
        report = translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(report, SessionReport)
        assert report.waha_status == expected["status"]
        if "phone" in expected:
            assert report.phone == expected["phone"]
        told = report.restriction
        ends = told.until.timestamp() if told and told.until else None
        assert ends == expected.get("restricted_until")

    @pytest.mark.parametrize("example", by_action("ignore"))
    def test_nobodys_conversation_is_ignored(self, example: Example) -> None:
        kept = translate(example.body, LISTENER, RECEIVED_AT)
        assert kept == Kept("ignored", "not a conversation")

    @pytest.mark.parametrize(
        "example",
        by_action("presence", "chat_archived"),
    )
    def test_what_we_make_nothing_of_is_kept(self, example: Example) -> None:
        assert translate(example.body, LISTENER, RECEIVED_AT) == Kept("unhandled", "event")

    def test_every_example_is_of_a_kind_tested_here(self) -> None:
        assert len(examples.load()) == 45
        assert {e.body["event"] for e in examples.load()} <= KNOWN_EVENTS

    def test_error_code_of_a_failed_message_is_kept(self) -> None:
        receipt = named("ack_error_noweb")
        assert isinstance(receipt, Receipt)
        assert receipt.report.error_code == "463"

    def test_media_is_fetched_from_where_waha_is_reached(self) -> None:
        heard = named("video_inbound_gows")
        assert isinstance(heard, Heard)
        assert heard.message.media is not None
        assert heard.message.media.url == (
            "http://waha.internal:3000/api/files/loja-exemplo/AC010203040506070809101112131415.mp4"
        )


def webhook(payload: dict[str, Any], event: str = "message.any", **envelope: Any) -> Translation:
    return translate({"event": event, "payload": payload, **envelope}, LISTENER, RECEIVED_AT)


def heard(payload: dict[str, Any], **envelope: Any) -> Heard:
    found = webhook({"id": "false_5511988880001@c.us_A1", "body": "oi", **payload}, **envelope)
    assert isinstance(found, Heard)
    return found


class TestOddShapes:
    @pytest.mark.parametrize("seconds", [0, None, "soon", 1e30, float("nan"), -5, True])
    def test_time_falls_back_to_the_envelope_then_to_arrival(self, seconds: Any) -> None:
        message = heard({"timestamp": seconds}, timestamp=1784800001500).message
        assert message.sent_at == datetime.fromtimestamp(1784800001.5, UTC)
        assert heard({"timestamp": seconds}).message.sent_at == RECEIVED_AT

    def test_float_seconds_are_times(self) -> None:
        message = heard({"timestamp": 1784800000.25}).message
        assert message.sent_at == datetime.fromtimestamp(1784800000.25, UTC)

    @pytest.mark.parametrize("payload", [None, [], "x", {}, {"id": None}, {"id": {}}, {"id": 7}])
    def test_message_without_id_is_kept(self, payload: Any) -> None:
        assert webhook(payload) == Kept("unhandled", "message without id")

    @pytest.mark.parametrize("ack", [None, "x", 9, -7, {}])
    def test_receipt_of_unknown_level_is_kept(self, ack: Any) -> None:
        assert isinstance(webhook({"id": "true_1@c.us_A", "ack": ack}, "message.ack"), Kept)

    def test_chat_too_long_to_be_anybody_is_ignored(self) -> None:
        found = webhook({"id": f"false_{'1' * 80}@lid_A", "body": "oi"})
        assert found == Kept("ignored", "not a conversation")

    def test_unknown_event_is_kept(self) -> None:
        assert webhook({}, "brand.new") == Kept("unhandled", "event")

    def test_groups_are_ignored_where_they_are_off(self) -> None:
        off = replace(LISTENER, allow_groups=False)
        body = examples.by_name("group_message_inbound_lid_participant_gows").body
        assert translate(body, off, RECEIVED_AT) == Kept("ignored", "groups are off")
        deleted = {"revokedMessageId": "A", "after": {"id": "false_120363@g.us_B_1@c.us"}}
        kept = translate({"event": "message.revoked", "payload": deleted}, off, RECEIVED_AT)
        assert kept == Kept("ignored", "groups are off")
        receipt = {"id": "true_120363@g.us_A_1@c.us", "ack": 3, "participant": "1@c.us"}
        acked = {"event": "message.ack.group", "payload": receipt}
        assert isinstance(translate(acked, LISTENER, RECEIVED_AT), Receipt)
        assert translate(acked, off, RECEIVED_AT) == Kept("ignored", "groups are off")

    @pytest.mark.parametrize("example", examples.load(), ids=lambda e: str(e.name))
    def test_nothing_of_another_session_is_believed(self, example: Example) -> None:
        elsewhere = replace(LISTENER, waha_session="filial-2")
        found = translate(example.body, elsewhere, RECEIVED_AT)
        assert found == Kept("ignored", "another session")

    def test_device_part_and_raw_server_are_normalised(self) -> None:
        message = heard({"id": "true_5511988880001:12@s.whatsapp.net_B2"}).message
        assert message.chat_id == "5511988880001@c.us"

    def test_our_own_group_message_concerns_the_group(self) -> None:
        message = heard({"id": "true_120363@g.us_C3_5511900000001@c.us"}).message
        assert message.direction == "outbound"
        assert [(i.kind, i.value) for i in message.person.identities] == [("group", "120363")]

    def test_message_without_any_content_is_unsupported_not_dropped(self) -> None:
        message = heard({"body": None, "_data": {"message": {"eventMessage": {}}}}).message
        assert message.content_type == "unsupported"
        assert message.details == {"kind": "eventMessage"}

    def test_view_once_is_media_that_is_not_available(self) -> None:
        raw: dict[str, Any] = {"viewOnceMessageV2": {"message": {"imageMessage": {}}}}
        message = heard({"body": None, "hasMedia": False, "_data": {"message": raw}}).message
        assert message.content_type == "image"
        assert message.media is not None
        assert message.media.state == "unavailable"

    def test_phone_comes_before_lid_whichever_the_chat_shows(self) -> None:
        raw = {"Info": {"SenderAlt": "999@lid"}}
        message = heard({"_data": raw}).message
        assert [i.kind for i in message.person.identities] == ["phone", "lid"]


class TestMessageIds:
    @pytest.mark.parametrize(
        ("value", "bare"),
        [
            ("true_5511988880001@c.us_3EB0", "3EB0"),
            ("false_120363@g.us_AC66_7231@lid", "AC66"),
            ("true_5511988880001@c.us_3EB0_out", "3EB0"),
            ("3EB0", "3EB0"),
            ({"id": "3EB0", "remote": "1@c.us"}, "3EB0"),
            ({"_serialized": "true_1@c.us_3EB0"}, "3EB0"),
            ("", None),
            (None, None),
        ],
    )
    def test_bare_id_is_found_in_every_form(self, value: Any, bare: str | None) -> None:
        assert bare_id(value) == bare
