"""What is sent in bulk waits in quiet hours; what people write does not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.outbound import channel_sender, ledger
from crm_channels_waha.outbound.holding import Hold, Holds
from crm_channels_waha.outbound.stalled import StallAlarm
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Shop
from prometheus_client import REGISTRY
from pydantic import ValidationError
from shared_events.channels.channel import (
    DeleteChannel,
    GetChannelHealth,
    QuietHoursSettings,
    UpdateChannel,
)
from shared_events.channels.journey import ListChannelLegs

OTHER = "5511977770002@c.us"


def quiet_now() -> QuietHoursSettings:
    """Hours that have begun an hour ago and go on for two."""
    now = datetime.now(UTC)
    start, end = now - timedelta(hours=1), now + timedelta(hours=2)
    return QuietHoursSettings(start=f"{start:%H:%M}", end=f"{end:%H:%M}", timezone="UTC")


async def be_quiet(shop: Shop, hours: QuietHoursSettings | None) -> dict[str, Any]:
    changed: dict[str, Any] = await shop.value(
        UpdateChannel(channel_id=shop.channel_id, quiet_hours=hours)
    )
    return changed


async def waits_for(shop: Shop, message_id: UUID) -> dict[str, Any] | None:
    """What the journey of a message says that it waits for."""
    (leg,) = (await shop.value(ListChannelLegs(message_ids=[message_id])))["data"]
    wait: dict[str, Any] | None = leg["waiting_for"]
    return wait


async def hold_of(shop: Shop) -> Any:
    return (await shop.value(GetChannelHealth(channel_id=shop.channel_id)))["hold"]


def texts(waha: WahaSimulator, session: str = "loja") -> list[str | None]:
    return [message.text for message in waha.sent.values() if message.session == session]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders that look again only when they are told to, or when something is due."""
    monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("patient")
async def test_bulk_waits_and_people_do_not(company: Shop, waha: WahaSimulator) -> None:
    """Not even in the chat that something waits in; and it goes once the hours are taken off."""
    await company.connect(quiet_hours=quiet_now())
    held = await company.write("novidade", bulk=True)
    await company.until_state(held, "pending")
    answers = [await company.write("resposta"), await company.write("outra", to=OTHER)]
    for answer in answers:
        await company.until_state(answer, "sent")
    assert texts(waha) == ["resposta", "outra"]

    wait = await waits_for(company, held)
    assert wait is not None
    assert (wait["what"], wait["next_at"]) == ("quiet_hours", (await hold_of(company))["until"])
    labels = {"channel": str(company.channel_id), "state": "pending"}
    alarm = StallAlarm(company.database, 0.0)
    await alarm.once()
    assert REGISTRY.get_sample_value("crm_waha_stalled_messages", labels) is None

    assert (await be_quiet(company, None))["quiet_hours"] is None
    await company.until_state(held, "sent")
    assert texts(waha) == ["resposta", "outra", "novidade"]
    assert await hold_of(company) is None


async def test_bulk_that_stalls_is_counted_where_nothing_holds_it(company: Shop) -> None:
    await company.connect()
    company.waha.faults.add("refuse")
    await company.until_state(await company.write(bulk=True), "pending", "sending")
    labels = {"channel": str(company.channel_id), "state": "pending"}
    await StallAlarm(company.database, 0.0).once()
    assert REGISTRY.get_sample_value("crm_waha_stalled_messages", labels) == 1.0


@pytest.mark.usefixtures("patient")
async def test_holds_back_no_other_channel(
    company: Shop, other_company: Shop, waha: WahaSimulator
) -> None:
    await company.connect(quiet_hours=quiet_now())
    await other_company.connect(session="outra")
    held = [await company.write(f"{n}", to=f"551197777{n:04}@c.us", bulk=True) for n in range(20)]
    theirs = [await other_company.write(f"{n}", bulk=True) for n in range(20)]
    for message_id in theirs:
        await other_company.until_state(message_id, "sent")
    assert texts(waha, "outra") == [f"{n}" for n in range(20)]
    assert {(await company.ledger(one))["state"] for one in held} == {"pending"}
    assert texts(waha) == []


