"""Profile pictures: looked at once for who is new, at a pace, and kept as files."""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from crm_channels_waha.profile_pictures import repository
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.simulator import JPEG, PDF
from crm_testing.scenes.channels import Shop
from crm_testing.schemas import Databases
from crm_testing.servers import RabbitServer
from crm_testing.services import eventually
from service_kit.database import Database
from service_kit.service import Service
from shared_events.channels.media import GetMedia

PHONE, OTHER = "5511988880001", "5511988880002"
PICTURE, NEWER = JPEG + b"Maria", JPEG + b"Maria, newer"


@pytest.fixture(scope="module")
async def settings(
    databases: Databases,
    rabbitmq_server: RabbitServer,
    make_settings: Callable[..., ChannelsSettings],
) -> ChannelsSettings:
    """As of every module, but that pictures are looked at."""
    database = await databases.create()
    vhost = await rabbitmq_server.create_vhost("channels-pictures")
    return make_settings(database.url, vhost, profile_picture_days=7)


async def looked(shop: Shop, count: int = 1) -> list[dict[str, Any]]:
    return await shop.looked("profile_pictures", count)


async def files(shop: Shop) -> list[dict[str, Any]]:
    return list(await shop.rows("SELECT * FROM media ORDER BY created_at, id"))


async def is_stored(service: Service, shop: Shop, file: dict[str, Any]) -> bool:
    assert isinstance(service.settings, ChannelsSettings)
    store = service.settings.media_store
    try:
        await store.read(shop.id, file["sha256"], 0, file["size"])
    except FileNotFoundError:
        return False
    return True


async def long_ago(shop: Shop) -> None:
    """Let more than a week pass since anybody was looked at."""
    await shop.rows("UPDATE profile_pictures SET looked_at = looked_at - interval '8 days'")


async def writes_again(shop: Shop, told: int) -> list[dict[str, Any]]:
    """A week later; what was told by then of pictures."""
    await long_ago(shop)
    await shop.waha.receive_text("loja", PHONE, "Oi")

    async def look() -> Any:
        seen = await shop.told("channel.profile_picture_seen")
        return seen if len(seen) >= told else None

    found: list[dict[str, Any]] = await eventually(look)
    await looked(shop)
    return found


async def test_who_is_new_is_looked_at_once_for_each_company(
    service: Service, company: Shop, other_company: Shop, waha: WahaSimulator
) -> None:
    await company.connect()
    await other_company.connect(session="outra")
    waha.show_picture(PHONE, PICTURE)
    for session in ("loja", "loja", "outra"):
        await waha.receive_text(session, PHONE, "Oi")
    for shop, session in ((company, "loja"), (other_company, "outra")):
        (row,) = await looked(shop)
        (file,) = await files(shop)
        assert (file["id"], file["mime_type"], file["size"]) == (
            row["media_id"],
            "image/jpeg",
            len(PICTURE),
        )
        assert (file["source"], file["chat_id"]) == ("profile", f"{PHONE}@c.us")
        assert await is_stored(service, shop, file)
        (told,) = await shop.told("channel.profile_picture_seen")
        assert told["identity"] == {"kind": "phone", "value": PHONE}
        assert (told["media_id"], told["replaces"]) == (str(file["id"]), None)
        (event,) = await shop.outbox("channel.profile_picture_seen")
        (message, *_) = await shop.outbox("channel.message_received")
        assert event["aggregate_id"] == message["aggregate_id"]
        assert len([s for s, _, _ in waha.picture_looks if s == session]) == 1
        shown = await shop.value(GetMedia(media_id=file["id"]))
        assert shown["url"] == f"media:{file['id']}"
    mine = (await files(company))[0]["id"]
    refused = await other_company.refusal(GetMedia(media_id=mine))
    assert refused == ("not_found", "media_not_found")


async def test_who_shows_none_is_remembered_and_looked_at_a_week_later(
    company: Shop, waha: WahaSimulator
) -> None:
    await company.connect()
    await waha.receive_text("loja", PHONE, "Oi")
    (row,) = await looked(company)
    assert (row["media_id"], row["attempts"]) == (None, 0)
    await waha.receive_text("loja", PHONE, "E aí?")
    await waha.receive_text("loja", OTHER, "Oi")
    await looked(company, 2)
    assert [chat for _, chat, _ in waha.picture_looks] == [f"{PHONE}@c.us", f"{OTHER}@c.us"]
    assert await company.told("channel.profile_picture_seen") == []
    waha.show_picture(PHONE, PICTURE)
    (told,) = await writes_again(company, 1)
    assert told["media_id"] == str((await files(company))[0]["id"])


async def test_another_picture_takes_the_place_of_the_first_and_its_bytes(
    service: Service, company: Shop, waha: WahaSimulator
) -> None:
    await company.connect()
    waha.show_picture(PHONE, PICTURE)
    await waha.receive_text("loja", PHONE, "Oi")
    await looked(company)
    (first,) = await files(company)
    same = (await writes_again(company, 2))[-1]
    assert (same["media_id"], same["replaces"]) == (str(first["id"]), None)
    waha.show_picture(PHONE, NEWER)
    newer = (await writes_again(company, 3))[-1]
    (second,) = await files(company)
    assert newer["media_id"] == str(second["id"]) != newer["replaces"] == str(first["id"])
    assert not await is_stored(service, company, first)
    assert await is_stored(service, company, second)
    waha.show_picture(PHONE, None)
    none = (await writes_again(company, 4))[-1]
    assert (none["media_id"], none["replaces"]) == (None, str(second["id"]))
    assert await files(company) == []
    assert not await is_stored(service, company, second)


