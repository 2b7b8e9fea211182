"""What people see of us beside messages: that they were read, that somebody types."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.outbound import channel_sender
from crm_channels_waha.presence.typing_signs import TypingSigns
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import CUSTOMER, Shop
from crm_testing.services import eventually
from service_kit.calls import Call
from service_kit.egress import Egress
from service_kit.service import Service
from shared_events import examples as told
from shared_events.channels.channel import UpdateChannel
from shared_events.channels.presence import ShowTyping, TypingState
from shared_events.channels.traffic import ChannelCallReported
from shared_events.messaging.conversation import ConversationRead
from shared_events.requests import Principal

ENGINES: list[Engine] = ["GOWS", "NOWEB", "WEBJS"]
GROUP = "120363000000000001@g.us"
OTHER = "5511977770002@c.us"


def read(shop: Shop, chat_id: str | None = CUSTOMER) -> ConversationRead:
    return ConversationRead(
        conversation_id=uuid4(),
        channel_id=shop.channel_id,
        chat_id=chat_id,
        read_seq=1,
        unread_count=0,
    )


def call(shop: Shop, call_id: str, **fields: Any) -> ChannelCallReported:
    example = told.load("channel.call_reported")["data"]
    channel = {**example["channel"], "id": shop.channel_id}
    now = {"status": "received", "happened_at": datetime.now(UTC), "chat_id": CUSTOMER}
    said = {**example, **now, "channel": channel, "call_id": call_id, **fields}
    return ChannelCallReported.model_validate(said)


async def until_shown(waha: WahaSimulator, *wanted: tuple[str, str, str]) -> None:
    async def shown() -> bool:
        return set(wanted) <= set(waha.actions)

    await eventually(shown)


class TestSeen:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_is_shown_where_the_channel_says_so(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        created = await company.connect(engine, send_seen=True)
        assert created == company.channel_id
        assert company.channel["send_seen"] is True
        await other_company.connect(engine, session="filial")
        await other_company.publish(read(other_company))
        for chat in (CUSTOMER, GROUP, None):
            await company.publish(read(company, chat))
        await until_shown(waha, ("sendSeen", "loja", CUSTOMER), ("sendSeen", "loja", GROUP))
        await company.value(UpdateChannel(channel_id=company.channel_id, send_seen=False))
        update = UpdateChannel(channel_id=other_company.channel_id, send_seen=True)
        await other_company.value(update)
        await company.publish(read(company, OTHER))
        await other_company.publish(read(other_company, OTHER))
        await until_shown(waha, ("sendSeen", "filial", OTHER))
        assert sorted(waha.actions) == [
            ("sendSeen", "filial", OTHER),
            ("sendSeen", "loja", GROUP),
            ("sendSeen", "loja", CUSTOMER),
        ]

    async def test_is_dropped_when_old_or_while_waha_is_away(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect(send_seen=True)
        old = company.envelope(read(company)).model_copy(
            update={"occurred_at": datetime.now(UTC) - timedelta(minutes=6)}
        )
        await company.outside.publish(old)
        waha.faults.add("error_before", times=1)
        await company.publish(read(company, GROUP))

        async def failed() -> bool:
            return waha.faults.struck.get("error_before") == 1

        await eventually(failed)
        await company.publish(read(company, OTHER))
        await until_shown(waha, ("sendSeen", "loja", OTHER))
        assert list(waha.actions) == [("sendSeen", "loja", OTHER)]

    async def test_waits_for_nobody_elses_waha(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect(send_seen=True)
        await other_company.connect(session="filial", send_seen=True)
        waha.faults.add("refuse", session="filial", seconds=12.0)
        for n in range(30):
            await other_company.publish(read(other_company, f"55119666600{n:02}@c.us"))

        async def hangs() -> bool:
            return "refuse" in waha.faults.struck

        await eventually(hangs)
        await company.publish(read(company))
        await until_shown(waha, ("sendSeen", "loja", CUSTOMER))
        assert waha.faults.struck["refuse"] < 5


class TestCalls:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_are_rejected_where_the_channel_says_so(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine, reject_calls=True)
        await other_company.connect(engine, session="filial")
        await waha.call("filial", "5511977770002", call_id="RINGS")
        await waha.call("loja", "5511988880001", call_id="FIRST")
        await until_shown(waha, ("rejectCall", "loja", f"{CUSTOMER} FIRST"))
        await company.until_told("channel.call_reported")
        await company.value(UpdateChannel(channel_id=company.channel_id, reject_calls=False))
        update = UpdateChannel(channel_id=other_company.channel_id, reject_calls=True)
        await other_company.value(update)
        await waha.call("loja", "5511988880001", call_id="SECOND")
        await waha.call("filial", "5511977770002", call_id="THIRD")
        await until_shown(waha, ("rejectCall", "filial", f"{OTHER} THIRD"))
        assert [what for action, _, what in waha.actions if action == "rejectCall"] == [
            f"{CUSTOMER} FIRST",
            f"{OTHER} THIRD",
        ]

    async def test_are_left_alone_when_they_are_over_or_long_ago(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect(reject_calls=True)
        await company.publish(call(company, "OVER", status="rejected"))
        await company.publish(
            call(company, "LATE", happened_at=datetime.now(UTC) - timedelta(minutes=2))
        )
        await company.publish(call(company, "RINGS"))
        await until_shown(waha, ("rejectCall", "loja", f"{CUSTOMER} RINGS"))
        assert list(waha.actions) == [("rejectCall", "loja", f"{CUSTOMER} RINGS")]


class TestTypingFirst:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_is_shown_before_texts_where_the_channel_says_so(
        self, company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine, simulate_typing=True)
        await other_company.connect(engine, session="filial")
        await other_company.until_state(await other_company.write("oi"), "sent")
        waha.faults.add("error_before", times=1)  # typing itself cannot be shown: sent all the same
        await company.until_state(await company.write("um"), "sent")
        assert list(waha.actions) == []
        await company.until_state(await company.write("dois"), "sent")
        assert list(waha.actions) == [
            ("startTyping", "loja", CUSTOMER),
            ("stopTyping", "loja", CUSTOMER),
        ]

    async def test_leaves_time_to_cancel(
        self, company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun, enough = asyncio.Event(), asyncio.Event()

        async def type_on(*_: object) -> None:
            begun.set()
            await enough.wait()

        monkeypatch.setattr(channel_sender, "type_first", type_on)
        await company.connect(simulate_typing=True)
        never = await company.write("nunca")
        await begun.wait()
        await company.change("revoke", never)
        (told,) = await company.until_told("channel.message_failed")
        assert (told["message_id"], told["code"]) == (str(never), "cancelled")
        enough.set()
        await company.until_state(await company.write("depois"), "sent")
        assert [message.text for message in waha.sent.values()] == ["depois"]


class TestTyping:
    @pytest.mark.parametrize("engine", ENGINES)
    async def test_is_shown_once_in_a_while_in_each_chat(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        for chat in (CUSTOMER, CUSTOMER, GROUP):
            await company.value(typing(company, chat))
        for _ in range(2):
            await company.value(typing(company, CUSTOMER, "paused"))
        assert list(waha.actions) == [
            ("startTyping", "loja", CUSTOMER),
            ("startTyping", "loja", GROUP),
            ("stopTyping", "loja", CUSTOMER),
        ]

    async def test_is_shown_again_when_its_time_is_over(
        self, company: Shop, waha: WahaSimulator, signs: TypingSigns
    ) -> None:
        await company.connect()
        call = Call(Principal(tenant_id=company.id), "request-1", None)
        for _ in range(3):
            await signs.show(typing(company), call)
        assert list(waha.actions) == [("startTyping", "loja", CUSTOMER)] * 3

    async def test_is_dropped_while_waha_is_away(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        waha.timing.working_wait = 0.0
        waha.stop_session(waha.session("loja"))
        await company.value(typing(company))
        await company.until_status("stopped")
        waha.start_session(waha.session("loja"))
        await company.until_status("connected")
        await company.value(typing(company, OTHER))
        assert list(waha.actions) == [("startTyping", "loja", OTHER)]

    async def test_of_another_company_is_no_channel(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        assert await other_company.refusal(typing(company)) == ("not_found", "channel_not_found")
        assert list(waha.actions) == []


def typing(shop: Shop, chat_id: str = CUSTOMER, state: TypingState = "typing") -> ShowTyping:
    return ShowTyping(channel_id=shop.channel_id, chat_id=chat_id, state=state)


@pytest.fixture
async def signs(service: Service, settings: ChannelsSettings) -> AsyncIterator[TypingSigns]:
    """Signs whose time is over at once."""
    http = WahaHttp(Egress.by_setting(None, is_production=False))
    yield TypingSigns(service.database, Connections(settings, http), 0.0)
    await http.aclose()
