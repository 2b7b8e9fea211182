import base64
from typing import Any

import pytest

CHAT = "5511988880001@c.us"
FILE = {"mimetype": "image/jpeg", "url": "https://example.com/a.jpeg", "filename": "a.jpeg"}
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "sendText": ("text", {"text": "Olá"}),
    "sendImage": ("image", {"file": FILE, "caption": "veja"}),
    "sendFile": ("document", {"file": FILE}),
    "sendVoice": ("voice", {"file": FILE | {"mimetype": "audio/ogg; codecs=opus"}}),
    "sendVideo": ("video", {"file": FILE | {"mimetype": "video/mp4"}}),
    "sendLocation": ("location", {"latitude": -22.9, "longitude": -47, "title": "Praça"}),
    "sendContactVcard": (
        "vcard",
        {"contacts": [{"fullName": "Zé", "phoneNumber": "+55 19 9", "whatsappId": "55199"}]},
    ),
    "sendPoll": ("poll", {"poll": {"name": "Cor?", "options": ["A", "B"]}}),
}


class TestAnswerShapes:
    async def test_gows_answers_a_full_id(self, shop: Any) -> None:
        await shop.open("GOWS")
        status, body = await shop.send_text(id="3EB0ABC")
        assert status == 201
        assert body["id"] == f"true_{CHAT}_3EB0ABC"
        assert body["_data"]["Info"]["ID"] == "3EB0ABC"
        assert body["_data"]["Info"]["Chat"] == "5511988880001@s.whatsapp.net"

    async def test_noweb_answers_a_raw_key(self, shop: Any) -> None:
        await shop.open("NOWEB")
        _, body = await shop.send_text(id="3EB0ABC")
        assert body["key"] == {
            "remoteJid": "5511988880001@s.whatsapp.net",
            "fromMe": True,
            "id": "3EB0ABC",
        }
        assert "id" not in body
        assert body["status"] == "PENDING"
        assert body["messageTimestamp"].isdecimal()

    async def test_noweb_answers_a_poll_as_a_message(self, shop: Any) -> None:
        await shop.open("NOWEB")
        poll = {"session": "loja", "chatId": CHAT, "id": "P1"} | BODIES["sendPoll"][1]
        _, body = await shop.call("POST", "/api/sendPoll", poll)
        assert body["id"] == f"true_{CHAT}_P1"

    async def test_webjs_answers_an_id_object_and_ignores_the_id_wanted(self, shop: Any) -> None:
        await shop.open("WEBJS")
        _, body = await shop.send_text(id="3EB0ABC")
        assert body["id"]["id"] != "3EB0ABC"
        assert body["id"]["_serialized"] == f"true_{CHAT}_{body['id']['id']}"
        assert (body["ack"], body["id"]["remote"]) == (0, CHAT)


class TestEveryKind:
    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    @pytest.mark.parametrize("endpoint", BODIES)
    async def test_is_sent_and_echoed(self, shop: Any, engine: Any, endpoint: str) -> None:
        await shop.open(engine)
        kind, fields = BODIES[endpoint]
        status, _ = await shop.call(
            "POST", f"/api/{endpoint}", {"session": "loja", "chatId": CHAT, **fields}
        )
        assert status == 201
        (sent,) = shop.waha.sent.values()
        assert (sent.kind, sent.chat, sent.times) == (kind, CHAT, 1)
        (echo,) = await shop.webhooks("message.any")
        assert echo["payload"]["id"] == sent.full_id
        assert (echo["payload"]["fromMe"], echo["payload"]["source"]) == (True, "api")
        assert echo["payload"]["hasMedia"] is ("file" in fields)

    async def test_data_is_served_back_as_a_file(self, shop: Any) -> None:
        await shop.open()
        file = {"mimetype": "image/png", "data": base64.b64encode(b"pixels").decode()}
        body = {"session": "loja", "chatId": CHAT, "file": file}
        assert (await shop.call("POST", "/api/sendImage", body))[0] == 201
        (echo,) = await shop.webhooks("message.any")
        async with shop.http.get(echo["payload"]["media"]["url"]) as response:
            assert (await response.read(), response.content_type) == (b"pixels", "image/png")

    async def test_file_that_cannot_be_fetched_fails(self, shop: Any) -> None:
        await shop.open()
        shop.waha.fetch_files = True
        file = FILE | {"url": "http://127.0.0.1:9/nothing"}
        body = {"session": "loja", "chatId": CHAT, "file": file}
        assert (await shop.call("POST", "/api/sendImage", body))[0] == 500
        assert not shop.waha.sent


