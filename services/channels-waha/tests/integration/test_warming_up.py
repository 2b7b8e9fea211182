"""A new number sends so much in bulk on a day, counted over restarts and replicas."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crm_channels_waha.app import create_service
from crm_channels_waha.outbound import channel_sender
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Ingress, Shop
from crm_testing.services import Outside, eventually, running
from shared_events.channels.channel import GetChannelHealth, UpdateChannel, WarmUpSettings
from shared_events.channels.journey import ListChannelLegs

OTHER = "5511977770002@c.us"


def ramp(first_day: int) -> WarmUpSettings:
    return WarmUpSettings(first_day=first_day)


async def health(shop: Shop) -> dict[str, Any]:
    return await shop.value(GetChannelHealth(channel_id=shop.channel_id))


async def until_sent(shop: Shop, count: int) -> dict[str, Any]:
    """Wait until so many are counted; returns the channel's health."""

    async def look() -> Any:
        found = await health(shop)
        return found if found["bulk_sent"] == count else None

    found: dict[str, Any] = await eventually(look)
    return found


async def until_texts(shop: Shop, *wanted: str) -> None:
    async def there() -> bool:
        return [message.text for message in shop.waha.sent.values()] == list(wanted)

    await eventually(there)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders that look again only when they are told to, or when something is due."""
    monkeypatch.setattr(channel_sender, "_POLL_SECONDS", 3600.0)


@pytest.mark.usefixtures("patient")
async def test_what_is_more_than_a_day_waits_and_people_do_not(
    company: Shop, other_company: Shop, waha: WahaSimulator
) -> None:
    await company.connect(warm_up=ramp(3))
    await other_company.connect(session="outra")
    rest = [await company.write(f"{n}", bulk=True) for n in range(6)][3:]
    await until_texts(company, "0", "1", "2")
    state = await until_sent(company, 3)
    assert (state["bulk_limit"], state["hold"]["reason"]) == (3, "warm_up")
    midnight = datetime.now(UTC).date() + timedelta(days=1)
    assert datetime.fromisoformat(state["hold"]["until"]).date() == midnight
    (leg,) = (await company.value(ListChannelLegs(message_ids=rest[:1])))["data"]
    assert leg["waiting_for"]["what"] == "warm_up"
    await company.until_state(await company.write("resposta"), "sent")
    await company.until_state(await company.write("nova", to=OTHER, proved=False), "sent")
    assert {(await company.ledger(one))["state"] for one in rest} == {"pending"}

    for _ in range(5):
        await other_company.until_state(await other_company.write(bulk=True), "sent")
    assert ((await health(other_company))["bulk_limit"]) is None

    await company.value(UpdateChannel(channel_id=company.channel_id, warm_up=ramp(5)))
    await company.until_state(rest[1], "sent")
    assert (await company.ledger(rest[2]))["state"] == "pending"
    await company.value(UpdateChannel(channel_id=company.channel_id, warm_up=None))
    await company.until_state(rest[2], "sent")
    assert (await health(company))["hold"] is None


async def test_another_day_begins_at_nothing(company: Shop) -> None:
    await company.connect(warm_up=ramp(1))
    await company.until_state(await company.write("um", bulk=True), "sent")
    await until_sent(company, 1)
    await company.until_state(await company.write("dois", bulk=True), "pending")
    async with company.database.tenant(company.id) as tx:
        await tx.execute("UPDATE channels SET bulk_day = bulk_day - 1, bulk_sent = 9")
    await company.value(UpdateChannel(channel_id=company.channel_id, name="Filial"))  # wakes
    await until_texts(company, "um", "dois")
    await until_sent(company, 1)


async def test_counts_what_left_once(company: Shop, waha: WahaSimulator) -> None:
    """What WAHA did not take counts for nothing, what may have arrived counts."""
    await company.connect(warm_up=ramp(9))
    waha.faults.add("refuse", times=4)
    await company.until_state(await company.write("um", bulk=True), "sent")
    await until_sent(company, 1)
    waha.faults.add("error_after_accept", times=1)
    await company.until_state(await company.write("dois", to=OTHER, bulk=True), "sent")
    await until_sent(company, 2)
    await company.until_state(await company.write("resposta"), "sent")
    await company.until_state(await company.write(None, content_type="poll", bulk=True), "failed")
    await until_sent(company, 2)


async def test_is_counted_over_restarts_and_replicas(
    own_settings: ChannelsSettings, ingress: Ingress, waha: WahaSimulator
) -> None:
    before, known = ingress.publisher, None
    try:
        for part in range(2):
            async with (
                running(create_service(own_settings)) as service,
                running(create_service(own_settings)),
                Outside(own_settings.amqp_url) as outside,
            ):
                ingress.publisher = outside.publisher
                company = Shop(service.database, outside, waha=waha)
                if known is None:
                    known = company
                    await company.connect(warm_up=ramp(8))
                company.id, company.channel_id = known.id, known.channel_id
                for n in range(5):
                    last = await company.write(f"{part}{n}", bulk=True)
                await until_sent(company, 5 if part == 0 else 8)
                await company.until_state(last, "pending" if part else "sent")
    finally:
        ingress.publisher = before
    assert [m.text for m in waha.sent.values()] == [*(f"0{n}" for n in range(5)), "10", "11", "12"]


async def test_starts_today_unless_it_says_another_day(company: Shop) -> None:
    before = datetime.now(UTC).date()
    created = await company.value(company.creation(warm_up=WarmUpSettings()))
    after = datetime.now(UTC).date()
    shown = dict(created["warm_up"])
    assert str(before) <= shown.pop("starts_on") <= str(after)
    assert shown == {"first_day": 20, "growth": 1.5, "days": 14}
    named = UpdateChannel(channel_id=created["id"], name="Filial")
    assert (await company.value(named))["warm_up"] == created["warm_up"]
