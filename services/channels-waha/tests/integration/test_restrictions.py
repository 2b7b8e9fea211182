"""WhatsApp restricts an account: it writes to nobody new for a while, and answers all the same."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.restrictions import Restrictions
from crm_channels_waha.outbound import channel_sender
from crm_channels_waha.outbound.stalled import StallAlarm
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.http import WahaHttp
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.messages import Engine
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from prometheus_client import REGISTRY
from service_kit.egress import Egress
from shared_events.channels.channel import (
    DriveChannel,
    GetChannel,
    GetChannelHealth,
    UpdateChannel,
    WahaSettings,
)
from shared_events.channels.journey import ListChannelLegs

MARIA = "5511988880001"
STRANGER = "5511977770002@c.us"
AN_HOUR = 3600.0
REASON = "RESTRICT_ALL_COMPANIONS"


async def restriction(shop: Shop) -> dict[str, Any] | None:
    found: dict[str, Any] | None
    found = (await shop.value(GetChannel(channel_id=shop.channel_id)))["restriction"]
    return found


async def until_restricted(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = await eventually(lambda: restriction(shop))
    return found


async def until_free(shop: Shop) -> None:
    async def free() -> bool:
        return await restriction(shop) is None

    await eventually(free)


def texts(waha: WahaSimulator, session: str = "loja") -> list[str | None]:
    return [message.text for message in waha.sent.values() if message.session == session]


def pause(found: dict[str, Any]) -> timedelta:
    since, until = (datetime.fromisoformat(found[name]) for name in ("since", "until"))
    return until - since


async def end(shop: Shop, before: timedelta = timedelta(0)) -> None:
    """Let a restriction have ended so long ago."""
    async with shop.database.tenant(shop.id) as tx:
        await tx.execute(
            "UPDATE channels SET restricted_since = restricted_since - (restricted_until - $2),"
            " restricted_until = $2 WHERE id = $1",
            shop.channel_id,
            datetime.now(UTC) - before,
        )


@pytest.fixture
def restrictions(settings: ChannelsSettings) -> Restrictions:
    return Restrictions(Connections(settings, WahaHttp(Egress())).resource)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders that look again only when they are told to, or when something is due."""
    monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("patient")