class TestEchoAndAcks:
    @pytest.mark.parametrize(
        ("engine", "levels"), [("GOWS", [2, 3]), ("NOWEB", [1, 2, 3]), ("WEBJS", [1, 2, 3])]
    )
    async def test_acks_follow_the_engine(self, shop: Any, engine: Any, levels: Any) -> None:
        shop.waha.acks = "read"
        await shop.open(engine)
        await shop.send_text()
        acks = await shop.webhooks("message.ack", len(levels))
        assert sorted(ack["payload"]["ack"] for ack in acks) == levels
        (echo,) = await shop.webhooks("message.any")
        assert echo["payload"]["ack"] == (1 if engine == "GOWS" else 0)
        whole = {"body", "timestamp", "_data"} <= acks[0]["payload"].keys()
        assert whole is (engine == "WEBJS")
        await shop.waha.settled()

    async def test_no_acks_when_switched_off(self, shop: Any) -> None:
        shop.waha.acks = "none"
        await shop.open()
        await shop.send_text()
        await shop.webhooks("message.any")
        assert "message.ack" not in shop.receiver.by_type

    async def test_own_message_names_the_chat_as_the_engine_does(self, shop: Any) -> None:
        await shop.open("WEBJS")
        await shop.send_text()
        (echo,) = await shop.webhooks("message.any")
        assert (echo["payload"]["from"], echo["payload"]["to"]) == ("5511900000001@c.us", CHAT)

    async def test_group_is_acked_per_participant(self, shop: Any) -> None:
        await shop.open()
        group = "120363000000000001@g.us"
        await shop.waha.receive_text("loja", "5511988880001", "oi", group=group)
        await shop.send_text(chatId=group)
        (ack,) = await shop.webhooks("message.ack.group")
        assert ack["payload"]["participant"] == CHAT
        assert ack["payload"]["id"].endswith("_5511900000001@c.us")
        assert "message.ack" not in shop.receiver.by_type

    async def test_same_id_twice_is_one_message_counted_twice(self, shop: Any) -> None:
        await shop.open()
        for _ in range(2):
            assert (await shop.send_text(id="3EB0ABC"))[0] == 201
        await shop.webhooks("message.ack")
        assert shop.waha.sent["3EB0ABC"].times == 2
        assert shop.receiver.by_type["message.any"] == 1

    async def test_reply_quotes_the_message(self, shop: Any) -> None:
        await shop.open()
        asked = await shop.waha.receive_text("loja", "5511988880001", "Entregam?")
        await shop.send_text("Sim", reply_to=asked.full_id)
        echoes = await shop.webhooks("message.any", 2)
        (echo,) = (e for e in echoes if e["payload"]["fromMe"])
        assert echo["payload"]["replyTo"]["id"] == asked.bare_id
        assert echo["payload"]["replyTo"]["body"] == "Entregam?"


class TestRefusals:
    async def test_missing_fields_are_listed(self, shop: Any) -> None:
        await shop.open()
        status, body = await shop.call("POST", "/api/sendText", {"text": "Olá"})
        assert (status, body["error"]) == (400, "Bad Request")
        assert body["message"] == ["session must be a string", "chatId must be a string"]

    async def test_unknown_session(self, shop: Any) -> None:
        status, body = await shop.send_text(session="nada")
        assert status == 422
        assert body == {"error": 'Session "nada" does not exist', "session": "nada"}

    async def test_session_not_working(self, shop: Any) -> None:
        shop.waha.create_session("loja", start=False)
        status, body = await shop.send_text()
        assert (status, body["status"], body["expected"]) == (422, "STOPPED", ["WORKING"])

    async def test_waits_for_a_session_about_to_work(self, shop: Any) -> None:
        shop.waha.timing.time_scale = 1.0
        shop.waha.auto_scan = True
        shop.waha.create_session("loja")
        assert (await shop.send_text())[0] == 201

    @pytest.mark.parametrize("file", [None, FILE | {"data": "eA=="}, {"mimetype": "x/y"}])
    async def test_file_needs_exactly_one_source(self, shop: Any, file: Any) -> None:
        await shop.open()
        body = {"session": "loja", "chatId": CHAT, "file": file}
        assert (await shop.call("POST", "/api/sendImage", body))[0] == 400


class TestLimit:
    async def test_long_runs_keep_the_latest_only(self, shop: Any) -> None:
        await shop.open()
        shop.waha.limit = 2
        for number in range(4):
            await shop.send_text(id=f"N{number}")
        assert list(shop.waha.sent) == ["N2", "N3"]


class TestActions:
    async def test_seen_and_typing_are_recorded(self, shop: Any) -> None:
        await shop.open()
        for action in ("sendSeen", "startTyping", "stopTyping"):
            status, _ = await shop.call(
                "POST", f"/api/{action}", {"session": "loja", "chatId": CHAT}
            )
            assert status == 201
        assert [a[0] for a in shop.waha.actions] == ["sendSeen", "startTyping", "stopTyping"]

    async def test_a_rejected_call_is_told_of_by_every_engine(self, shop: Any) -> None:
        await shop.open(events=["session.status", "call.rejected"])
        body = {"from": CHAT, "id": "CALL7"}
        assert (await shop.call("POST", "/api/loja/calls/reject", body))[0] == 201
        assert list(shop.waha.actions) == [("rejectCall", "loja", f"{CHAT} CALL7")]
        (event,) = await shop.webhooks("call.rejected")
        assert event["payload"]["id"] == "CALL7"
        status, _ = await shop.call("POST", "/api/loja/calls/reject", {"from": CHAT})
        assert status == 400

    async def test_reaction_is_put_on_a_known_message(self, shop: Any) -> None:
        await shop.open(events=["session.status", "message.reaction"])
        asked = await shop.waha.receive_text("loja", "5511988880001", "Oi")
        body = {"session": "loja", "messageId": asked.full_id, "reaction": "👍"}
        assert (await shop.call("PUT", "/api/reaction", body))[0] == 200
        (event,) = await shop.webhooks("message.reaction")
        assert event["payload"]["reaction"] == {"text": "👍", "messageId": asked.full_id}
        status, body = await shop.call("PUT", "/api/reaction", body | {"messageId": "nothing"})
        assert (status, body["message"]) == (404, "Message not found")