async def test_bytes_that_somebody_else_shows_too_stay(
    service: Service, company: Shop, waha: WahaSimulator
) -> None:
    await company.connect()
    for person in (PHONE, OTHER):
        waha.show_picture(person, PICTURE)
        await waha.receive_text("loja", person, "Oi")
    await looked(company, 2)
    waha.show_picture(PHONE, NEWER)
    await writes_again(company, 3)
    (left,) = [f for f in await files(company) if f["chat_id"] == f"{OTHER}@c.us"]
    assert await is_stored(service, company, left)


@pytest.mark.parametrize("content", [PDF, JPEG + bytes(2**20)])
async def test_what_is_no_picture_or_too_large_counts_as_none(
    company: Shop, waha: WahaSimulator, content: bytes
) -> None:
    await company.connect()
    waha.show_picture(PHONE, content)
    await waha.receive_text("loja", PHONE, "Oi")
    (row,) = await looked(company)
    assert row["media_id"] is None
    assert await files(company) == []


async def test_hidden_people_and_those_in_groups_are_looked_at_and_groups_are_not(
    company: Shop, waha: WahaSimulator
) -> None:
    await company.connect(allow_groups=True)
    await waha.receive_text("loja", None, "Oi", lid="123456789012345")
    await waha.receive_text("loja", OTHER, "Oi", group="120363000000000001@g.us")
    await waha.sent_from_phone("loja", "120363000000000001@g.us", "Oi, pessoal")
    await waha.sent_from_phone("loja", "5511988880009", "Oi")
    rows = await looked(company, 3)
    assert [row["chat_id"] for row in rows] == [
        *("123456789012345@lid", f"{OTHER}@c.us", "5511988880009@c.us")
    ]


@pytest.mark.parametrize("fault", ["picture_error", "file_error"])
async def test_what_fails_is_tried_again_and_lets_the_channel_rest(
    company: Shop, other_company: Shop, waha: WahaSimulator, fault: Any
) -> None:
    await company.connect()
    await other_company.connect(session="outra")
    waha.show_picture(PHONE, PICTURE)
    session = {"session": "loja"} if fault == "picture_error" else {}
    waha.faults.add(fault, times=2, **session)
    await waha.receive_text("loja", PHONE, "Oi")
    (row,) = await looked(company)
    assert row["media_id"] is not None
    times = [at for s, _, at in waha.picture_looks if s == "loja"]
    assert len(times) == 3
    await waha.receive_text("outra", PHONE, "Oi")
    (theirs,) = await looked(other_company)
    assert theirs["media_id"] is not None


async def test_what_always_fails_is_given_up_until_they_write_again(
    company: Shop, waha: WahaSimulator
) -> None:
    await company.connect()
    waha.faults.add("picture_error")
    await waha.receive_text("loja", PHONE, "Oi")
    (row,) = await looked(company)
    assert (row["media_id"], len(waha.picture_looks)) == (None, 6)
    waha.faults.clear()
    waha.show_picture(PHONE, PICTURE)
    assert len(await writes_again(company, 1)) == 1


async def test_a_channels_pace_is_kept_by_all_processes_together(company: Shop) -> None:
    channels = sorted(uuid4() for _ in range(2))
    async with company.database.tenant(company.id) as tx:
        for channel in channels:
            await tx.execute("INSERT INTO picture_paces VALUES ($1, $2)", company.id, channel)
            for n in range(5):
                await tx.execute(
                    "INSERT INTO profile_pictures (tenant_id, chat_id, channel_id, due_at)"
                    " VALUES ($1, $2, $3, now())",
                    *(company.id, f"{channel}-{n}", channel),
                )
        # Whoever claims waits for this transaction, and all at once: the service's own worker too.
        turns = [asyncio.create_task(claimed(company.database)) for _ in range(8)]
    await asyncio.gather(*turns)
    taken = await company.rows("SELECT channel_id FROM profile_pictures WHERE attempts > 0")
    assert sorted(row["channel_id"] for row in taken) == channels
    assert await claimed(company.database) == 0


async def claimed(database: Database) -> int:
    """How many are to be looked at now, by channels that then look at nobody for an hour."""
    async with database.system("pictures") as tx:
        return len(await repository.claim(tx, limit=9, interval_seconds=3600, lease_seconds=3600))


async def test_who_is_erased_while_being_looked_at_leaves_no_picture(
    service: Service, company: Shop, waha: WahaSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await company.connect()
    waha.show_picture(PHONE, PICTURE)
    lock, gone = repository.lock, asyncio.Event()

    async def erased_before(tx: Any, chat_id: str) -> Any:
        if tx.tenant_id != company.id:
            return await lock(tx, chat_id)
        await tx.execute("DELETE FROM profile_pictures WHERE tenant_id = $1", tx.tenant_id)
        try:
            return await lock(tx, chat_id)
        finally:
            gone.set()

    monkeypatch.setattr(repository, "lock", erased_before)
    await waha.receive_text("loja", PHONE, "Oi")
    await asyncio.wait_for(gone.wait(), 60)
    monkeypatch.undo()
    assert isinstance(service.settings, ChannelsSettings)
    file = {"sha256": hashlib.sha256(PICTURE).hexdigest(), "size": len(PICTURE)}

    async def dropped() -> bool:
        return not await is_stored(service, company, file)

    await eventually(dropped)
    assert await files(company) == []
    assert await company.told("channel.profile_picture_seen") == []
