"""Composing sends and judging their answers."""

import ssl
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp.client_reqrep import ConnectionKey
from crm_channels_waha.waha.answers import (
    Accepted,
    Answer,
    NotSent,
    Refused,
    Rejected,
    Unknown,
    judge,
    judge_failure,
)
from crm_channels_waha.waha.cards import write_card
from crm_channels_waha.waha.changing import Change, compose_change
from crm_channels_waha.waha.configuration import EVENTS, Subscription
from crm_channels_waha.waha.sending import Outgoing, compose
from service_kit.egress import ForbiddenAddressError

CHAT = "5511988880001@c.us"


class TestCompose:
    def test_text_carries_the_pregenerated_id(self) -> None:
        sent = compose(Outgoing(CHAT, "text", "oi", reply_to="3A"), "s", "3EB0")
        body = {"session": "s", "chatId": CHAT, "text": "oi", "id": "3EB0", "reply_to": "3A"}
        assert sent == ("/api/sendText", {**body, "linkPreview": True}, False)

    def test_a_link_is_shown_without_a_preview_where_the_channel_says_so(self) -> None:
        sent = compose(Outgoing(CHAT, "text", "https://x.test", link_preview=False), "s", None)
        assert not isinstance(sent, Rejected)
        assert sent[1]["linkPreview"] is False

    @pytest.mark.parametrize(
        ("kind", "path", "extra"),
        [
            ("image", "/api/sendImage", {}),
            ("document", "/api/sendFile", {}),
            ("audio", "/api/sendFile", {}),
            ("voice", "/api/sendVoice", {"convert": True}),
            ("video", "/api/sendVideo", {"convert": True}),
        ],
    )
    def test_media_goes_by_url_with_its_caption(
        self, kind: str, path: str, extra: dict[str, Any]
    ) -> None:
        message = Outgoing(CHAT, kind, "veja", "https://x.test/a%20b.pdf", "application/pdf")
        sent = compose(message, "s", "3EB0")
        assert not isinstance(sent, Rejected)
        assert sent[0] == path
        file = {"mimetype": "application/pdf", "url": "https://x.test/a%20b.pdf"}
        if path == "/api/sendFile":
            file["filename"] = "a b.pdf"
        assert sent[1] == {
            "session": "s",
            "chatId": CHAT,
            "file": file,
            **({} if kind == "voice" else {"caption": "veja"}),
            **extra,
        }

    @pytest.mark.parametrize(
        ("kind", "details", "path", "said"),
        [
            (
                "location",
                {"location": {"latitude": -22.9, "longitude": -47, "name": "Praça"}},
                "/api/sendLocation",
                {"latitude": -22.9, "longitude": -47, "title": "Praça"},
            ),
            (
                "contact",
                {"contacts": [{"name": "Zé", "phone": "5511988880001"}]},
                "/api/sendContactVcard",
                {"contacts": [{"vcard": write_card("Zé", ["5511988880001"])}]},
            ),
            (
                "poll",
                {"poll": {"question": "Cor?", "options": ["A", "B"]}},
                "/api/sendPoll",
                {"poll": {"name": "Cor?", "options": ["A", "B"], "multipleAnswers": False}},
            ),
        ],
    )
    def test_places_cards_and_polls_carry_the_pregenerated_id(
        self, kind: str, details: dict[str, Any], path: str, said: dict[str, Any]
    ) -> None:
        sent = compose(Outgoing(CHAT, kind, None, reply_to="3A", details=details), "s", "3EB0")
        body = {"session": "s", "chatId": CHAT, "reply_to": "3A", "id": "3EB0", **said}
        assert sent == (path, body, False)

    def test_who_is_mentioned_goes_with_the_text(self) -> None:
        details = {"mentions": ["5511988880001@c.us"]}
        sent = compose(Outgoing(CHAT, "text", "oi @5511988880001", details=details), "s", None)
        assert not isinstance(sent, Rejected)
        assert sent[1]["mentions"] == ["5511988880001@c.us"]

    def test_webjs_is_given_the_full_id_of_what_it_replies_to(self) -> None:
        message = Outgoing(CHAT, "text", "oi", reply_to="3A", engine="WEBJS")
        sent = compose(message, "s", None)
        assert not isinstance(sent, Rejected)
        assert sent[1]["reply_to"] == f"false_{CHAT}_3A"

    @pytest.mark.parametrize(
        ("kind", "content", "code"),
        [
            ("sticker", "x", "unsupported_content"),
            ("text", None, "empty_content"),
            ("image", "x", "media_missing"),
        ],
    )
    def test_what_cannot_be_sent_is_rejected(
        self, kind: str, content: str | None, code: str
    ) -> None:
        rejected = compose(Outgoing(CHAT, kind, content), "s", None)
        assert isinstance(rejected, Rejected)
        assert rejected.code == code


def answer(status: int, body: Any = None) -> Answer:
    return Answer(status, "", b"" if body is None else orjson.dumps(body))


WAHA = ConnectionKey("waha.test", 443, True, True, None, None, None)


