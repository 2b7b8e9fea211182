"""What people wrote is read, wherever an engine leaves it; what nobody wrote is no message."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.waha.meaning import Edited, Heard, Kept, Listener, Translation
from crm_channels_waha.waha.translate import translate
from hypothesis import given
from hypothesis import strategies as st
from shared_events.channels.traffic import ChannelMessageReceived

RECEIVED_AT = datetime(2026, 7, 23, 10, 0, tzinfo=UTC)
LISTENER = Listener(UUID(int=1), "Loja", 1800, True, "http://waha.internal:3000", "default")
CHAT = "5511988880001@c.us"
Json = dict[str, Any]


def told(payload: Json, event: str = "message.any") -> Translation:
    """A message that says nothing but this."""
    whole = {
        "id": f"false_{CHAT}_3EB0",
        "timestamp": 1784800119,
        "from": CHAT,
        "fromMe": False,
        "body": None,
        "hasMedia": False,
        **payload,
    }
    return translate(
        {"event": event, "session": "default", "payload": whole}, LISTENER, RECEIVED_AT
    )


def noweb(message: Json, **payload: Any) -> Translation:
    return told({"_data": {"key": {}, "message": message}, **payload})


def gows(message: Json, **payload: Any) -> Translation:
    return told({"_data": {"Info": {}, "Message": message}, **payload})


def webjs(kind: str, **payload: Any) -> Translation:
    return told({"_data": {"type": kind, **payload.pop("raw", {})}, **payload})


def read(translation: Translation) -> ChannelMessageReceived:
    assert isinstance(translation, Heard)
    return translation.message


POLL = {"name": "Qual dia?", "options": [{"optionName": "Sábado"}, {"optionName": "Domingo"}]}


class TestWrappers:
    @pytest.mark.parametrize(
        "wrapper",
        [
            *("ephemeralMessage", "documentWithCaptionMessage", "associatedChildMessage"),
            *("deviceSentMessage", "groupMentionedMessage", "botInvokeMessage"),
            *("pollCreationMessageV4", "wrapperOfNextYear"),
        ],
    )
    def test_are_opened_wherever_they_sit(self, wrapper: str) -> None:
        inner = {"messageContextInfo": {}, "pollCreationMessageV3": POLL}
        for message in (
            {wrapper: {"message": inner}},
            {
                "messageContextInfo": {},
                wrapper: {"message": {"ephemeralMessage": {"message": inner}}},
            },
        ):
            assert read(noweb(message)).details["poll"]["options"] == ["Sábado", "Domingo"]

    def test_that_never_end_hold_nothing_up(self) -> None:
        message: Json = {"pollCreationMessage": POLL}
        for _ in range(100):
            message = {"ephemeralMessage": {"message": message}}
        assert read(noweb(message)).content_type == "unsupported"

    @pytest.mark.parametrize("version", ["", "V2", "V3", "V5", "V6"])
    def test_content_counts_not_the_first_key(self, version: str) -> None:
        keys = {"senderKeyDistributionMessage": {"groupId": "g"}, "messageContextInfo": {"a": 1}}
        message = {**keys, f"pollCreationMessage{version}": POLL}
        assert read(noweb(message)).content_type == "poll"
        assert read(gows({**keys, "conversation": "oi"}, body="oi")).content == "oi"


class TestWhatNobodyWrote:
    @pytest.mark.parametrize(
        "message",
        [
            {"senderKeyDistributionMessage": {"groupId": "g"}, "messageContextInfo": {}},
            {"messageContextInfo": {}, "albumMessage": {"expectedImageCount": 3}},
            {"protocolMessage": {"type": "EPHEMERAL_SETTING", "ephemeralExpiration": 7776000}},
            {"protocolMessage": {"type": 9}},
            {"ephemeralMessage": {"message": {"reactionMessage": {"text": "x"}}}},
            {"pollUpdateMessage": {}},
            {"pinInChatMessage": {"type": 1}},
            {"encReactionMessage": {}},
        ],
    )
    def test_is_no_message(self, message: Json) -> None:
        assert noweb(message) == gows(message) == Kept("ignored", "housekeeping")

    @pytest.mark.parametrize(
        "kind",
        [
            *("e2e_notification", "notification_template", "gp2", "call_log", "ciphertext"),
            *("protocol", "album", "notification"),
        ],
    )
    def test_is_none_on_webjs_either(self, kind: str) -> None:
        assert webjs(kind, body="") == Kept("ignored", "housekeeping")

    def test_keys_beside_a_text_take_nothing_away(self) -> None:
        assert read(noweb({"messageContextInfo": {}}, body="oi")).content == "oi"

    def test_an_edit_in_an_album_is_an_edit(self) -> None:
        edit = {
            "protocolMessage": {
                "key": {"ID": "3EB1"},
                "type": 14,
                "editedMessage": {"videoMessage": {"caption": "Pedir uma embalagem"}},
            }
        }
        found = gows({"associatedChildMessage": {"message": edit}})
        assert isinstance(found, Edited)
        assert found.report.content == "Pedir uma embalagem"


class TestStructured:
    def test_template_is_read_with_its_link(self) -> None:
        template = {
            "hydratedTitleText": "Fatura",
            "hydratedContentText": "Sua fatura vence dia 30.",
            "hydratedButtons": [
                {"urlButton": {"displayText": "Ver fatura", "url": "https://example.com/77"}},
                {"HydratedButton": {"QuickReplyButton": {"displayText": "Ok", "ID": "ok"}}},
            ],
        }
        for template_message in (
            {"hydratedTemplate": template},
            {"Format": {"HydratedFourRowTemplate": template}},
        ):
            message = read(noweb({"templateMessage": template_message}))
            assert message.content_type == "text"
            assert message.content == "Fatura\nSua fatura vence dia 30."
            assert message.details["interactive"]["buttons"] == [
                {"text": "Ver fatura", "url": "https://example.com/77"},
                {"text": "Ok", "id": "ok"},
            ]

    def test_interactive_message_is_read_with_its_flow_and_cards(self) -> None:
        card = {"header": {"title": "Bolo"}, "body": {"text": "R$ 45"}}
        message = read(
            gows(
                {
                    "interactiveMessage": {
                        "body": {"text": "Escolha"},
                        "footer": {"text": "Até sexta"},
                        "InteractiveMessage": {
                            "NativeFlowMessage": {
                                "buttons": [{"name": "cta_url", "buttonParamsJSON": "{}"}]
                            },
                        },
                        "carouselMessage": {"cards": [card, card]},
                    }
                }
            )
        )
        assert message.content == "Escolha\nAté sexta\nBolo\nR$ 45\nBolo\nR$ 45"
        offer = message.details["interactive"]
        assert offer["buttons"] == [{"flow": "cta_url", "parameters": "{}"}]
        assert [c["title"] for c in offer["cards"]] == ["Bolo", "Bolo"]

    def test_list_is_read_with_its_rows(self) -> None:
        rows = [{"title": "Bolo", "rowId": "b", "description": "de cenoura"}]
        message = read(
            noweb(
                {
                    "listMessage": {
                        "title": "Cardápio",
                        "description": "O que vai ser?",
                        "sections": [{"title": "Doces", "rows": rows}],
                    }
                }
            )
        )
        assert message.content == "Cardápio\nO que vai ser?"
        (section,) = message.details["interactive"]["sections"]
        assert section["rows"] == [{"title": "Bolo", "description": "de cenoura", "id": "b"}]

    @pytest.mark.parametrize(
        ("message", "content", "chosen"),
        [
            (
                {"buttonsResponseMessage": {"selectedDisplayText": "Sim", "selectedButtonId": "s"}},
                "Sim",
                "s",
            ),
            (
                {"templateButtonReplyMessage": {"selectedDisplayText": "Sim", "selectedID": "s"}},
                "Sim",
                "s",
            ),
            (
                {
                    "listResponseMessage": {
                        "title": "Bolo",
                        "singleSelectReply": {"selectedRowId": "b"},
                    }
                },
                "Bolo",
                "b",
            ),
        ],
    )
    def test_choice_is_read_with_what_was_chosen(
        self, message: Json, content: str, chosen: str
    ) -> None:
        found = read(noweb(message))
        assert (found.content, found.details["selected_row_id"]) == (content, chosen)

    def test_flow_answer_is_read(self) -> None:
        answer = {"name": "flow", "paramsJson": '{"cep":"13000"}'}
        message = read(
            noweb(
                {
                    "interactiveResponseMessage": {
                        "body": {"text": "Enviado"},
                        "nativeFlowResponseMessage": answer,
                    }
                }
            )
        )
        assert message.content == "Enviado"
        assert message.details["flow_response"] == {"name": "flow", "parameters": '{"cep":"13000"}'}

    def test_order_and_product_are_read_on_every_engine(self) -> None:
        order = {
            "orderId": "9876543210",
            "itemCount": 2,
            "orderTitle": "Bolo de cenoura",
            "totalAmount1000": "45000",
            "totalCurrencyCode": "BRL",
        }
        go = {("orderID" if key == "orderId" else key): value for key, value in order.items()}
        for found in (
            noweb({"orderMessage": order}),
            gows({"orderMessage": go}),
            webjs("order", raw=order),
        ):
            message = read(found)
            assert message.content == "Bolo de cenoura"
            assert message.details["order"] == {
                "id": "9876543210",
                "title": "Bolo de cenoura",
                "items": 2,
                "amount_1000": 45000,
                "currency": "BRL",
            }
        product = read(noweb({"productMessage": {"product": {"productId": "p1", "title": "Bolo"}}}))
        assert (product.content, product.details["product"]["id"]) == ("Bolo", "p1")

    @pytest.mark.parametrize(
        ("message", "content", "name"),
        [
            (
                {
                    "requestPaymentMessage": {
                        "amount1000": 45000,
                        "noteMessage": {"extendedTextMessage": {"text": "do bolo"}},
                    }
                },
                "do bolo",
                "payment",
            ),
            ({"eventMessage": {"name": "Feira", "startTime": "1784800119"}}, "Feira", "event"),
            (
                {"groupInviteMessage": {"groupName": "Clientes", "inviteCode": "x"}},
                "Clientes",
                "invite",
            ),
            (
                {
                    "pollResultSnapshotMessage": {
                        "name": "Qual dia?",
                        "pollVotes": [{"optionName": "Sábado", "optionVoteCount": "3"}],
                    }
                },
                "Qual dia?",
                "poll_result",
            ),
        ],
    )
    def test_others_are_read(self, message: Json, content: str, name: str) -> None:
        found = read(noweb(message))
        assert (found.content_type, found.content) == ("text", content)
        assert found.details[name]

    def test_a_text_that_only_the_engine_has_is_read(self) -> None:
        assert read(gows({"extendedTextMessage": {"text": "veja"}})).content == "veja"

    def test_what_is_not_known_stays_unsupported(self) -> None:
        message = read(noweb({"messageOfNextYear": {"x": 1}}))
        assert (message.content_type, message.details) == (
            "unsupported",
            {"kind": "messageOfNextYear"},
        )


class TestMarks:
    def test_view_once_is_marked_even_where_nothing_else_is_said(self) -> None:
        key = {"id": "3EB0", "isViewOnce": True}
        message = read(told({"_data": {"key": key}}))
        assert (message.content_type, message.details) == ("unsupported", {"view_once": True})
        wrapped: Json = {"viewOnceMessageV2": {"message": {"imageMessage": {}}}}
        assert read(noweb(wrapped)).details == {"view_once": True}
        assert read(webjs("image", raw={"isViewOnce": True})).details == {"view_once": True}
        assert read(noweb({"imageMessage": {"viewOnce": True}})).details == {"view_once": True}

    def test_live_location_keeps_its_comment(self) -> None:
        place = {"live": True, "latitude": -22.9, "longitude": "-47.06", "description": "Já vou"}
        raw = {"liveLocationMessage": {"degreesLatitude": -22.9, "caption": "Já vou"}}
        message = read(gows(raw, body="Já vou", location=place))
        assert message.content == "Já vou"
        location = message.details["location"]
        assert (location["live"], location["latitude"]) == (True, -22.9)
        degrees = {"degreesLatitude": -22.9, "degreesLongitude": -47.06, "caption": "Já vou"}
        alone = read(noweb({"liveLocationMessage": degrees}))
        assert (alone.content, alone.details["location"]["live"]) == ("Já vou", True)

    def test_a_map_is_no_comment(self) -> None:
        place = {"latitude": "-22.9", "longitude": "-47.06"}
        message = read(webjs("location", body="/9j/4AAQ", location=place))
        assert message.content is None
        assert "live" not in message.details["location"]


class TestEngineCards:
    def test_cards_that_only_the_engine_has_are_read(self) -> None:
        card = "BEGIN:VCARD\nFN:Ana\nTEL:123\nEND:VCARD"
        shared = {"contactsArrayMessage": {"contacts": [{"vcard": card}, {"vcard": card}]}}
        assert len(read(noweb(shared)).details["contacts"]) == 2
        assert read(gows({"contactMessage": {"vcard": card}})).content_type == "contact"


class TestIds:
    @pytest.mark.parametrize(
        "raw",
        [
            {"type": "chat", "id": {"fromMe": False, "remote": CHAT, "id": "3EB0"}},
            {"type": "chat", "id": {"id": "x", "$1": f"false_{CHAT}_3EB0"}},
            {"type": "chat", "id": {"id": "3EB0", "remote": {"_serialized": CHAT}}},
            {"key": {"id": "3EB0", "remoteJid": "5511988880001@s.whatsapp.net", "fromMe": False}},
            {"Info": {"ID": "3EB0", "Chat": "5511988880001@s.whatsapp.net", "IsFromMe": False}},
        ],
    )
    def test_are_found_in_the_engines_own_view(self, raw: Json) -> None:
        message = read(told({"id": None, "body": "oi", "_data": raw}))
        assert (message.external_id, message.chat_id) == ("3EB0", CHAT)

    def test_without_any_it_is_kept_raw(self) -> None:
        assert told({"id": None, "_data": {"key": {}}}) == Kept("unhandled", "message without id")


_KINDS = st.sampled_from(
    (
        *("conversation", "templateMessage", "interactiveMessage", "listMessage", "orderMessage"),
        *("productMessage", "eventMessage", "pollCreationMessageV3", "contactsArrayMessage"),
        *("liveLocationMessage", "requestPaymentMessage", "protocolMessage", "message", "cards"),
        *(
            "hydratedTemplate",
            "buttons",
            "sections",
            "rows",
            "title",
            "text",
            "body",
            "key",
            "type",
        ),
    )
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KINDS, inner, max_size=4),
    max_leaves=30,
)


@given(message=_ANY, body=_ANY, raw_type=_ANY)
def test_no_shape_whatever_raises(message: Any, body: Any, raw_type: Any) -> None:
    """It is a message, or kept with a reason; and what was written as body is never lost."""
    for raw in ({"message": message}, {"Message": message}, {"type": raw_type, "list": message}):
        found = told({"_data": raw, "body": body})
        if isinstance(found, Heard) and isinstance(body, str) and body:
            assert found.message.content or found.message.content_type != "text"
