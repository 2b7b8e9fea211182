"""What WAHA tells of edits and deletions, in every shape seen."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import (
    Edited,
    Kept,
    Listener,
    Reacted,
    Revocation,
    Translation,
)
from crm_channels_waha.waha.translate import translate
from crm_fakes import examples

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "loja-exemplo")
ACT = "false_5511988880001@c.us_E1"


def webhook(payload: Any, event: str = "message.edited", **envelope: Any) -> Translation:
    return translate({"event": event, "payload": payload, **envelope}, LISTENER, RECEIVED_AT)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


class TestEdited:
    def test_example_means_what_it_expects(self) -> None:
        example = examples.by_name("message_edited_gows")
        expected, found = example.expected, translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(found, Edited)
        assert found.chat_id == expected["chat_id"]
        report = found.report
        assert (report.external_id, report.content) == (expected["target_key"], expected["text"])
        assert [i.value for i in report.person.identities] == [expected["phone"]]
        assert (report.edit_id, report.from_us) == ("ACED17000000000000000000000000A1", False)
        assert report.edited_at == at(1784800740)

    @pytest.mark.parametrize(
        ("raw", "when"),
        [
            ({"Message": {"protocolMessage": {"timestampMS": 1784800001250}}}, 1784800001.25),
            (
                {
                    "message": {
                        "editedMessage": {
                            "message": {"protocolMessage": {"timestampMs": "1784800001250"}}
                        }
                    }
                },
                1784800001.25,
            ),
            ({"type": "chat", "latestEditSenderTimestampMs": 1784800001250}, 1784800001.25),
            ({}, 1784800005),
        ],
    )
    def test_its_time_is_whatsapps_own(self, raw: Any, when: float) -> None:
        payload = {"id": ACT, "editedMessageId": "A1", "body": "x", "timestamp": 1784800005}
        found = webhook({**payload, "_data": raw}, timestamp=1784800009000)
        assert isinstance(found, Edited)
        assert (found.report.edited_at, found.report.external_id) == (at(when), "A1")

    def test_under_the_messages_own_id_its_time_is_the_envelopes(self) -> None:
        payload = {"id": ACT, "editedMessageId": "E1", "body": "x", "timestamp": 1784800005}
        edits = [webhook(payload, timestamp=ms) for ms in (1784800009000, 1784800009000, 1e12)]
        ids = [edit.report.edit_id for edit in edits if isinstance(edit, Edited)]
        assert (len(ids), ids[0] == ids[1], ids[0] == ids[2]) == (3, True, False)
        assert isinstance(edits[0], Edited)
        assert edits[0].report.edited_at == at(1784800009)

    @pytest.mark.parametrize(
        ("payload", "reason"),
        [
            (None, "edit without id"),
            ({"id": {}, "editedMessageId": "A1", "body": "x"}, "edit without id"),
            ({"id": ACT, "editedMessageId": "A1", "body": ""}, "edit without text"),
            ({"id": ACT, "editedMessageId": "A1", "body": None}, "edit without text"),
        ],
    )
    def test_of_nothing_is_kept(self, payload: Any, reason: str) -> None:
        assert webhook(payload) == Kept("unhandled", reason)

    def test_author_in_a_group_is_the_participant(self) -> None:
        payload = {"id": "false_120363@g.us_E1_77@lid", "editedMessageId": "A1", "body": "x"}
        found = webhook({**payload, "_data": {"key": {"participantAlt": "55119@s.whatsapp.net"}}})
        assert isinstance(found, Edited)
        shown = [(i.kind, i.value) for i in found.report.person.identities]
        assert shown == [("phone", "55119"), ("lid", "77")]
        assert found.chat_id == "120363@g.us"


class TestRevoked:
    def test_example_names_the_message_not_the_act(self) -> None:
        example = examples.by_name("message_revoked_noweb")
        revocation = translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(revocation, Revocation)
        assert revocation.report.external_id == example.expected["target_key"]
        assert revocation.report.revoked_at.timestamp() == example.body["timestamp"] / 1000
        assert revocation.chat_id == example.expected["chat_id"]

    @pytest.mark.parametrize(
        ("payload", "target"),
        [
            ({"revokedMessageId": "A1", "after": {"id": "false_55119@c.us_B2"}}, "A1"),
            (
                {"before": {"id": "false_55119@c.us_A1"}, "after": {"id": "false_55119@c.us_B2"}},
                "A1",
            ),
            ({"before": None, "after": {"id": "false_55119@c.us_A1"}}, "A1"),
        ],
    )
    def test_deleted_message_is_found_in_every_form(self, payload: Any, target: str) -> None:
        found = webhook(payload, "message.revoked")
        assert isinstance(found, Revocation)
        assert (found.report.external_id, found.chat_id) == (target, "55119@c.us")
        assert found.report.revoked_at == RECEIVED_AT

    @pytest.mark.parametrize("payload", [None, {}, {"after": {}}, {"revokedMessageId": {}}])
    def test_deletion_of_nothing_is_kept(self, payload: Any) -> None:
        kept = webhook(payload, "message.revoked")
        assert kept == Kept("unhandled", "revoked message without id")


class TestReacted:
    def test_example_means_what_it_expects(self) -> None:
        example = examples.by_name("reaction_added_to_our_message_gows")
        expected, found = example.expected, translate(example.body, LISTENER, RECEIVED_AT)
        assert isinstance(found, Reacted)
        report = found.report
        assert (report.external_id, report.emoji) == (expected["target_key"], expected["text"])
        assert [i.value for i in report.person.identities] == [expected["phone"]]
        assert (report.from_us, found.chat_id) == (False, expected["chat_id"])
        assert report.reacted_at == at(1784800460)

    @pytest.mark.parametrize(
        ("payload", "expected"),
        [
            # From the other side's view, and in WEBJS's shape of an id.
            ({"reaction": {"text": "", "messageId": "false_1@c.us_A1"}}, ("A1", "")),
            ({"reaction": {"text": "❤️", "messageId": {"id": "A1"}}}, ("A1", "❤️")),
            ({"id": None, "reaction": {"text": "x", "messageId": "false_55@c.us_A1"}}, ("A1", "x")),
        ],
    )
    def test_names_its_message_in_every_form(self, payload: Any, expected: object) -> None:
        found = webhook({"id": ACT, **payload}, "message.reaction")
        assert isinstance(found, Reacted)
        assert (found.report.external_id, found.report.emoji) == expected

    def test_its_time_is_whatsapps_own(self) -> None:
        said = {"text": "x", "messageId": "A1"}
        payload = {"id": ACT, "timestamp": 1784800005.5, "reaction": said}
        exact = {"message": {"reactionMessage": {"senderTimestampMs": "1784800001250"}}}
        for raw, when in ((exact, 1784800001.25), ({}, 1784800005.5)):
            found = webhook({**payload, "_data": raw}, "message.reaction")
            assert isinstance(found, Reacted)
            assert found.report.reacted_at == at(when)

    @pytest.mark.parametrize(
        "payload",
        [
            None,
            {"id": ACT, "reaction": None},
            {"id": ACT, "reaction": {"text": "x"}},
            {"id": ACT, "reaction": {"text": "x" * 51, "messageId": "A1"}},
        ],
    )
    def test_of_nothing_is_kept(self, payload: Any) -> None:
        found = webhook(payload, "message.reaction")
        assert found == Kept("unhandled", "reaction without message or emoji")

    def test_in_a_group_is_by_its_participant(self) -> None:
        said = {"text": "x", "messageId": "A1"}
        group = {"id": "false_120363@g.us_E1", "reaction": said}
        assert webhook(group, "message.reaction") == Kept("unhandled", "done by nobody")
        found = webhook({**group, "participant": "77@lid"}, "message.reaction")
        assert isinstance(found, Reacted)
        assert [(i.kind, i.value) for i in found.report.person.identities] == [("lid", "77")]


class TestHousekeepingAmongMessages:
    def test_edit_of_a_caption_in_an_album_is_an_edit(self) -> None:
        said = {"videoMessage": {"caption": "Pedir uma embalagem"}}
        act = {"type": 14, "key": {"ID": "A1"}, "editedMessage": said, "timestampMS": 1784800001000}
        raw = {
            "messageContextInfo": {"messageAssociation": {"associationType": 12}},
            "associatedChildMessage": {"message": {"protocolMessage": act}},
        }
        payload = {"id": "true_120363@g.us_B1", "fromMe": True, "body": None, "hasMedia": False}
        found = webhook({**payload, "_data": {"Message": raw}}, "message.any")
        assert isinstance(found, Edited)
        assert (found.report.external_id, found.report.content) == ("A1", "Pedir uma embalagem")

    def test_deletion_is_a_deletion(self) -> None:
        act = {"type": "REVOKE", "key": {"id": "A1"}}
        payload = {"id": ACT, "body": None, "_data": {"message": {"protocolMessage": act}}}
        found = webhook(payload, "message.any")
        assert isinstance(found, Revocation)
        assert (found.report.external_id, found.chat_id) == ("A1", "5511988880001@c.us")

    def test_anything_else_is_no_message(self) -> None:
        act = {"type": "EPHEMERAL_SETTING", "ephemeralExpiration": 86400}
        payload = {"id": ACT, "body": None, "_data": {"message": {"protocolMessage": act}}}
        assert webhook(payload, "message.any") == Kept("ignored", "housekeeping")
