"""Every outcome of a send, on a real database and broker and a WAHA that misbehaves on request."""

import asyncio
from typing import Any

import httpx
import pytest
from crm_channels_waha.waha.answers import Answer, Verdict, judge
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.faults import FaultKind
from crm_fakes.waha.messages import Engine, Message
from crm_testing.scenes.channels import CUSTOMER, Shop
from crm_testing.services import eventually
from shared_events.channels.channel import DeleteChannel, DriveChannel, UpdateChannel, WahaSettings
from shared_events.identity import conversation_id
from shared_events.messaging.message import ContentType

JUDGE = "crm_channels_waha.waha.client.judge"
ENGINES: list[Engine] = ["GOWS", "NOWEB", "WEBJS"]


def sent_texts(waha: WahaSimulator, chat: str = CUSTOMER) -> list[str | None]:
    return [m.text for m in waha.sent.values() if m.chat == chat]


def sends(waha: WahaSimulator) -> int:
    return sum(m.times for m in waha.sent.values())


class TestAccepted:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_text_is_sent_once_and_told_once(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        message_id = await company.write("Bom dia!", times=3)
        row = await company.until_state(message_id, "sent")
        await waha.settled()
        (told,) = await company.until_told("channel.message_sent")
        assert sent_texts(waha) == ["Bom dia!"]
        assert sends(waha) == 1
        assert told["message_id"] == str(message_id)
        assert told["external_id"] == row["external_id"] == next(iter(waha.sent))

    async def test_echo_is_no_new_message(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        await company.until_state(await company.write(), "sent")
        await waha.receive_text("loja", "5511988880001", "depois")
        await company.until_told("channel.message_received")
        heard = await company.told("channel.message_received")
        assert [m["content"] for m in heard] == ["depois"]

    @pytest.mark.parametrize("engine", ENGINES)
    async def test_echo_before_the_answer_settles_it_once(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        waha.timing.send = 0.3
        message_id = await company.write("eco primeiro")
        row = await company.until_state(message_id, "sent")
        assert row["external_id"] in waha.sent
        await company.until_state(await company.write("depois"), "sent")
        assert len(await company.told("channel.message_sent")) == 2
        assert await company.told("channel.message_received") == []

    @pytest.mark.parametrize(
        ("content_type", "kind"),
        [
            ("image", "image"),
            ("document", "document"),
            ("voice", "voice"),
            ("video", "video"),
            ("audio", "document"),
        ],
    )
    async def test_media_is_sent_by_url(
        self, company: Shop, waha: WahaSimulator, content_type: ContentType, kind: str
    ) -> None:
        await company.connect()
        message_id = await company.write(
            "legenda",
            content_type=content_type,
            media_url="https://files.test/a.bin",
        )
        await company.until_state(message_id, "sent")
        (message,) = waha.sent.values()
        assert (message.kind, message.text) == (kind, None if kind == "voice" else "legenda")

    async def test_event_carries_the_request_that_caused_it(self, company: Shop) -> None:
        await company.connect()
        await company.until_state(await company.write(), "sent")
        (told,) = await company.outbox("channel.message_sent")
        assert told["aggregate_id"] == conversation_id(company.channel_id, CUSTOMER)
        assert told["correlation_id"] in ("req-told", "req-ingress")

    async def test_reply_quotes(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect("WEBJS")
        heard = await waha.receive_text("loja", "5511988880001", "pergunta")
        message_id = await company.write("resposta", reply_to=heard.bare_id)
        await company.until_state(message_id, "sent")
        (message,) = waha.sent.values()
        assert message.reply_to is not None
        assert message.reply_to.bare_id == heard.bare_id


class TestOrder:
    async def test_messages_of_a_chat_go_out_in_order(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        texts = [f"mensagem {n}" for n in range(30)]
        for text in texts:
            last = await company.write(text)
        await company.until_state(last, "sent")
        assert sent_texts(waha) == texts

    async def test_a_waiting_message_holds_back_its_own_chat_alone(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.faults.add("error_after_accept", times=1)
        waha.echo = False
        await company.write("primeira")
        second = await company.write("segunda")
        await company.write("outra", to="5511977770002@c.us")
        await company.until_state(second, "sent")
        assert [message.text for message in waha.sent.values()] == ["primeira", "outra", "segunda"]


class TestNothingWasSent:
    async def test_waits_while_the_session_recovers(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.faults.add("refuse", times=3)
        message_id = await company.write()
        row = await company.until_state(message_id, "sent")
        assert row["attempts"] == 4
        assert sends(waha) == 1

    async def test_waits_while_waha_is_away(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        await waha.stop()
        message_id = await company.write()

        async def has_waited() -> bool:
            row = await company.ledger(message_id)
            return bool(row) and row["next_attempt_at"] is not None and row["state"] == "pending"

        await eventually(has_waited)
        await waha.start()
        await company.until_state(message_id, "sent")
        assert sends(waha) == 1


class TestUnknown:
    """5xx, timeouts and resets after the request was written."""

    @pytest.mark.parametrize("engine", ENGINES)
    @pytest.mark.parametrize("fault", ["error_after_accept", "timeout_after_accept"])
    async def test_echo_settles_what_the_answer_did_not(
        self, company: Shop, waha: WahaSimulator, engine: Engine, fault: FaultKind
    ) -> None:
        await company.connect(engine)
        waha.faults.add(fault, times=1)
        message_id = await company.write()
        row = await company.until_state(message_id, "sent")
        assert row["external_id"] in waha.sent
        assert sends(waha) == 1
        assert len(await company.told("channel.message_sent")) == 1

    @pytest.mark.parametrize("engine", ENGINES)
    async def test_without_echo_waha_is_asked(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        waha.echo = False
        waha.faults.add("error_after_accept", times=1)
        message_id = await company.write()
        row = await company.until_state(message_id, "sent")
        assert row["external_id"] in waha.sent
        assert sends(waha) == 1

    async def test_picture_without_echo_is_searched_for(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("GOWS")
        waha.echo = False
        await waha.sent_from_phone("loja", "5511988880001", "legenda")
        waha.faults.add("error_after_accept", times=1)
        message_id = await company.write(
            "legenda", content_type="image", media_url="https://files.test/a.jpg"
        )
        row = await company.until_state(message_id, "sent")
        assert row["external_id"] in waha.sent
        assert sends(waha) == 1

    async def test_proven_loss_is_sent_again_under_the_same_id(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("GOWS")
        waha.faults.add("error_before", times=1)
        message_id = await company.write()
        unknown = await company.until_state(message_id, "unknown")
        row = await company.until_state(message_id, "sent")
        assert (row["attempts"], row["failures"]) == (2, 1)
        assert row["external_id"] == unknown["external_id"]
        assert sends(waha) == 1

    async def test_waha_that_always_fails_is_given_up(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("GOWS")
        waha.faults.add("error_before", times=3)
        message_id = await company.write()
        await company.until_state(message_id, "failed")
        (told,) = await company.told("channel.message_failed")
        assert (told["code"], told["reason"]) == (
            "waha_failed",
            "WAHA answered 500: rate-overlimit",
        )
        await company.until_state(await company.write("agora sim"), "sent")

    async def test_without_proof_it_is_never_sent_again(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("WEBJS")
        waha.faults.add("error_before", times=1)
        message_id = await company.write()
        await company.until_state(message_id, "failed")
        (told,) = await company.told("channel.message_failed")
        assert told["code"] == "outcome_unknown"
        assert sends(waha) == 0

    async def test_fault_of_ours_after_the_request_left_is_an_unknown_outcome(
        self, company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await company.connect()

        def fails(answer: Answer) -> Verdict:
            monkeypatch.setattr(JUDGE, judge)
            raise KeyError("a fault of ours")

        monkeypatch.setattr(JUDGE, fails)
        message_id = await company.write("uma vez só")
        await company.until_state(message_id, "sent")
        assert sends(waha) == 1
        assert await company.told("channel.message_failed") == []

    async def test_late_echo_corrects_a_message_given_up(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("WEBJS")
        waha.timing.echo = 2.0
        waha.faults.add("error_after_accept", times=1)
        waha.session("loja").messages = Forgetful()
        message_id = await company.write()
        await company.until_state(message_id, "failed")
        row = await company.until_state(message_id, "sent")
        assert row["external_id"] in waha.sent
        assert sends(waha) == 1


class Forgetful(dict[str, Message]):
    """A history that shows nothing."""

    def values(self) -> Any:
        return []


class TestHopeless:
    async def test_unknown_session_fails(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        del waha.sessions["loja"]
        message_id = await company.write()
        await company.until_state(message_id, "failed")
        (told,) = await company.told("channel.message_failed")
        assert told["code"] == "waha_rejected"
        assert told["message_id"] == str(message_id)

    async def test_unsupported_content_fails(self, company: Shop) -> None:
        await company.connect()
        message_id = await company.write(None, content_type="sticker")
        await company.until_state(message_id, "failed")
        (told,) = await company.told("channel.message_failed")
        assert told["code"] == "unsupported_content"

    async def test_deleted_channel_fails_what_it_owes(self, company: Shop) -> None:
        await company.connect()
        await company.value(DeleteChannel(channel_id=company.channel_id))
        message_id = await company.write()
        await company.until_state(message_id, "failed")
        (told,) = await company.told("channel.message_failed")
        assert told["code"] == "channel_gone"


class TestRefusedKey:
    async def test_fails_degrades_and_holds_the_rest_until_the_key_works(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.api_key = "another"
        waha.timing.send = 0.1
        refused = await company.write("recusada")
        held = [await company.write(f"antes {n}", to=f"551198888000{n}@c.us") for n in range(2)]
        await company.until_state(refused, "failed")
        row = await company.until_status("degraded")
        assert row["status_reason"] == "waha_key_refused"
        (told,) = await company.told("channel.message_failed")
        assert told["code"] == "waha_key_refused"
        held += [await company.write(f"depois {n}") for n in range(2)]
        await asyncio.gather(*(company.until_state(m, "pending") for m in held))
        waha.api_key = "waha-key"
        for message_id in held:
            await company.until_state(message_id, "sent")
        await company.until_status("connected")
        assert sorted(m.text or "" for m in waha.sent.values()) == [
            "antes 0",
            "antes 1",
            "depois 0",
            "depois 1",
        ]

    async def test_key_nobody_can_open_holds_the_rest_until_it_is_given_again(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await company.rows("UPDATE channels SET waha_api_key_encrypted = 'broken'")
        await company.until_state(await company.write("recusada"), "failed")
        start = DriveChannel(channel_id=company.channel_id, action="start")
        assert await company.refusal(start) == ("conflict", "waha_refused")
        held = await company.write("depois")
        await company.until_state(held, "pending")
        given = WahaSettings(base_url=waha.url, api_key="waha-key", session="loja")
        await company.value(UpdateChannel(channel_id=company.channel_id, waha=given))
        await company.until_state(held, "sent")
        assert sent_texts(waha) == ["depois"]


class TestOtherProgram:
    async def test_api_send_of_somebody_else_is_a_new_message(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        async with httpx.AsyncClient(headers={"X-Api-Key": "waha-key"}) as http:
            body = {"session": "loja", "chatId": CUSTOMER, "text": "de outro programa"}
            await http.post(f"{waha.url}/api/sendText", json=body)
        (heard,) = await company.until_told("channel.message_received")
        assert (heard["direction"], heard["origin"]) == ("outbound", "api")

    async def test_own_phone_is_a_new_message(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        await waha.sent_from_phone("loja", "5511988880001", "do celular")
        (heard,) = await company.until_told("channel.message_received")
        assert (heard["direction"], heard["origin"]) == ("outbound", "phone")


class TestStopped:
    async def test_waits_until_the_channel_is_started_again(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await company.value(DriveChannel(channel_id=company.channel_id, action="stop"))
        await company.until_status("stopped")
        message_id = await company.write()
        await company.until_state(message_id, "pending")
        await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
        await company.until_state(message_id, "sent")
        assert sends(waha) == 1
