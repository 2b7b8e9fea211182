"""Whose message or act it is, whatever the engine calls them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import (
    Called,
    Edited,
    GroupSeen,
    Heard,
    Kept,
    Listener,
    Reacted,
    Receipt,
    Revocation,
    SessionReport,
    Translation,
    Voted,
)
from crm_channels_waha.waha.translate import translate
from shared_events.channels.traffic import ChannelMessageReceived

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "default")
CHAT, RAW_CHAT = "5511988880001@c.us", "5511988880001@s.whatsapp.net"
LID, GROUP = "77@lid", "120363@g.us"
ME = {"id": "5511900000001@c.us", "lid": "201122334455667@lid"}
Json = dict[str, Any]


def told(payload: Json, event: str = "message.any", **envelope: Any) -> Translation:
    return translate(
        {"event": event, "session": "default", "me": ME, "payload": payload, **envelope},
        LISTENER,
        RECEIVED_AT,
    )


def heard(payload: Json) -> ChannelMessageReceived:
    found = told({"body": "oi", **payload})
    assert isinstance(found, Heard), found
    return found.message


def shown(message: ChannelMessageReceived) -> list[tuple[str, str]]:
    return [(one.kind, one.value) for one in message.person.identities]


class TestPeople:
    @pytest.mark.parametrize(
        ("chat", "kind"),
        [
            ("5511988880001:12@c.us", "phone"),
            ("5511988880001:99@hosted", "phone"),
            ("5511988880001:3@lid", "lid"),
            ("5511988880001:99@hosted.lid", "lid"),
        ],
    )
    def test_are_the_same_on_all_their_devices(self, chat: str, kind: str) -> None:
        assert shown(heard({"id": f"false_{chat}_3EB0"})) == [(kind, "5511988880001")]

    @pytest.mark.parametrize(
        "chat",
        [
            *("0@c.us", "00@s.whatsapp.net", "13135550002@c.us", "16505361212@c.us"),
            *("867051314767696@bot", "status@broadcast", "123@broadcast", "123@newsletter"),
            *("123@call", "server@c.us", "status_me@c.us", "@c.us", "5511988880001"),
        ],
    )
    def test_are_not_whatsapp_nor_what_nobody_answers(self, chat: str) -> None:
        kept = told({"id": {"id": "3EB0", "remote": chat}, "body": "oi"})
        assert kept == Kept("ignored", "not a conversation")

    @pytest.mark.parametrize(
        "raw",
        [
            {"Info": {"SenderAlt": RAW_CHAT}},
            {"Info": {"SenderAlt": "5511988880001:4@s.whatsapp.net"}},
            {"key": {"remoteJidAlt": RAW_CHAT}},
            {"key": {"senderPn": RAW_CHAT}},
        ],
    )
    def test_are_known_by_phone_and_hidden_id(self, raw: Json) -> None:
        found = heard({"id": f"false_{LID}_3EB0", "_data": raw})
        assert shown(found) == [("phone", "5511988880001"), ("lid", "77")]

    @pytest.mark.parametrize(
        "raw",
        [
            {"Info": {"SenderAlt": RAW_CHAT}},
            {"key": {"participantAlt": RAW_CHAT, "remoteJidAlt": "5511977770001@c.us"}},
            {"key": {"participantPn": RAW_CHAT}},
        ],
    )
    def test_are_known_so_in_groups(self, raw: Json) -> None:
        payload = {"id": f"false_{GROUP}_3EB0_{LID}", "participant": LID, "_data": raw}
        assert shown(heard(payload)) == [("phone", "5511988880001"), ("lid", "77")]

    @pytest.mark.parametrize("from_me", [True, False])
    @pytest.mark.parametrize(
        "raw",
        [
            {"Info": {"SenderAlt": "5511900000001:12@s.whatsapp.net"}},
            {"Info": {"RecipientAlt": "5511900000001@s.whatsapp.net"}},
            {"key": {"remoteJidAlt": "5511900000001@s.whatsapp.net"}},
            {"key": {"senderPn": "5511900000001@s.whatsapp.net"}},
        ],
    )
    def test_are_never_ourselves(self, raw: Json, from_me: bool) -> None:
        payload = {"id": f"{str(from_me).lower()}_{LID}_3EB0", "fromMe": from_me, "_data": raw}
        assert shown(heard(payload)) == [("lid", "77")]

    @pytest.mark.parametrize(
        ("raw", "name"),
        [
            (
                {"Info": {"PushName": "-", "VerifiedName": {"Details": {"verifiedName": "Loja"}}}},
                "Loja",
            ),
            ({"key": {}, "verifiedBizName": "Loja"}, "Loja"),
            ({"Info": {"PushName": "Ana", "VerifiedName": None}}, "Ana"),
            ({"Info": {"PushName": "-"}}, None),
            ({"Info": {"PushName": 5}}, None),
        ],
    )
    def test_are_called_what_they_call_themselves(self, raw: Json, name: str | None) -> None:
        assert heard({"id": f"false_{CHAT}_3EB0", "_data": raw}).person.push_name == name


class TestObjects:
    @pytest.mark.parametrize(
        "message_id",
        [
            {"id": "3EB0", "fromMe": True, "remote": CHAT},
            {"id": "3EB0", "fromMe": True, "remote": {"_serialized": CHAT}},
            {"id": "3EB0", "fromMe": True, "remote": {"$1": CHAT}},
            {"id": "3EB0", "fromMe": True, "remote": {"user": "5511988880001", "server": "c.us"}},
            {"$1": f"true_{CHAT}_3EB0"},
        ],
    )
    def test_of_webjs_name_the_chat(self, message_id: Json) -> None:
        found = heard({"id": message_id, "from": ME["id"]})
        assert (found.external_id, found.chat_id, found.direction) == ("3EB0", CHAT, "outbound")

    def test_of_webjs_name_groups_members_and_callers(self) -> None:
        whole = {"_serialized": GROUP, "server": "g.us", "user": "120363"}
        people = [{"id": {"user": "77", "server": "lid"}}, "5511988880001@c.us", None]
        payload = {"type": "join", "group": {"id": whole}, "participants": people}
        found = told(payload, "group.v2.participants")
        assert isinstance(found, GroupSeen)
        members = [one.person.identities[0].value for one in found.report.members]
        assert (found.chat_id, members) == (GROUP, ["77", "5511988880001"])
        call = told({"id": "C1", "from": {"$1": CHAT}}, "call.received")
        assert isinstance(call, Called)
        assert call.chat_id == CHAT

    def test_a_subject_nobody_can_see_is_none(self) -> None:
        kept = told({"group": {"id": GROUP, "subject": "\u3164"}}, "group.v2.update")
        assert kept == Kept("ignored", "nothing new of a group")


RAW_IDS = [
    {"key": {"id": "B1", "remoteJid": RAW_CHAT, "fromMe": False}},
    {"Info": {"ID": "B1", "Chat": RAW_CHAT, "IsFromMe": False}},
    {"id": {"id": "B1", "remote": CHAT, "fromMe": False}},
]
"""The id of a message as engines have it in `_data`."""


class TestActsWithoutAnIdOfWaha:
    @pytest.mark.parametrize("raw", RAW_IDS)
    def test_edit_is_read(self, raw: Json) -> None:
        found = told({"editedMessageId": "A1", "body": "novo", "_data": raw}, "message.edited")
        assert isinstance(found, Edited)
        assert (found.report.external_id, found.chat_id) == ("A1", CHAT)

    @pytest.mark.parametrize("raw", RAW_IDS)
    def test_receipt_is_read(self, raw: Json) -> None:
        found = told({"ack": 3, "fromMe": True, "_data": raw}, "message.ack")
        assert isinstance(found, Receipt)
        assert (found.report.external_id, found.report.status) == ("B1", "read")

    @pytest.mark.parametrize(
        "payload",
        [
            {"revokedMessageId": "A1", "after": {"_data": RAW_IDS[0]}},
            {"revokedMessageId": f"false_{CHAT}_A1", "after": None, "before": None},
            {"before": {"id": {"id": "A1", "remote": CHAT}}, "after": None},
        ],
    )
    def test_deletion_is_read(self, payload: Json) -> None:
        found = told(payload, "message.revoked")
        assert isinstance(found, Revocation)
        assert (found.report.external_id, found.chat_id) == ("A1", CHAT)

    @pytest.mark.parametrize("chat", [CHAT, "182736451928374@lid"])
    def test_deletion_is_of_the_message_whatever_chat_it_is_told_from(self, chat: str) -> None:
        payload = {"revokedMessageId": "A1", "before": None, "after": {"id": f"false_{chat}_B2"}}
        found = told(payload, "message.revoked")
        assert isinstance(found, Revocation)
        assert (found.report.external_id, found.report.channel_id) == ("A1", LISTENER.id)

    @pytest.mark.parametrize(
        "payload",
        [
            {"reaction": {"text": "x", "messageId": "A1"}, "_data": RAW_IDS[0]},
            {
                "reaction": {"text": "x"},
                "_data": {**RAW_IDS[0], "message": {"reactionMessage": {"key": {"id": "A1"}}}},
            },
            {
                "reaction": {"text": "x", "messageId": None},
                "_data": {**RAW_IDS[1], "Message": {"reactionMessage": {"key": {"ID": "A1"}}}},
            },
        ],
    )
    def test_reaction_is_read(self, payload: Json) -> None:
        found = told(payload, "message.reaction")
        assert isinstance(found, Reacted)
        assert (found.report.external_id, found.chat_id) == ("A1", CHAT)

    @pytest.mark.parametrize("said", [{"text": ""}, {"text": None}, {}])
    def test_reaction_without_emoji_is_taken_away(self, said: Json) -> None:
        payload = {"id": f"false_{CHAT}_B1", "reaction": {"messageId": "A1", **said}}
        found = told(payload, "message.reaction")
        assert isinstance(found, Reacted)
        assert found.report.emoji == ""

    def test_vote_is_read(self) -> None:
        vote = {"from": CHAT, "fromMe": False, "selectedOptions": [{"name": "Sim"}]}
        found = told({"vote": vote, "poll": {"id": f"true_{CHAT}_A1"}}, "poll.vote")
        assert isinstance(found, Voted)
        assert (found.report.external_id, found.report.options) == ("A1", ["Sim"])

    @pytest.mark.parametrize(
        ("payload", "status"),
        [
            ({"ack": None, "ackName": "READ"}, "read"),
            ({"ackName": "DEVICE"}, "delivered"),
            ({"ack": "3"}, "read"),
        ],
    )
    def test_receipt_is_read_by_name_or_number(self, payload: Json, status: str) -> None:
        found = told({"id": f"true_{CHAT}_A1", "fromMe": True, **payload}, "message.ack")
        assert isinstance(found, Receipt)
        assert found.report.status == status


class TestSessions:
    def test_another_one_named_in_the_payload_alone_is_not_ours(self) -> None:
        payload = {"name": "filial-2", "status": "FAILED"}
        kept = told(payload, "session.status", session=None)
        assert kept == Kept("ignored", "another session")

    def test_ours_is_known_without_a_name(self) -> None:
        found = told({"status": "working"}, "session.status", session=None)
        assert isinstance(found, SessionReport)
        assert found.waha_status == "WORKING"