async def test_what_waits_is_due_when_they_end_and_nobody_looks_before(
    company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    next_message = ledger.next_message

    async def counted(*args: Any) -> Any:
        looks.append(args)
        return await next_message(*args)

    await company.connect()
    ends_at = datetime.now(UTC) + timedelta(seconds=2)
    monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 0.01)
    holds = Holds(bulk=Hold("quiet_hours", ends_at))
    monkeypatch.setattr(channel_sender, "holds_of", lambda *_: holds)
    monkeypatch.setattr(ledger, "next_message", counted)
    message_id = await company.write(bulk=True)
    row = await company.until_state(message_id, "sent")
    assert row["sending_at"] >= ends_at
    before = [args for args in looks if args[1] == company.channel_id][:-2]
    assert len(before) <= 10  # at the first message and what is told of it; not 200 times
    assert len(waha.sent) == 1


async def test_setting_them_holds_what_waits_already(company: Shop, waha: WahaSimulator) -> None:
    await company.connect()
    waha.faults.add("refuse")
    message_id = await company.write(bulk=True)
    await company.until_state(message_id, "pending", "sending")
    hours = quiet_now()
    changed = await be_quiet(company, hours)
    assert changed["quiet_hours"] == hours.model_dump()
    await company.until_state(await company.write("resposta", to=OTHER), "pending", "sending")
    await company.until_state(message_id, "pending")
    waha.faults.clear()
    await company.until_state(await company.write("depois", to=OTHER), "sent")
    assert texts(waha) == ["resposta", "depois"]


@pytest.mark.usefixtures("patient")
async def test_what_is_held_can_be_taken_back_and_ends_with_its_channel(
    company: Shop, waha: WahaSimulator
) -> None:
    await company.connect(quiet_hours=quiet_now())
    cancelled, orphan = [await company.write(f"{n}", bulk=True) for n in range(2)]
    await company.until_state(orphan, "pending")
    await company.change("revoke", cancelled)
    assert (await company.until_state(cancelled, "failed"))["reason"] == "cancelled"
    await company.value(DeleteChannel(channel_id=company.channel_id))
    row = await company.until_state(orphan, "failed")
    assert row["reason"].startswith("channel_gone")
    assert texts(waha) == []


async def test_the_time_it_was_held_is_none_of_its_age(company: Shop, waha: WahaSimulator) -> None:
    await company.connect(quiet_hours=quiet_now())
    message_id = await company.write(bulk=True)
    await company.until_state(message_id, "pending")
    async with company.database.tenant(company.id) as tx:
        aged = "UPDATE outbound_messages SET created_at = now() - interval '2 days'"
        await tx.execute(f"{aged} WHERE message_id = $1", message_id)
    waha.faults.add("refuse", times=3)
    await be_quiet(company, None)
    row = await company.until_state(message_id, "sent", "failed")
    assert (row["state"], row["attempts"]) == ("sent", 4)


async def test_two_replicas_send_what_waited_once(two_replicas: Shop, waha: WahaSimulator) -> None:
    company = two_replicas
    await company.connect(quiet_hours=quiet_now())
    held = [await company.write(f"{n}", bulk=True) for n in range(10)]
    await company.until_state(await company.write("resposta", to=OTHER), "sent")
    await company.until_state(held[-1], "pending")
    await be_quiet(company, None)
    for message_id in held:
        await company.until_state(message_id, "sent")
    assert texts(waha) == ["resposta", *(f"{n}" for n in range(10))]
    assert {message.times for message in waha.sent.values()} == {1}


class TestSetting:
    async def test_is_kept_where_it_is_left_out(self, company: Shop) -> None:
        hours = quiet_now()
        await company.connect(quiet_hours=hours)
        named = UpdateChannel(channel_id=company.channel_id, name="Filial")
        changed = await company.value(named)
        assert (changed["name"], changed["quiet_hours"]) == ("Filial", hours.model_dump())
        assert (await company.told("channel.updated"))[-1]["channel"] == changed

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"timezone": "Mars/Olympus"}, "unknown_time_zone"),
            ({"timezone": "../etc/passwd"}, "unknown_time_zone"),
            ({"start": "08:00", "end": "08:00"}, "quiet_hours_empty"),
        ],
    )
    async def test_is_refused_with_its_field(
        self, company: Shop, change: dict[str, str], problem: str
    ) -> None:
        hours = quiet_now().model_copy(update=change)
        answer = await company.ask(company.creation(quiet_hours=hours))
        assert answer.problem is not None
        (error,) = answer.problem.errors
        assert (error.code, error.pointer.rpartition("/")[0]) == (problem, "/quiet_hours")

    @pytest.mark.parametrize("time", ["8:00", "24:00", "12:60", "12:00:00", "noon", ""])
    def test_takes_hours_and_minutes_alone(self, time: str) -> None:
        with pytest.raises(ValidationError):
            QuietHoursSettings(start=time, end="07:30", timezone="UTC")