class TestJudge:
    @pytest.mark.parametrize(
        "body",
        [
            {"id": "true_5511988880001@c.us_3EB0", "_data": {}},
            {"key": {"id": "3EB0", "fromMe": True}, "status": "PENDING"},
            {"id": {"id": "3EB0", "_serialized": "true_5511988880001@c.us_3EB0"}},
        ],
    )
    def test_id_is_found_in_every_engines_answer(self, body: Any) -> None:
        assert judge(answer(201, body)) == Accepted("3EB0")

    @pytest.mark.parametrize("body", [None, {}, [], {"sent": True}])
    def test_accepted_without_id(self, body: Any) -> None:
        assert judge(answer(201, body)) == Accepted(None)

    @pytest.mark.parametrize(
        ("status", "body", "verdict"),
        [
            (400, {"message": ["chatId must be a string"]}, Rejected),
            (404, {"message": "Session not found"}, Rejected),
            (422, {"message": "The method is not implemented by the engine."}, Rejected),
            (422, {"error": 'Session "s" does not exist', "session": "s"}, Rejected),
            (422, {"error": "Session status..", "expected": ["WORKING"]}, NotSent),
            (429, None, NotSent),
            (401, {"message": "Unauthorized"}, Refused),
            (403, {"message": "Forbidden"}, Refused),
            (500, {"exception": {"message": "rate-overlimit"}}, Unknown),
            (502, None, Unknown),
        ],
    )
    def test_every_row_of_the_send_recipe(
        self, status: int, body: Any, verdict: type[object]
    ) -> None:
        assert isinstance(judge(answer(status, body)), verdict)

    def test_reason_does_not_echo_the_request(self) -> None:
        body = {"exception": {"message": "boom"}, "request": {"body": {"text": "segredo"}}}
        unknown = judge(answer(500, body))
        assert unknown == Unknown("WAHA answered 500: boom")

    @pytest.mark.parametrize(
        ("error", "verdict"),
        [
            (aiohttp.ClientConnectorError(WAHA, OSError("refused")), NotSent),
            (aiohttp.ClientConnectorError(WAHA, ForbiddenAddressError()), NotSent),
            (aiohttp.ClientConnectorDNSError(WAHA, OSError("unknown host")), NotSent),
            (aiohttp.ClientConnectorCertificateError(WAHA, ssl.SSLError("expired")), NotSent),
            (aiohttp.ConnectionTimeoutError(), NotSent),
            (aiohttp.SocketTimeoutError(), Unknown),
            (TimeoutError(), Unknown),
            (aiohttp.ClientOSError(), Unknown),
            (ConnectionResetError(), Unknown),
            (aiohttp.ServerDisconnectedError(), Unknown),
            (aiohttp.ClientPayloadError(), Unknown),
            (aiohttp.InvalidURL("x"), Rejected),
        ],
    )
    def test_without_an_answer_it_matters_whether_the_request_left(
        self, error: Exception, verdict: type[object]
    ) -> None:
        assert isinstance(judge_failure(error), verdict)


def subscription(token: str) -> Subscription:
    """That of a channel whose tokens are `new`, `old` and `t`."""
    url = f"https://crm.test/api/v1/webhooks/waha/{token}"
    own = ("/new", "/old", "/t")
    return Subscription(url, "key", "t", "c", lambda url: url.endswith(own))


class TestSubscription:
    def test_keeps_the_rest_and_replaces_our_older_webhook(self) -> None:
        ours = subscription("new")
        config = ours.applied_to(
            {
                "proxy": {"server": "p"},
                "metadata": {"theirs": "1"},
                "webhooks": [
                    {"url": "https://other.test/hook", "events": ["*"]},
                    {"url": "https://crm.test/api/v1/webhooks/waha/old", "events": ["*"]},
                    {"url": "https://crm.test/api/v1/webhooks/waha/theirs", "events": ["*"]},
                ],
            }
        )
        assert config["proxy"] == {"server": "p"}
        assert config["metadata"] == {"theirs": "1", "tenant.id": "t", "channel.id": "c"}
        assert [h["url"] for h in config["webhooks"]] == [
            "https://other.test/hook",
            "https://crm.test/api/v1/webhooks/waha/theirs",
            ours.url,
        ]
        assert config["webhooks"][2]["hmac"] == {"key": "key"}

    def test_applying_twice_changes_nothing(self) -> None:
        ours = subscription("t")
        assert ours.applied_to(ours.new_config()) == ours.new_config()

    def test_subscribes_to_message_any_alone(self) -> None:
        assert "message.any" in EVENTS
        assert "message" not in EVENTS


class TestChange:
    @pytest.mark.parametrize(
        ("change", "expected"),
        [
            (
                Change("edit", "1@c.us", "A1", True, None, "dois"),
                (
                    *("PUT", "/api/loja/chats/1%40c.us/messages/true_1%40c.us_A1"),
                    {"text": "dois", "linkPreview": True},
                ),
            ),
            (
                Change("revoke", "7@g.us", "A1", True, "9@c.us", ""),
                ("DELETE", "/api/loja/chats/7%40g.us/messages/true_7%40g.us_A1_9%40c.us", None),
            ),
            (
                Change("reaction", "7@g.us", "A1", False, "5@lid", "👍"),
                (
                    "PUT",
                    "/api/reaction",
                    {"session": "loja", "messageId": "false_7@g.us_A1_5@lid", "reaction": "👍"},
                ),
            ),
        ],
    )
    def test_names_the_message_by_its_full_id(self, change: Change, expected: object) -> None:
        assert compose_change(change, "loja") == expected
