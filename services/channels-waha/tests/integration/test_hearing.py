"""What channels are taken to have heard."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from crm_channels_waha.hearing import repository
from crm_channels_waha.waha.answers import NotSent
from crm_channels_waha.waha.client import Waha
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Shop
from crm_testing.services import eventually
from service_kit.service import Service
from shared_events.channels.channel import DeleteChannel, DriveChannel

MARIA = "5511988880001"


async def hearing(company: Shop) -> dict[str, Any]:
    (row,) = await company.rows("SELECT * FROM hearings")
    return dict(row)


async def test_what_is_said_until_a_number_is_connected_is_its_history(
    company: Shop, waha: WahaSimulator
) -> None:
    company.channel_id = UUID((await company.value(company.creation()))["id"])
    await company.value(DriveChannel(channel_id=company.channel_id, action="start"))
    await company.until_status("pairing")
    assert await company.rows("SELECT * FROM hearings") == []
    before = datetime.now(UTC)
    waha.scan("loja")
    await company.until_status("connected")
    assert (await hearing(company))["said_at"] >= before


async def test_a_clock_that_is_ahead_is_believed_for_a_day(
    company: Shop, waha: WahaSimulator
) -> None:
    """WAHA holds its time too: by ours, what was heard would seem missed once that has come."""
    await company.connect()
    now = int(time.time())
    for told, ahead in enumerate((600, 10 * 86_400), 1):
        await waha.receive_text("loja", MARIA, "Oi", timestamp=now + ahead)
        await company.until_told("channel.message_received", told)
        said_at = (await hearing(company))["said_at"].timestamp()
        assert now + min(ahead, 86_400) <= said_at <= now + ahead


async def test_who_is_gone_is_deaf_no_more(service: Service, company: Shop) -> None:
    await company.connect()
    await company.rows("UPDATE hearings SET deaf_since = now()")

    async def is_deaf() -> bool:
        async with service.database.system("liveness") as tx:
            return company.channel_id in await repository.deaf(tx)

    assert await is_deaf()
    await company.rows("UPDATE channels SET status = 'stopped'")
    assert not await is_deaf()
    await company.rows("UPDATE channels SET status = 'degraded'")
    assert await is_deaf()
    await company.value(DeleteChannel(channel_id=company.channel_id))
    assert not await is_deaf()


async def test_a_message_that_is_back_before_waha_answers_is_not_awaited(
    company: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await company.connect()
    send, answered = Waha.send, asyncio.Event()

    async def is_back() -> bool:
        return bool(await company.rows("SELECT 1 FROM outbound_messages WHERE state = 'sent'"))

    async def late(waha: Waha, *what: Any) -> Any:
        if answered.is_set():
            return NotSent("the one before is settled by now")
        verdict = await send(waha, *what)
        await eventually(is_back)
        answered.set()
        return verdict

    monkeypatch.setattr(Waha, "send", late)
    await company.write("Oi")
    await asyncio.wait_for(answered.wait(), 60)
    after = await company.write("E aí?")

    async def tried() -> bool:
        return bool((await company.ledger(after)).get("attempts"))

    await eventually(tried)
    assert (await hearing(company))["unanswered_since"] is None