class TestTold:
    async def test_it_is_shown_and_holds_what_is_new_until_it_is_lifted(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await waha.receive_text("loja", MARIA, "oi")
        ends = float(int(time.time() + AN_HOUR))
        await waha.restrict("loja", until=ends)
        shown = await until_restricted(company)
        assert shown["reason"] == REASON
        assert datetime.fromisoformat(shown["until"]).timestamp() == ends
        health = await company.value(GetChannelHealth(channel_id=company.channel_id))
        assert health["restriction"] == shown
        assert health["hold"] == {"reason": "restriction", "until": shown["until"]}
        assert health["status"] == "connected"
        (told,) = await company.until_told("channel.restricted")
        assert told["channel"]["restriction"] == shown

        bulk = await company.write("novidade", bulk=True)
        new = await company.write("conhece?", to=STRANGER, proved=False)
        await company.until_state(await company.write("resposta"), "sent")
        assert texts(waha) == ["resposta"]
        for message_id in (bulk, new):
            assert (await company.ledger(message_id))["state"] == "pending"
            assert await waits_for(company, message_id) == ("restriction", shown["until"])
        await StallAlarm(company.database, 0.0).once()
        labels = {"channel": str(company.channel_id), "state": "pending"}
        assert REGISTRY.get_sample_value("crm_waha_stalled_messages", labels) is None

        await waha.restrict("loja", is_active=False)
        for message_id in (bulk, new):
            await company.until_state(message_id, "sent")
        assert texts(waha) == ["resposta", "conhece?", "novidade"]
        (lifted,) = await company.until_told("channel.restriction_lifted")
        assert lifted["channel"]["restriction"] is None

    async def test_it_is_told_again_only_with_another_end(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        ends = float(int(time.time() + AN_HOUR))
        for until in (ends, ends, ends + 60):
            await waha.restrict("loja", until=until)
            await waha.settled()
        told = await company.until_told("channel.restricted", 2)
        untils = [one["channel"]["restriction"]["until"] for one in told]
        assert [datetime.fromisoformat(one).timestamp() for one in untils] == [ends, ends + 60]
        since = {one["channel"]["restriction"]["since"] for one in told}
        assert len(since) == 1

    async def test_another_company_goes_on(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await other_company.connect(session="outra")
        await waha.restrict("loja", until=time.time() + AN_HOUR)
        await until_restricted(company)
        await company.write(bulk=True)
        for n in range(5):
            sent = await other_company.write(f"{n}", to=f"551197777000{n}@c.us", bulk=True)
            await other_company.until_state(sent, "sent")
        assert len(texts(waha, "outra")) == 5
        assert await restriction(other_company) is None
        assert texts(waha) == []

    async def test_a_start_asks_for_it(self, company: Shop, waha: WahaSimulator) -> None:
        """What was told while we were away stands in the session's `me`."""
        await company.connect()
        session = waha.session("loja")
        session.config, kept = {**session.config, "webhooks": []}, session.config
        await waha.restrict("loja", until=time.time() + AN_HOUR)
        session.config = kept
        assert await restriction(company) is None
        shown = await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
        assert shown["restriction"]["reason"] == REASON

    async def test_another_number_has_none(self, company: Shop, waha: WahaSimulator) -> None:
        await company.connect()
        await waha.restrict("loja", until=time.time() + AN_HOUR)
        await until_restricted(company)
        settings = WahaSettings(base_url=waha.url, api_key="waha-key", session="nova")
        changed = await company.value(UpdateChannel(channel_id=company.channel_id, waha=settings))
        assert changed["restriction"] is None

    async def test_another_number_in_the_session_has_none(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await waha.restrict("loja", until=time.time() + AN_HOUR)
        await until_restricted(company)
        session = waha.session("loja")
        session.timelock = None
        session.phone = "5511900000009"
        waha.enter(session, "WORKING")
        await until_free(company)
        assert len(await company.told("channel.restriction_lifted")) == 1


class TestEnd:
    async def test_it_lifts_by_itself_and_is_told_once(
        self, company: Shop, waha: WahaSimulator, restrictions: Restrictions
    ) -> None:
        await company.connect()
        await waha.restrict("loja", until=time.time() + AN_HOUR)
        await until_restricted(company)
        held = await company.write(bulk=True)
        await company.until_state(held, "pending")
        await restrictions.lift_ended(company.database)
        assert await company.told("channel.restriction_lifted") == []
        session = waha.session("loja")
        session.timelock = None
        await end(company)
        for _ in range(2):
            await restrictions.lift_ended(company.database)
        await company.until_state(held, "sent")
        assert len(await company.told("channel.restriction_lifted")) == 1
        assert texts(waha) == ["Oi!"]


class TestSeenByMessages:
    """Builds that tell of no restriction: what becomes of messages does."""

    @pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
    async def test_it_is_held_after_the_first_that_whatsapp_does_not_take(
        self, company: Shop, waha: WahaSimulator, engine: Engine
    ) -> None:
        await company.connect(engine)
        await waha.receive_text("loja", MARIA, "oi")
        await waha.restrict("loja", tells=False)
        first = await company.write("um", to=STRANGER, bulk=True)
        shown = await until_restricted(company)
        assert (shown["reason"], pause(shown)) == ("account_restricted", timedelta(hours=1))
        rest = [
            await company.write(f"{n}", to=f"551196666{n:04}@c.us", bulk=True) for n in range(9)
        ]
        await company.until_state(await company.write("resposta"), "sent")
        assert {(await company.ledger(one))["state"] for one in rest} == {"pending"}
        assert texts(waha) == ["resposta"]
        if engine == "GOWS":  # proven not to be there: it waits with the others
            assert (await company.until_state(first, "pending"))["failures"] == 1
        assert len(await company.told("channel.restricted")) == 1

    async def test_the_end_that_an_ack_names_counts(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("NOWEB")
        ends = float(int(time.time() + 2 * AN_HOUR))
        await waha.restrict("loja", until=ends, tells=False)
        await company.write(to=STRANGER, bulk=True)
        shown = await until_restricted(company)
        assert datetime.fromisoformat(shown["until"]).timestamp() == ends
        assert shown["reason"] == REASON

    async def test_another_failure_restricts_nothing(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.faults.add("error_before", times=1)
        sent = await company.write(bulk=True)
        await company.until_state(sent, "sent")
        row = await company.ledger(sent)
        await waha.ack("loja", row["external_id"], "ERROR", error={"code": "470"})
        await company.until_told("channel.message_status_reported")
        assert await restriction(company) is None

    async def test_pauses_grow_while_nobody_names_an_end(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("NOWEB")
        await waha.restrict("loja", tells=False)
        pauses = []
        for n in range(7):
            await company.write(to=f"551195555000{n}@c.us", bulk=True)
            shown = await until_restricted(company)
            pauses.append(round(pause(shown) / timedelta(hours=1)))
            async with company.database.tenant(company.id) as tx:  # as long as it was, and over
                await tx.execute(
                    "UPDATE channels SET restricted_since = restricted_since"
                    " - (restricted_until - now()), restricted_until = now() WHERE id = $1",
                    company.channel_id,
                )
        assert pauses == [1, 2, 4, 8, 16, 24, 24]
        await end(company, before=timedelta(days=1, minutes=1))
        await company.write(to="5511955550009@c.us", bulk=True)
        assert pause(await until_restricted(company)) == timedelta(hours=1)

    async def test_what_was_told_before_it_was_lifted_is_no_news(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect("NOWEB")
        await waha.restrict("loja", tells=False)
        message_id = await company.write(to=STRANGER, bulk=True)
        await until_restricted(company)
        await waha.restrict("loja", is_active=False)
        await until_free(company)
        late = next(d for d in waha.deliveries if d.event == "message.ack").body
        await company.hears("message.ack", late.replace(b"evt_", b"evt_again"))
        assert await restriction(company) is None
        assert (await company.ledger(message_id))["state"] == "sent"


async def test_two_replicas_hold_and_tell_it_once(two_replicas: Shop, waha: WahaSimulator) -> None:
    company = two_replicas
    await company.connect()
    await waha.restrict("loja", until=time.time() + AN_HOUR)
    await until_restricted(company)
    held = [await company.write(f"{n}", bulk=True) for n in range(10)]
    await company.until_state(held[-1], "pending")
    waha.session("loja").timelock = None
    await end(company)
    await company.until_told("channel.restriction_lifted")
    for message_id in held:
        await company.until_state(message_id, "sent")
    assert len(await company.told("channel.restriction_lifted")) == 1
    assert texts(waha) == [f"{n}" for n in range(10)]
    assert {message.times for message in waha.sent.values()} == {1}


async def waits_for(shop: Shop, message_id: UUID) -> tuple[str, str] | None:
    """What the journey of a message says that it waits for, and until when."""
    (leg,) = (await shop.value(ListChannelLegs(message_ids=[message_id])))["data"]
    wait = leg["waiting_for"]
    return None if wait is None else (wait["what"], wait["next_at"])
