"""channels-waha forgets a person: nothing more is sent to them, and what was is emptied."""

import hashlib
from collections.abc import Callable
from uuid import UUID, uuid4

from crm_channels_waha.app import create_service
from crm_channels_waha.media import repository
from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.waha import WahaSimulator
from crm_testing.scenes.channels import Shop, publish_raw
from crm_testing.schemas import Databases
from crm_testing.servers import RabbitServer
from crm_testing.services import Outside, running
from crm_testing.traces import erasure_of, traces_of, until_erased
from service_kit.service import Service
from shared_events import topology
from shared_events.identity import WhatsAppId, conversation_id
from shared_events.services import CHANNELS

MARK = "Zwölfkäse"
HER = (WhatsAppId("phone", "5511988880001"), WhatsAppId("lid", "123456789012345"))
NUMBERS = ["5511988880001", "551188880001", "123456789012345"]
SOMEBODY = "5511977770002@c.us"
CONTENTS = (b"hers", b"group", b"small", b"sent", b"shared", b"both")


async def person(shop: Shop) -> None:
    """Somebody who was written to, waits for an answer, and of whom there is something raw."""
    shop.channel_id = uuid4()  # of no channel: what is queued for it fails, what is heard is raw
    body = f'{{"event": "message", "payload": {{"from": "{HER[0].chat_id}", "body": "{MARK}"}}}}'
    await shop.hears("message", body.encode())
    await shop.hears("message", body.replace("5511988880001", "5511977770002").encode())
    async with shop.database.tenant(shop.id) as tx:
        for chat, state in (
            (HER[0].chat_id, "pending"),
            ("551188880001@c.us", "sent"),
            (HER[1].chat_id, "failed"),
            (SOMEBODY, "sent"),
        ):
            await tx.execute(
                "INSERT INTO outbound_messages (message_id, tenant_id, channel_id, chat_id, state,"
                " content_type, content, media_url, reason, target_participant, next_attempt_at)"
                " VALUES ($1, $2, $3, $4, $5, 'text', $6, $6, $6, $4, now() + interval '1 day')",
                uuid4(),
                shop.id,
                shop.channel_id,
                chat,
                state,
                MARK,
            )
        await tx.execute(
            "INSERT INTO profile_pictures (tenant_id, chat_id, channel_id)"
            " SELECT $1, unnest($2::text[]), $3",
            shop.id,
            ["551188880001@c.us", HER[1].chat_id, SOMEBODY],
            shop.channel_id,
        )
        await tx.execute(
            "INSERT INTO number_checks (tenant_id, channel_id, phone, chat_id)"
            " SELECT $1, $2, phone, phone || '@c.us' FROM unnest($3::text[]) AS phone",
            shop.id,
            shop.channel_id,
            [*NUMBERS[:2], SOMEBODY.partition("@")[0]],
        )
        await tx.execute("UPDATE outbound_messages SET address = chat_id")
        await tx.execute(
            "INSERT INTO lid_refs (tenant_id, lid, phone, channel_id, lookups)"
            " VALUES ($1, $2, '551188880001', $3, 99)",
            shop.id,
            HER[1].value,
            shop.channel_id,
        )


async def keep(
    service: Service,
    shop: Shop,
    content: bytes,
    chat_id: str | None = None,
    sender: str | None = None,
) -> UUID:
    """A file in the store, and the row that leads to it."""
    assert isinstance(service.settings, ChannelsSettings)
    store = service.settings.media_store
    async with store.intake(100) as intake:
        await intake.add(content)
        file = await store.keep(shop.id, intake)
    row = MediaRow(
        id=uuid4(),
        tenant_id=shop.id,
        state="stored",
        source="message",
        filename=MARK,
        sha256=file.sha256,
        size=file.size,
        url=f"https://example.com/{MARK}",
        chat_id=chat_id,
        sender=sender,
    )
    async with shop.database.tenant(shop.id) as tx:
        await repository.MEDIA.insert(tx, [row])
    return row.id


async def keep_small(service: Service, shop: Shop, whole: UUID, content: bytes) -> None:
    """A thumbnail that nothing but its file leads to."""
    small = await keep(service, shop, content)
    async with shop.database.tenant(shop.id) as tx:
        await tx.execute("UPDATE media SET thumbnail_id = $2 WHERE id = $1", whole, small)


async def send_file(shop: Shop, media_id: UUID, chat_id: str) -> None:
    """An entry of the ledger with a file, settled."""
    async with shop.database.tenant(shop.id) as tx:
        await tx.execute(
            "INSERT INTO outbound_messages (message_id, tenant_id, channel_id, chat_id, state,"
            " content_type, media_id, details) VALUES ($1, $2, $3, $4, 'sent', 'image', $5, $6)",
            uuid4(),
            shop.id,
            shop.channel_id,
            chat_id,
            media_id,
            {"contacts": [NUMBERS[0]]},
        )


