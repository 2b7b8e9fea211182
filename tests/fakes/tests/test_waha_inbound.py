from typing import Any

import pytest
from crm_fakes import examples
from crm_fakes.waha import Engine

PERSON = "5511988880001"
VCARD = (
    "BEGIN:VCARD\nVERSION:3.0\nFN:Oficina do Zé\n"
    "TEL;type=CELL;waid=5519955550004:+55 19 95555-0004\nEND:VCARD"
)
# Each example and the call that makes the same message happen.
REBUILT: dict[str, tuple[str, dict[str, Any]]] = {
    "text_inbound_dm_gows": (
        "receive_text",
        {"from_phone": PERSON, "text": "Oi! Vocês entregam em Campinas?"},
    ),
    "text_inbound_lid_gows_with_phone_alt": (
        "receive_text",
        {
            "from_phone": "5521977770002",
            "lid": "72318944542853",
            "text": "Bom dia, quero um orçamento",
            "push_name": "João P.",
        },
    ),
    "text_inbound_lid_webjs_phone_unknown": (
        "receive_text",
        {
            "from_phone": None,
            "lid": "245896994390182@lid",
            "text": "Vi o anúncio de vocês",
            "push_name": "Carla",
        },
    ),
    "group_message_inbound_lid_participant_gows": (
        "receive_text",
        {
            "from_phone": "5521977770002",
            "lid": "72318944542853",
            "group": "120363000000000001@g.us",
            "text": "Pessoal, reunião às 15h",
            "push_name": "João P.",
        },
    ),
    "image_inbound_with_caption_webjs": (
        "receive_image",
        {"from_phone": PERSON, "caption": "Chegou assim, amassado"},
    ),
    "voice_ptt_inbound_noweb": ("receive_voice", {"from_phone": PERSON}),
    "document_inbound_noweb": (
        "receive_document",
        {
            "from_phone": PERSON,
            "filename": "comprovante pix.pdf",
            "caption": "segue o comprovante",
        },
    ),
    "contact_vcard_inbound_noweb": ("receive_vcard", {"from_phone": PERSON, "vcard": VCARD}),
}


class TestFaithfulness:
    @pytest.mark.parametrize("name", REBUILT)
    async def test_rebuilds_the_example(self, shop: Any, name: str) -> None:
        example = examples.by_name(name)
        wanted = example.body["payload"]
        await shop.open(example.body["engine"])
        method, arguments = REBUILT[name]
        await getattr(shop.waha, method)(
            "loja",
            **arguments,
            bare_id=wanted["id"].split("_")[2],
            timestamp=wanted["timestamp"],
        )
        (envelope,) = await shop.webhooks("message.any")
        assert list(envelope) == list(example.body)
        assert envelope["me"] == example.body["me"]
        assert envelope["environment"] == example.body["environment"]
        got = envelope["payload"]
        if wanted["media"]:
            url = wanted["media"]["url"].replace("https://waha.example.com", shop.waha.url)
            wanted = wanted | {"media": wanted["media"] | {"url": url.replace("-exemplo", "")}}
        assert list(got) == list(wanted)
        assert {k: v for k, v in got.items() if k != "_data"} == {
            k: v for k, v in wanted.items() if k != "_data"
        }
        assert wanted["_data"].keys() <= got["_data"].keys()
        if "Info" in wanted["_data"]:
            assert got["_data"]["Info"] == wanted["_data"]["Info"]

    async def test_location_on_webjs_has_a_thumbnail_for_a_body(self, shop: Any) -> None:
        await shop.open("WEBJS")
        await shop.waha.receive_location("loja", PERSON, -22.90556, -47.06083, "Praça")
        (envelope,) = await shop.webhooks("message.any")
        wanted = examples.by_name("location_inbound_webjs").body["payload"]
        assert list(envelope["payload"]) == list(wanted)
        assert envelope["payload"]["body"] == wanted["body"]
        assert envelope["payload"]["location"]["latitude"] == "-22.90556"

    async def test_noweb_shows_the_phone_behind_a_lid(self, shop: Any) -> None:
        await shop.open("NOWEB")
        await shop.waha.receive_text("loja", PERSON, "oi", lid="777")
        (envelope,) = await shop.webhooks("message.any")
        key = envelope["payload"]["_data"]["key"]
        assert (key["remoteJid"], key["remoteJidAlt"]) == ("777@lid", f"{PERSON}@s.whatsapp.net")

    async def test_sent_from_phone_is_an_own_message_of_the_app(self, shop: Any) -> None:
        await shop.open("WEBJS")
        message = await shop.waha.sent_from_phone("loja", PERSON, "Respondi pelo celular")
        (envelope,) = await shop.webhooks("message.any")
        wanted = examples.by_name("message_any_sent_from_phone_webjs").body["payload"]
        got = envelope["payload"]
        assert got.keys() == wanted.keys()
        assert (got["source"], got["ack"], got["fromMe"]) == ("app", 1, True)
        assert message.bare_id not in shop.waha.sent

    async def test_ack_takes_a_name_and_an_error(self, shop: Any) -> None:
        await shop.open("NOWEB")
        shop.waha.acks = "none"
        await shop.send_text(id="3EB0")
        await shop.waha.ack("loja", "3EB0", "ERROR", error={"code": "463"})
        (envelope,) = await shop.webhooks("message.ack")
        wanted = examples.by_name("ack_error_noweb").body["payload"]
        assert list(envelope["payload"]) == list(wanted)
        assert envelope["payload"]["error"] == {"code": "463"}

    @pytest.mark.parametrize("name", ["ack_device_gows", "ack_server_noweb", "ack_pending_webjs"])
    async def test_ack_has_the_shape_of_the_example(self, shop: Any, name: str) -> None:
        example = examples.by_name(name)
        wanted = example.body["payload"]
        await shop.open(example.body["engine"])
        shop.waha.acks = "none"
        await shop.send_text()
        (bare_id,) = shop.waha.sent
        await shop.waha.ack("loja", bare_id, wanted["ack"])
        (envelope,) = await shop.webhooks("message.ack")
        assert list(envelope["payload"]) == list(wanted)


