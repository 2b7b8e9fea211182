"""One message in the shapes that engines and their releases have for it: it is read in all."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import Edited, Heard, Kept, Listener, Revocation, Translation
from crm_channels_waha.waha.translate import translate
from shared_events.channels.traffic import ChannelMessageReceived

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "default")
CHAT, RAW_CHAT = "5511988880001@c.us", "5511988880001@s.whatsapp.net"
ME = {"id": "5511900000001@c.us", "lid": "201122334455667@lid"}
SAID_AT = datetime(2026, 7, 23, 9, 48, 39, tzinfo=UTC)
Json = dict[str, Any]


def told(payload: Json, event: str = "message.any") -> Translation:
    whole = {
        "id": f"false_{CHAT}_3EB0",
        "timestamp": 1784800119,
        "from": CHAT,
        "fromMe": False,
        "body": None,
        "hasMedia": False,
        **payload,
    }
    envelope = {"event": event, "session": "default", "me": ME, "payload": whole}
    return translate(envelope, LISTENER, RECEIVED_AT)


def heard(payload: Json) -> ChannelMessageReceived:
    found = told(payload)
    assert isinstance(found, Heard), found
    return found.message


def noweb(message: Json, **payload: Any) -> Json:
    return {"_data": {"key": {}, "message": message}, **payload}


def gows(message: Json, **payload: Any) -> Json:
    return {"_data": {"Info": {}, "Message": message}, **payload}


def webjs(kind: str, raw: Json | None = None, **payload: Any) -> Json:
    return {"_data": {"type": kind, **(raw or {})}, **payload}


class TestTextThatOnlyTheEngineHas:
    @pytest.mark.parametrize(
        "payload",
        [
            noweb({"imageMessage": {"caption": "veja"}}),
            noweb({"videoMessage": {"caption": "veja"}}, hasMedia=True),
            noweb({"ephemeralMessage": {"message": {"imageMessage": {"caption": "veja"}}}}),
            noweb(
                {
                    "documentWithCaptionMessage": {
                        "message": {"documentMessage": {"caption": "veja", "fileName": "a.pdf"}}
                    }
                }
            ),
            gows({"imageMessage": {"caption": "veja"}}, hasMedia=True, media=None),
            webjs("image", {"caption": "veja", "body": "/9j/4AAQ"}, hasMedia=True),
            webjs("chat", {"body": "veja"}),
            webjs("buttons_response", {"selectedButtonId": "s", "body": "veja"}),
            webjs("interactive", {"body": "veja"}),
            noweb({"questionResponseMessage": {"text": "veja"}}),
            noweb({"richResponseMessage": {"submessages": [{"messageText": "veja"}]}}),
            noweb({"newsletterFollowerInviteMessageV2": {"newsletterName": "veja"}}),
            webjs("groups_v4_invite", {"inviteGrpName": "veja", "inviteCode": "x"}),
            webjs("event_creation", {"eventName": "veja", "eventStartTime": 1784800119}),
            noweb({"scheduledCallCreationMessage": {"title": "veja"}}),
            webjs("payment", {"paymentAmount1000": 1000, "paymentNoteMsg": {"body": "veja"}}),
        ],
    )
    def test_is_read(self, payload: Json) -> None:
        assert heard(payload).content == "veja"

    def test_a_picture_is_no_text(self) -> None:
        assert heard(webjs("image", {"body": "/9j/4AAQ"}, hasMedia=True)).content is None


class TestFiles:
    @pytest.mark.parametrize(
        ("raw", "mime", "kind"),
        [
            ({"imageMessage": {}}, "application/octet-stream", "image"),
            ({"videoMessage": {}}, "mp4", "video"),
            ({"audioMessage": {"ptt": True}}, "application/octet-stream", "voice"),
            ({"stickerMessage": {}}, "application/was", "sticker"),
            ({"documentMessage": {}}, "audio/ogg; codecs=opus", "document"),
            ({"documentMessage": {}}, "IMAGE/JPEG", "document"),
            ({"imageMessage": {}}, "application/pdf", "document"),
            ({}, "application/octet-stream", "document"),
        ],
    )
    def test_kind_is_the_engines_where_the_mime_type_says_nothing(
        self, raw: Json, mime: str, kind: str
    ) -> None:
        media = {"url": "http://localhost:3000/api/files/a", "mimetype": mime}
        assert heard(noweb(raw, hasMedia=True, media=media)).content_type == kind

    @pytest.mark.parametrize(
        "payload",
        [
            {"hasMedia": False, "media": {"url": "/api/files/a.jpg", "mimetype": "image/jpeg"}},
            {"hasMedia": "true", "media": {"url": "/api/files/a.jpg", "mimetype": "image/jpeg"}},
            noweb({"imageMessage": {}}, hasMedia=True, mediaUrl="/api/files/a.jpg"),
        ],
    )
    def test_link_is_found_wherever_it_is(self, payload: Json) -> None:
        message = heard(payload)
        assert message.media is not None
        assert (message.content_type, message.media.url) == (
            "image",
            "http://waha.internal:3000/api/files/a.jpg",
        )

    def test_a_link_too_long_to_keep_loses_no_message(self) -> None:
        url = "https://s3.example.com/" + "x" * 5000
        message = heard(noweb({"imageMessage": {}}, body="veja", hasMedia=True, media={"url": url}))
        assert message.media is not None
        assert (message.content, message.media.url) == ("veja", None)

    def test_that_were_not_loaded_are_described_by_the_engine(self) -> None:
        said = {"mimetype": "application/pdf", "fileName": "a.pdf", "caption": "veja"}
        message = heard(noweb({"documentMessage": said}))
        assert message.media is not None
        assert (message.content_type, message.media.state) == ("document", "unavailable")
        assert (message.media.mime_type, message.media.filename) == ("application/pdf", "a.pdf")
        voice = heard(gows({"audioMessage": {"PTT": True, "seconds": {"low": 7, "high": 0}}}))
        assert voice.media is not None
        assert (voice.content_type, voice.media.duration_seconds) == ("voice", 7)

    @pytest.mark.parametrize(
        ("name", "safe"),
        [
            ("..\\../chave.pdf", ".._.._chave.pdf"),
            ("foto\u202egpj.exe", "foto_gpj.exe"),
            ("..", None),
            ("  ", None),
            ("\u200b", None),
            ("a" * 300 + ".pdf", "a" * 251 + ".pdf"),
            ("a" * 300, "a" * 255),
            (".htaccess", ".htaccess"),
        ],
    )
    def test_names_lead_nowhere_and_show_what_they_are(self, name: str, safe: str | None) -> None:
        media = {"url": "http://x/api/files/a", "mimetype": "application/pdf", "filename": name}
        found = heard({"hasMedia": True, "media": media}).media
        assert found is not None
        assert found.filename == safe


class TestCardsAndPlaces:
    @pytest.mark.parametrize(
        "payload",
        [
            webjs("vcard", body="BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"),
            {"vCards": "BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"},
            {"vCards": [{"vcard": "BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"}, None]},
            webjs("vcard", {"body": "BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"}),
            webjs(
                "multi_vcard", {"vcardList": [{"vcard": "BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"}]}
            ),
        ],
    )
    def test_card_is_read_wherever_it_is(self, payload: Json) -> None:
        message = heard(payload)
        assert message.content_type == "contact"
        assert message.details["contacts"] == [{"name": "Ana", "phone": "123"}]

    def test_what_is_written_beside_a_card_stays(self) -> None:
        card = "BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"
        assert heard({"vCards": [card], "body": "liga"}).content == "liga"
        assert heard({"vCards": [card], "body": card}).content is None

    def test_place_is_read_from_webjs(self) -> None:
        raw = {"lat": -22.9, "lng": -47.06, "loc": "Rua A", "body": "/9j/4AAQ"}
        message = heard(webjs("location", raw, body="/9j/4AAQ"))
        assert (message.content_type, message.content) == ("location", None)
        assert message.details["location"]["name"] == "Rua A"


class TestAnswers:
    @pytest.mark.parametrize(
        "payload",
        [
            {"replyTo": {"id": f"true_{CHAT}_3EB1"}},
            {"replyTo": {"id": {"_serialized": f"true_{CHAT}_3EB1"}}},
            {"replyTo": "3EB1"},
            noweb({"extendedTextMessage": {"text": "x", "contextInfo": {"stanzaId": "3EB1"}}}),
            gows({"imageMessage": {"contextInfo": {"stanzaID": "3EB1"}}}),
            noweb(
                {
                    "ephemeralMessage": {
                        "message": {"stickerMessage": {"contextInfo": {"stanzaId": "3EB1"}}}
                    }
                }
            ),
            webjs("chat", {"quotedStanzaID": "3EB1"}),
        ],
    )
    def test_name_what_they_answer(self, payload: Json) -> None:
        assert heard({"body": "sim", **payload}).reply_to_external_id == "3EB1"

    def test_of_what_is_quoted_are_not_its_own(self) -> None:
        inner = {"extendedTextMessage": {"contextInfo": {"stanzaId": "3EB2"}}}
        message = {"extendedTextMessage": {"text": "x", "contextInfo": {"quotedMessage": inner}}}
        assert heard(noweb(message)).reply_to_external_id is None


class TestTimes:
    @pytest.mark.parametrize(
        "payload",
        [
            {"timestamp": "1784800119"},
            {"timestamp": 1784800119000},
            {"timestamp": "1784800119000"},
            {"timestamp": 1784800119000000000},
            {"timestamp": {"low": 1784800119, "high": 0, "unsigned": True}},
            {"timestamp": "2026-07-23T06:48:39-03:00"},
            {"timestamp": None, "_data": {"messageTimestamp": "1784800119"}},
            {"timestamp": 0, "_data": {"type": "chat", "t": 1784800119}},
            {"timestamp": None, "_data": {"Info": {"Timestamp": "2026-07-23T06:48:39-03:00"}}},
        ],
    )
    def test_are_read_in_every_unit_and_place(self, payload: Json) -> None:
        assert heard({"body": "oi", **payload}).sent_at == SAID_AT

    @pytest.mark.parametrize("said", [-5, "ontem", "2026-07-23T06:48:39", [], True, 1e300])
    def test_that_are_none_leave_when_it_was_told(self, said: Any) -> None:
        assert heard({"body": "oi", "timestamp": said}).sent_at == RECEIVED_AT


class TestViewOnce:
    @pytest.mark.parametrize(
        "raw",
        [
            {"Info": {}, "IsViewOnce": True, "Message": {"imageMessage": {}}},
            {"Info": {}, "IsViewOnceV2Extension": True, "Message": {"audioMessage": {}}},
            {"Info": {}, "Message": None, "UnavailableType": "view_once"},
            {"key": {"isViewOnce": True}, "messageStubType": 2},
        ],
    )
    def test_is_marked_by_every_engine(self, raw: Json) -> None:
        assert heard({"_data": raw}).details["view_once"] is True


class TestWhatNobodyWrote:
    @pytest.mark.parametrize("stub", [2, "CIPHERTEXT", 27, "GROUP_PARTICIPANT_ADD", 40])
    def test_notices_of_noweb_are_no_messages(self, stub: Any) -> None:
        raw = {"key": {}, "messageStubType": stub, "messageStubParameters": ["x"]}
        assert told({"_data": raw}) == Kept("ignored", "housekeeping")
        assert heard({"_data": raw, "body": "oi"}).content == "oi"

    @pytest.mark.parametrize(
        "payload",
        [
            noweb({"call": {"callKey": "MDAx"}}),
            noweb({"statusNotificationMessage": {}}),
            noweb({"groupStatusMentionMessage": {"message": {"protocolMessage": {"type": 25}}}}),
            webjs("group_notification", body=""),
            webjs("biz_notification", body=""),
        ],
    )
    def test_nor_are_these(self, payload: Json) -> None:
        assert told(payload) == Kept("ignored", "housekeeping")

    @pytest.mark.parametrize("chat", [ME["id"], "5511900000001:12@s.whatsapp.net", ME["lid"]])
    def test_a_note_to_ourselves_is_no_customers(self, chat: str) -> None:
        found = told({"id": f"true_{chat}_3EB0", "fromMe": True, "body": "nota"})
        assert found == Kept("ignored", "note to ourselves")

    def test_what_was_not_written_by_us_is_no_note(self) -> None:
        """Whatever number it shows: nothing that is sent to us is dropped for a number."""
        found = told({"id": f"false_{ME['id']}_3EB0", "fromMe": False, "body": "oi"})
        assert isinstance(found, Heard)

    @pytest.mark.parametrize(
        ("raw", "target"),
        [({}, "3EB0"), ({"protocolMessageKey": {"id": "A1", "remote": CHAT}}, "A1")],
    )
    def test_what_was_deleted_on_webjs_is_a_deletion(self, raw: Json, target: str) -> None:
        found = told(webjs("revoked", raw, body=""))
        assert isinstance(found, Revocation)
        assert (found.report.external_id, found.chat_id) == (target, CHAT)


class TestEditsInWrappers:
    @pytest.mark.parametrize(
        "edited",
        [
            {"conversation": "novo"},
            {"messageContextInfo": {}, "extendedTextMessage": {"text": "novo"}},
            {"ephemeralMessage": {"message": {"extendedTextMessage": {"text": "novo"}}}},
            {
                "documentWithCaptionMessage": {
                    "message": {"documentMessage": {"caption": "novo"}},
                }
            },
            {
                "associatedChildMessage": {
                    "message": {
                        "viewOnceMessageV2": {"message": {"imageMessage": {"caption": "novo"}}}
                    }
                }
            },
        ],
    )
    def test_are_opened(self, edited: Json) -> None:
        act = {"type": "MESSAGE_EDIT", "key": {"id": "A1"}, "editedMessage": edited}
        wrapped = {"editedMessage": {"message": {"protocolMessage": act}}}
        for payload, event in (
            (noweb({"protocolMessage": act}), "message.any"),
            (noweb(wrapped), "message.any"),
            (noweb(wrapped), "message.edited"),
        ):
            found = told(payload, event)
            assert isinstance(found, Edited)
            assert (found.report.external_id, found.report.content) == ("A1", "novo")
