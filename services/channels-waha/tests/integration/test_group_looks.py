"""What groups are called is looked up when they are seen first, at a pace, unless WAHA told it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from crm_channels_waha.groups import repository
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import Engine, WahaSimulator
from crm_testing.scenes.channels import Shop
from crm_testing.schemas import Databases
from crm_testing.servers import RabbitServer
from crm_testing.services import eventually
from service_kit.database import Database
from service_kit.service import Service
from shared_events.channels.channel import DriveChannel
from shared_events.channels.history import CreateHistoryImport
from shared_events.identity import conversation_id

ANA = "5511988880001"
GROUP, OTHER = "120363000000000001@g.us", "120363000000000002@g.us"


@pytest.fixture(scope="module")
async def settings(
    databases: Databases,
    rabbitmq_server: RabbitServer,
    make_settings: Callable[..., ChannelsSettings],
) -> ChannelsSettings:
    """As of every module, but that groups are looked up."""
    database = await databases.create()
    vhost = await rabbitmq_server.create_vhost("channels-groups")
    return make_settings(database.url, vhost, group_look_days=7)


async def looked(shop: Shop, count: int = 1) -> list[dict[str, Any]]:
    return await shop.looked("group_looks", count)


async def subjects(shop: Shop) -> dict[str, str]:
    """What was told of groups, by their chat."""
    told = await shop.told("channel.group_reported")
    return {one["chat_id"]: one["subject"] for one in told}


@pytest.mark.parametrize("engine", ["GOWS", "NOWEB", "WEBJS"])
async def test_each_is_looked_up_once_by_every_company_that_is_in_it(
    company: Shop, other_company: Shop, waha: WahaSimulator, engine: Engine
) -> None:
    waha.groups |= {GROUP: "Turma 🎓", OTHER: "ã" * 300}
    await company.connect(engine)
    await other_company.connect(engine, session="outra")
    for text in ("1", "2"):
        await waha.receive_text("loja", ANA, text, group=GROUP)
    await waha.sent_from_phone("loja", OTHER, "3")
    await waha.receive_text("outra", ANA, "1", group=GROUP)
    await looked(company, 2)
    await looked(other_company)
    assert await subjects(company) == {GROUP: "Turma 🎓", OTHER: "ã" * 255}
    assert await subjects(other_company) == {GROUP: "Turma 🎓"}
    looks = [("loja", GROUP), ("loja", OTHER), ("outra", GROUP)]
    assert sorted(waha.group_looks) == looks
    (told,) = await other_company.told("channel.group_reported")
    assert told["members"] == []
    assert datetime.fromisoformat(told["told_at"]) < datetime.now(UTC) - timedelta(seconds=1)
    (event,) = await other_company.rows(
        "SELECT aggregate_id FROM outbox_events WHERE event_type = 'channel.group_reported'"
    )
    assert event["aggregate_id"] == conversation_id(other_company.channel_id, GROUP)
    # Much later somebody writes there again; and nobody looks where groups are off.
    await company.rows("UPDATE group_looks SET looked_at = now() - interval '8 days'")
    waha.groups[GROUP] = "Turma de 2027"
    await waha.receive_text("loja", ANA, "4", group=GROUP)

    async def renamed() -> bool:
        return (await subjects(company))[GROUP] == "Turma de 2027"

    await eventually(renamed)
    assert len(waha.group_looks) == 4


async def test_one_that_waha_tells_of_is_not_looked_up(company: Shop, waha: WahaSimulator) -> None:
    waha.groups |= {GROUP: "velho", OTHER: "Outra"}
    await company.connect()
    told = {"group": {"id": GROUP, "subject": "novo"}, "timestamp": 1_784_800_950}
    waha.emit(waha.session("loja"), "group.v2.update", told)
    await company.until_told("channel.group_reported")
    await waha.receive_text("loja", ANA, "1", group=GROUP)
    await waha.receive_text("loja", ANA, "2", group=OTHER)  # behind it
    await looked(company, 2)
    assert await subjects(company) == {GROUP: "novo", OTHER: "Outra"}
    assert list(waha.group_looks) == [("loja", OTHER)]


async def test_what_fails_is_tried_again_and_one_we_left_is_not(
    company: Shop, waha: WahaSimulator
) -> None:
    waha.groups |= {GROUP: "Turma"}
    await company.connect()
    waha.faults.add("group_error", times=2)
    await waha.receive_text("loja", ANA, "1", group=GROUP)
    await looked(company)
    assert await subjects(company) == {GROUP: "Turma"}
    assert len(waha.group_looks) == 3
    await waha.receive_text("loja", ANA, "2", group=OTHER)
    await looked(company, 2)
    assert OTHER not in await subjects(company)
    assert len(waha.group_looks) == 4


async def test_one_that_history_shows_is_looked_up(company: Shop, waha: WahaSimulator) -> None:
    waha.groups |= {GROUP: "Turma"}
    await company.connect()
    session = waha.session("loja")
    hooks = session.config.pop("webhooks")
    at = int((datetime.now(UTC) - timedelta(days=1)).timestamp())
    await waha.receive_text("loja", ANA, "ontem", group=GROUP, timestamp=at)
    session.config["webhooks"] = hooks
    assert await company.rows("SELECT 1 FROM group_looks") == []
    await company.value(CreateHistoryImport(channel_id=company.channel_id))
    await looked(company)
    assert await subjects(company) == {GROUP: "Turma"}


async def test_a_channel_that_is_off_waits(
    company: Shop, other_company: Shop, service: Service, waha: WahaSimulator
) -> None:
    """And those that are on go on at their pace, one group at a time."""
    waha.groups |= {GROUP: "Turma", OTHER: "Outra"}
    for shop, session in ((company, "loja"), (other_company, "outra")):
        await shop.connect(session=session)
    await company.value(DriveChannel(channel_id=company.channel_id, action="stop"))
    await company.until_status("stopped", "disconnected")
    await enter(service.database, company, GROUP)
    await enter(service.database, other_company, GROUP, OTHER)
    await looked(other_company, 2)
    assert await subjects(other_company) == {GROUP: "Turma", OTHER: "Outra"}
    (waits,) = await company.rows("SELECT * FROM group_looks")
    assert (waits["due_at"] is not None, waits["attempts"]) == (True, 0)
    assert {name for name, _ in waha.group_looks} == {"outra"}
    # What WAHA tells meanwhile needs no look any more.
    await enter(service.database, company, GROUP, told=True)
    (known,) = await company.rows("SELECT * FROM group_looks")
    assert (known["due_at"], known["looked_at"] is not None) == (None, True)


async def enter(database: Database, shop: Shop, *chats: str, told: bool = False) -> None:
    async with database.tenant(shop.id) as tx:
        seen = {(shop.id, shop.channel_id, chat): told for chat in chats}
        await repository.enter(tx, seen, fresh_days=7)
