"""What WAHA leaves out, or has from the engine in a form of its own, is read from elsewhere."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import (
    Edited,
    Heard,
    Kept,
    LabelTold,
    Listener,
    Revocation,
    SessionReport,
    Translation,
)
from crm_channels_waha.waha.translate import translate
from shared_events.channels.traffic import ChannelMessageReceived

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "default")
ME = {"id": "5511900000001@c.us", "lid": "201122334455667@lid"}
CHAT, GROUP = "5511988880001@c.us", "120363405086304372@g.us"
THUMBNAIL = "/9j/4AAQSkZJRgABAQAAAQABAAD" + "aBc0" * 20 + "Q=="
Json = dict[str, Any]


def told(
    payload: Json, event: str = "message.any", me: Json | None = ME, chat: str = CHAT
) -> Translation:
    whole = {"id": f"false_{chat}_3EB0", "timestamp": 1784800119, "body": None, **payload}
    envelope = {"event": event, "session": "default", "me": me, "payload": whole}
    return translate(envelope, LISTENER, RECEIVED_AT)


def heard(payload: Json, **more: Any) -> ChannelMessageReceived:
    found = told(payload, **more)
    assert isinstance(found, Heard), found
    return found.message


class TestAuthorInAGroup:
    @pytest.mark.parametrize(
        "raw",
        [
            {"key": {"participant": "775511:3@lid", "participantAlt": "5511988880001@c.us"}},
            {"participant": "775511@lid", "key": {"participantPn": "5511988880001@c.us"}},
            {"Info": {"Sender": "775511:12@lid", "SenderAlt": "5511988880001@s.whatsapp.net"}},
        ],
    )
    def test_is_whom_the_engine_names(self, raw: Json) -> None:
        message = heard({"body": "oi", "_data": raw}, chat=GROUP)
        people = [(one.kind, one.value) for one in message.person.identities]
        assert people == [("phone", "5511988880001"), ("lid", "775511")]
        assert message.details["participant"] == "775511@lid"

    @pytest.mark.parametrize("author", ["775511@lid", {"user": "775511", "server": "lid"}])
    def test_is_webjs_author(self, author: object) -> None:
        message = heard({"body": "oi", "_data": {"type": "chat", "author": author}}, chat=GROUP)
        assert [one.value for one in message.person.identities] == ["775511"]

    def test_that_nobody_names_is_nobody(self) -> None:
        message = heard({"body": "oi", "_data": {"Info": {"Sender": ""}}}, chat=GROUP)
        assert [one.kind for one in message.person.identities] == ["group"]


def test_our_own_number_is_nobody_elses_phone_where_waha_does_not_say_who_we_are() -> None:
    raw = {"key": {"remoteJid": "775511@lid", "senderPn": "5511900000001@s.whatsapp.net"}}
    payload = {"id": "true_775511@lid_3EB0", "fromMe": True, "body": "oi", "_data": raw}
    message = heard(payload, me=None)
    assert [(one.kind, one.value) for one in message.person.identities] == [("lid", "775511")]


def test_a_company_whose_own_name_cannot_be_seen_has_the_one_whatsapp_verified() -> None:
    raw = {"pushName": "\u3164", "verifiedBizName": "Padaria Central", "message": {}}
    assert heard({"body": "oi", "_data": raw}).person.push_name == "Padaria Central"


class TestChanges:
    @pytest.mark.parametrize(
        "raw",
        [
            {"Message": {"protocolMessage": {"type": 0, "key": {"ID": "3AAA"}}}},
            {"message": {"protocolMessage": {"type": "REVOKE", "key": {"id": "3AAA"}}}},
        ],
    )
    def test_deletion_is_of_the_message_that_the_act_names(self, raw: Json) -> None:
        payload = {"before": None, "after": {"id": f"false_{CHAT}_3ACT", "_data": raw}}
        found = told(payload, "message.revoked")
        assert isinstance(found, Revocation)
        assert found.report.external_id == "3AAA"

    @pytest.mark.parametrize(
        "raw",
        [
            {"Message": {"conversation": "novo"}},
            {"message": {"imageMessage": {"caption": "novo"}}},
            {"type": "image", "body": THUMBNAIL, "caption": "novo"},
            {"type": "chat", "body": "novo"},
        ],
    )
    def test_edit_has_the_text_that_only_the_engine_has(self, raw: Json) -> None:
        found = told({"editedMessageId": "3AAA", "_data": raw}, "message.edited")
        assert isinstance(found, Edited)
        assert (found.report.external_id, found.report.content) == ("3AAA", "novo")


@pytest.mark.parametrize("zero", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00+03:00"])
def test_the_zero_time_of_go_is_no_time(zero: str) -> None:
    assert heard({"body": "oi", "timestamp": zero}).sent_at == RECEIVED_AT


class TestTimesToCome:
    """What is newest counts: a time far ahead would hold up all that comes until then."""

    AHEAD = 4102444800

    def test_of_a_message_is_told_as_it_is(self) -> None:
        """Liveness compares it with what WAHA holds; who sorts by it decides for themselves."""
        ahead = datetime.fromtimestamp(self.AHEAD, UTC)
        assert heard({"body": "oi", "timestamp": self.AHEAD}).sent_at == ahead

    def test_of_a_session_is_not_believed(self) -> None:
        status = {"name": "default", "status": "FAILED"}
        envelope = {"event": "session.status", "timestamp": self.AHEAD * 1000, "payload": status}
        found = translate(envelope, LISTENER, RECEIVED_AT)
        assert isinstance(found, SessionReport)
        assert found.at == RECEIVED_AT

    @pytest.mark.parametrize(
        ("event", "payload"),
        [
            ("message.reaction", {"reaction": {"text": "x", "messageId": "3AAA"}}),
            ("message.edited", {"body": "novo", "editedMessageId": "3AAA"}),
            ("call.received", {"id": "C1", "from": CHAT}),
            ("poll.vote", {"poll": {"id": "3AAA"}}),
            ("group.v2.update", {"group": {"id": GROUP, "subject": "Turma"}}),
        ],
    )
    def test_of_what_happened_is_not_believed(self, event: str, payload: Json) -> None:
        vote = {"selectedOptions": ["a"], "from": CHAT, "timestamp": self.AHEAD * 1000}
        found = told({"from": CHAT, "vote": vote, "timestamp": self.AHEAD, **payload}, event)
        assert not isinstance(found, Kept | SessionReport | Heard | LabelTold)
        times = [at for at in found.report.model_dump().values() if isinstance(at, datetime)]
        assert times == [RECEIVED_AT]


class TestContent:
    @pytest.mark.parametrize("empty", ["", None])
    def test_an_empty_key_before_it_is_passed_over(self, empty: object) -> None:
        raw = {"message": {"conversation": empty, "extendedTextMessage": {"text": "veja"}}}
        assert heard({"_data": raw}).content == "veja"

    def test_of_a_template_with_a_picture_keeps_text_and_buttons(self) -> None:
        template = {
            "imageMessage": {"mimetype": "image/jpeg"},
            "hydratedContentText": "Sua fatura vence dia 30.",
            "hydratedButtons": [{"urlButton": {"displayText": "Ver", "url": "https://l.example"}}],
        }
        raw = {"message": {"templateMessage": {"hydratedTemplate": template}}}
        media = {"url": "http://w/api/files/x.jpeg", "mimetype": "image/jpeg"}
        message = heard({"hasMedia": True, "media": media, "_data": raw})
        assert (message.content_type, message.content) == ("image", "Sua fatura vence dia 30.")
        assert message.details["interactive"]["buttons"] == [
            {"text": "Ver", "url": "https://l.example"}
        ]

    @pytest.mark.parametrize(
        ("raw", "content"),
        [
            ({"type": "image", "body": THUMBNAIL}, None),
            ({"type": "order", "orderId": "1", "orderTitle": "Bolo"}, "Bolo"),
            ({"type": "product", "productId": "1", "title": "Bolo", "body": THUMBNAIL}, "Bolo"),
        ],
    )
    def test_a_thumbnail_is_no_text(self, raw: Json, content: str | None) -> None:
        assert heard({"body": THUMBNAIL, "_data": raw}).content == content

    def test_what_only_begins_as_a_picture_does_is_a_text(self) -> None:
        assert heard({"body": "/9j/ nao abre"}).content == "/9j/ nao abre"

    def test_of_a_flow_is_read_on_webjs(self) -> None:
        assert heard({"_data": {"type": "native_flow", "body": "Escolha"}}).content == "Escolha"

    @pytest.mark.parametrize("kind", ["limit_sharing", "reaction_enc", "event_response"])
    def test_of_a_notice_is_none(self, kind: str) -> None:
        assert told({"_data": {"type": kind}}) == Kept("ignored", "housekeeping")

    def test_of_a_place_is_taken_from_both(self) -> None:
        place = {"degreesLatitude": -22.9, "degreesLongitude": -47.1, "name": "Loja"}
        own = {**place, "address": "Rua A, 1", "url": "https://l.example"}
        message = heard(
            {
                "location": {"latitude": -22.9, "longitude": -47.1},
                "_data": {"Message": {"locationMessage": own}},
            }
        )
        assert message.details["location"] == {
            "latitude": -22.9,
            "longitude": -47.1,
            "name": "Loja",
            "address": "Rua A, 1",
            "url": "https://l.example",
        }

    def test_of_a_live_place_is_live_on_webjs(self) -> None:
        place = {"latitude": -22.9, "longitude": -47.1, "description": "Chego ja"}
        raw = {"type": "location", "lat": -22.9, "lng": -47.1, "isLive": True, "loc": "Chego ja"}
        message = heard({"location": place, "_data": raw})
        assert message.content == "Chego ja"
        assert message.details["location"]["live"] is True
        assert message.details["location"]["name"] is None


class TestCards:
    NAMELESS = "BEGIN:VCARD\nVERSION:3.0\nTEL;waid=5519955550014:+55 19 95555-0014\nEND:VCARD"

    def test_that_name_nobody_are_called_as_whatsapp_shows_them(self) -> None:
        one = {"contactMessage": {"displayName": "Zé", "vcard": self.NAMELESS}}
        several = {
            "contactsArrayMessage": {
                "displayName": "2 contatos",
                "contacts": [
                    {"displayName": "Zé", "vcard": self.NAMELESS},
                    {"displayName": "Ana", "vcard": self.NAMELESS.replace("0014", "0015")},
                ],
            }
        }
        names = [
            [card["name"] for card in heard({"_data": {"message": raw}}).details["contacts"]]
            for raw in (one, several)
        ]
        assert names == [["Zé"], ["Zé", "Ana"]]

    def test_that_are_missing_leave_a_name(self) -> None:
        message = heard({"_data": {"message": {"contactMessage": {"displayName": "Zé"}}}})
        assert message.content_type == "contact"
        assert message.details["contacts"] == [{"name": "Zé", "phone": None}]


@pytest.mark.parametrize("mark", ["\u061c", "\u2028", "\u2029", "\x85", "\x9f"])
def test_marks_that_hide_or_turn_a_file_name_are_taken_out(mark: str) -> None:
    media = {"url": "http://w/api/files/x.pdf", "filename": f"nota{mark}fdp.exe"}
    found = heard({"hasMedia": True, "media": media}).media
    assert found is not None
    assert found.filename == "nota_fdp.exe"