class TestWhichEventsArePosted:
    async def test_only_those_subscribed(self, shop: Any) -> None:
        await shop.open(events=["session.status", "message"])
        await shop.waha.receive_text("loja", PERSON, "oi")
        await shop.waha.settled()
        assert shop.receiver.by_type["message"] == 1
        assert shop.receiver.by_type["message.any"] == 0

    async def test_named_events_are_forced(self, shop: Any) -> None:
        await shop.open()
        await shop.waha.receive_text("loja", PERSON, "oi", events=("message", "message.any"))
        ((first,), (second,)) = (
            await shop.webhooks("message"),
            await shop.webhooks("message.any"),
        )
        assert first["payload"] == second["payload"]
        assert first["id"] != second["id"]

    async def test_star_is_everything(self, shop: Any) -> None:
        await shop.open(events=["*"])
        await shop.waha.receive_text("loja", PERSON, "oi")
        await shop.waha.settled()
        assert shop.receiver.by_type["message"] == shop.receiver.by_type["message.any"] == 1

    async def test_ignored_chats_are_not_told(self, shop: Any) -> None:
        session = await shop.open()
        session.config["ignore"] = {"groups": True, "status": True}
        await shop.waha.receive_text("loja", PERSON, "oi", group="1203@g.us")
        await shop.waha.receive_text("loja", PERSON, "oi", group="status@broadcast")
        assert shop.receiver.by_type["message.any"] == 0
        await shop.waha.receive_text("loja", PERSON, "oi")
        assert len(await shop.webhooks("message.any")) == 1

    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_what_the_phone_writes_into_a_group_shows_us(
        self, shop: Any, engine: Engine
    ) -> None:
        session = await shop.open(engine=engine)
        await shop.waha.sent_from_phone("loja", "1203@g.us", "Bom dia, turma")
        (told,) = await shop.webhooks("message.any")
        payload = told["payload"]
        head, chat, _, author = payload["id"].split("_")
        assert (head, chat, author) == ("true", "1203@g.us", session.me_id)
        assert (payload["participant"], payload["source"]) == (session.me_id, "app")

    async def test_nothing_while_stopped_but_the_history_has_it(self, shop: Any) -> None:
        session = await shop.open()
        shop.waha.stop_session(session)
        message = await shop.waha.receive_text("loja", PERSON, "alguém aí?")
        await shop.waha.settled()
        assert shop.receiver.by_type["message.any"] == 0
        _, found = await shop.call("GET", f"/api/loja/chats/{PERSON}%40c.us/messages")
        assert [m["id"] for m in found] == [message.full_id]


class TestExamples:
    @pytest.mark.parametrize("example", examples.load(), ids=lambda e: str(e.name))
    async def test_any_can_be_posted(self, shop: Any, example: examples.Example) -> None:
        await shop.open(name="loja-exemplo", hmac={"key": examples.EXAMPLES_KEY})
        (delivery,) = await shop.waha.post_example(example.name)
        await shop.waha.settled([delivery])
        assert delivery.state == "accepted"
        headers = example.headers
        assert delivery.headers["X-Webhook-Hmac"] == headers["X-Webhook-Hmac"]
        assert delivery.headers.keys() == headers.keys()