async def is_stored(service: Service, shop: Shop, content: bytes) -> bool:
    assert isinstance(service.settings, ChannelsSettings)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        await service.settings.media_store.read(shop.id, sha256, 0, len(content))
    except FileNotFoundError:
        return False
    return True


class TestErasure:
    async def test_removes_files_and_their_bytes_but_not_those_that_others_have(
        self,
        databases: Databases,
        rabbitmq_server: RabbitServer,
        make_settings: Callable[..., ChannelsSettings],
        waha: WahaSimulator,
    ) -> None:
        database = await databases.create()
        amqp_url = await rabbitmq_server.create_vhost("channels-erased-files")
        settings = make_settings(database.url, amqp_url, erasure_settle_seconds=0)
        async with running(create_service(settings)) as service, Outside(amqp_url) as outside:
            shop, other = (Shop(service.database, outside, waha=waha) for _ in range(2))
            shop.channel_id = other.channel_id = uuid4()
            hers, chat = HER[0].chat_id, "551188880001@c.us"
            for company in (shop, other):
                for content in (b"hers", b"hers", b"shared"):
                    await keep(service, company, content, chat_id=chat)
                whole = await keep(service, company, b"group", chat_id="1203630@g.us", sender=hers)
                await keep_small(service, company, whole, b"small")
                await keep(service, company, b"shared", chat_id=SOMEBODY, sender=SOMEBODY)
                sent = await keep(service, company, b"sent")
                await send_file(company, sent, hers)
                both = await keep(service, company, b"both")
                for to in (hers, SOMEBODY):
                    await send_file(company, both, to)

            envelope = erasure_of(CHANNELS, shop.id, uuid4(), *HER)
            await outside.publish(envelope)
            report = await until_erased(service.database, envelope)
            assert report["erased"]["media"] == 6
            left = {content: await is_stored(service, shop, content) for content in CONTENTS}
            assert [content for content, there in left.items() if there] == [b"shared", b"both"]
            rows = await shop.rows("SELECT chat_id FROM outbound_messages WHERE details <> '{}'")
            assert [row["chat_id"] for row in rows] == [SOMEBODY]
            assert len(await shop.rows("SELECT 1 FROM media")) == 2
            assert all([await is_stored(service, other, content) for content in CONTENTS])
            assert len(await other.rows("SELECT 1 FROM media")) == 8

    async def test_cancels_what_waits_and_empties_the_rest(
        self,
        databases: Databases,
        rabbitmq_server: RabbitServer,
        make_settings: Callable[..., ChannelsSettings],
        waha: WahaSimulator,
    ) -> None:
        database = await databases.create()
        amqp_url = await rabbitmq_server.create_vhost("channels-erasure")
        settings = make_settings(database.url, amqp_url, erasure_settle_seconds=0)
        async with running(create_service(settings)) as service, Outside(amqp_url) as outside:
            shop, other = (Shop(service.database, outside, waha=waha) for _ in range(2))
            await person(shop)
            await person(other)
            for company in (shop, other):
                await publish_raw(
                    outside.publisher,
                    company.id,
                    uuid4(),
                    "message",
                    NUMBERS[0].encode(),
                    received_at="never",
                )
            channel = await shop.value(shop.creation())
            letters = topology.WAHA_MESSAGES.dead_letters.name
            await outside.buried(topology.WAHA_MESSAGES.dead_letters, 2)

            envelope = erasure_of(CHANNELS, shop.id, uuid4(), *HER)
            for _ in range(2):
                await outside.publish(envelope)
            report = await until_erased(service.database, envelope)
            assert report["erased"]["outbound_messages_cancelled"] == 1
            assert report["erased"]["outbound_messages"] == 3
            assert report["erased"]["lid_refs"] == 1
            assert report["erased"]["profile_pictures"] == 2
            assert report["erased"]["number_checks"] == 2
            assert report["erased"]["raw_events"] == 1
            assert report["erased"][letters] == 1
            assert str(conversation_id(channel["id"], HER[0].chat_id)) in report["aggregates"]
            assert await traces_of(database, shop.id, NUMBERS) == set()
            (told,) = await shop.told("channel.message_failed")
            assert (told["code"], told["reason"]) == ("erased", "The contact was erased.")
            left = await shop.rows("SELECT * FROM outbound_messages WHERE content IS NOT NULL")
            assert [row["chat_id"] for row in left] == [SOMEBODY]
            assert len(await shop.rows("SELECT 1 FROM raw_events")) == 1
            kept = {"outbound_messages.content", "raw_events.body", "lid_refs.lid"}
            assert kept <= await traces_of(database, other.id, [*NUMBERS, "Zw"])
