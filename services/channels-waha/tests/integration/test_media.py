"""Files of messages: fetched at once, kept once, never in the way of the messages."""

import asyncio
import hashlib
from datetime import timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import orjson
from aiohttp import web
from crm_channels_waha.media.fetching import Fetching
from crm_channels_waha.settings import ChannelsSettings
from crm_fakes.serving import LocalServer
from crm_fakes.waha import WahaSimulator
from crm_fakes.waha.simulator import JPEG
from crm_testing.scenes.channels import Shop, queued_message
from crm_testing.services import eventually
from PIL import Image
from pytest import MonkeyPatch
from service_kit.service import Service
from shared_events.channels.media import GetMedia, LocateMedia, UploadMedia

PHONE = "5511988880001"
PICTURE = JPEG + b"picture"


async def settled(company: Shop, count: int = 1) -> list[dict[str, Any]]:
    """The company's files, once so many are stored or failed."""

    async def look() -> Any:
        rows = await company.rows(
            "SELECT * FROM media WHERE state <> 'pending' ORDER BY created_at, id"
        )
        return rows if len(rows) >= count else None

    found: list[dict[str, Any]] = await eventually(look)
    return found


async def bytes_of(service: Service, row: dict[str, Any]) -> bytes:
    """A file's bytes in the store."""
    assert isinstance(service.settings, ChannelsSettings)
    chunks = await service.settings.media_store.read(
        row["tenant_id"], row["sha256"], 0, row["size"]
    )
    return b"".join([chunk async for chunk in chunks])


def image(url: str | None, name: str = "M1", **media: Any) -> bytes:
    """A message with a picture, as WAHA posts it."""
    payload = {
        "id": f"false_{PHONE}@c.us_{name}",
        "timestamp": 1784800000,
        "from": f"{PHONE}@c.us",
        "hasMedia": True,
        "media": {"url": url, "mimetype": "image/jpeg", **media},
    }
    return orjson.dumps({"event": "message", "session": "loja", "payload": payload})


class Elsewhere(LocalServer):
    """An object store that WAHA keeps its files in: it wants no key of WAHA's."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1", 0)
        self.keys: list[str | None] = []

    def build_app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/bucket/file", self._file)
        app.router.add_get("/moved", self._moved)
        return app

    async def _file(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("X-Api-Key"))
        return web.Response(body=PICTURE)

    async def _moved(self, request: web.Request) -> web.Response:
        raise web.HTTPFound("/bucket/file")


class TestFetching:
    async def test_two_companies_pictures_are_kept_each_once(
        self, service: Service, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await other_company.connect(session="outra")
        await waha.receive_image("loja", PHONE, content=PICTURE)
        await waha.receive_image("outra", PHONE, content=JPEG + b"other")
        for shop, content in ((company, PICTURE), (other_company, JPEG + b"other")):
            (row,) = await settled(shop)
            assert (row["state"], row["mime_type"], row["size"]) == (
                "stored",
                "image/jpeg",
                len(content),
            )
            assert row["sha256"] == hashlib.sha256(content).hexdigest()
            assert await bytes_of(service, row) == content
            heard = await shop.told("channel.message_received")
            assert {m["media"]["id"] for m in heard} == {str(row["id"])}
            (told,) = await shop.told("channel.media_stored")
            assert told["media_id"] == str(row["id"])
            assert told["external_id"] == heard[0]["external_id"]
            (event,) = await shop.outbox("channel.media_stored")
            (message, *_) = await shop.outbox("channel.message_received")
            assert event["aggregate_id"] == message["aggregate_id"]
            assert event["correlation_id"] == "req-ingress"
        mine = (await settled(company))[0]["id"]
        assert (await company.value(GetMedia(media_id=mine)))["url"] == f"media:{mine}"
        for request in (GetMedia(media_id=mine), LocateMedia(media_id=mine)):
            assert await other_company.refusal(request) == ("not_found", "media_not_found")

    async def test_a_picture_has_a_small_one_and_what_is_none_is_kept_all_the_same(
        self, service: Service, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        into = BytesIO()
        Image.new("RGB", (1600, 1200), (200, 30, 30)).save(into, "JPEG")
        await waha.receive_image("loja", PHONE, content=into.getvalue())
        rows = {row["source"]: row for row in await settled(company, 2)}
        whole, small = rows["message"], rows["thumbnail"]
        assert whole["thumbnail_id"] == small["id"]
        assert small["mime_type"] == "image/webp"
        assert (small["chat_id"], small["sender"]) == (whole["chat_id"], whole["sender"])
        shown = Image.open(BytesIO(await bytes_of(service, small)))
        assert (shown.format, shown.size) == ("WEBP", (320, 240))
        file = await company.value(GetMedia(media_id=whole["id"]))
        assert file["thumbnail_url"] == f"media:{small['id']}"
        request = LocateMedia(media_id=small["id"])
        assert (await company.value(request))["sha256"] == small["sha256"]
        assert await other_company.refusal(request) == ("not_found", "media_not_found")
        assert len(await company.told("channel.media_stored")) == 1

        await waha.receive_image("loja", PHONE, content=into.getvalue()[:300])
        known = (whole["id"], small["id"])
        (broken,) = [row for row in await settled(company, 3) if row["id"] not in known]
        assert (broken["state"], broken["thumbnail_id"]) == ("stored", None)
        file = await company.value(GetMedia(media_id=broken["id"]))
        assert (file["url"], file["thumbnail_url"]) == (f"media:{broken['id']}", None)

    async def test_sixty_pictures_of_a_slow_and_failing_server_hold_nobody_up(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        waha.faults.add("file_slow", seconds=0.2)
        waha.faults.add("file_error", probability=0.05)
        async with WahaSimulator(api_key="waha-key", time_scale=0.01, acks="none") as well:
            other_company.waha = well
            await other_company.connect()
            for n in range(60):
                await waha.receive_image("loja", PHONE, content=JPEG + str(n).encode())
            await well.receive_image("loja", PHONE)
            await settled(other_company)
            assert len(await company.rows("SELECT 1 FROM media WHERE state = 'stored'")) < 60
        rows = await settled(company, 60)
        assert {row["state"] for row in rows} == {"stored"}
        assert len({row["sha256"] for row in rows}) == 60
        assert waha.faults.struck["file_error"] > 0
        assert len(await company.told("channel.media_stored")) == 60

    async def test_a_dead_link_and_a_missing_one_are_asked_for_anew(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        said = await waha.receive_image("loja", PHONE, content=PICTURE)
        await settled(company)
        name = said.bare_id
        await company.rows("DELETE FROM media")
        waha.files.clear()
        await company.hears("message", image(f"{waha.url}/api/files/loja/{name}.jpeg", name))
        (row,) = await settled(company)
        assert row["state"] == "stored"
        await company.rows("DELETE FROM media")
        await company.hears("message", image(None, name))
        (row,) = await settled(company)
        assert (row["state"], row["sha256"]) == ("stored", hashlib.sha256(PICTURE).hexdigest())

    async def test_what_cannot_be_had_fails_with_a_reason(
        self, company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await company.hears("message", image("http://10.0.0.1/secret", "PRIVATE"))
        await company.hears("message", image("http://u:p@127.0.0.1/", "USER"))
        await company.hears("message", image(None, "GONE", filename="../../" + "a" * 300))
        await waha.receive_image("loja", PHONE, content=JPEG + bytes(2**20))
        rows = await settled(company, 4)
        assert sorted(row["reason"] for row in rows) == [
            *("forbidden_address", "forbidden_address", "gone", "too_large")
        ]
        failed = await company.told("channel.media_failed")
        assert {m["reason"] for m in failed} == {"forbidden_address", "gone", "too_large"}
        assert len(await company.told("channel.message_received")) == 4
        gone = next(row for row in rows if row["reason"] == "gone")
        assert "/" not in gone["filename"]
        assert len(gone["filename"]) == 255

    async def test_the_key_goes_to_waha_alone_and_nobody_is_followed(self, company: Shop) -> None:
        await company.connect()
        async with Elsewhere() as elsewhere:
            await company.hears("message", image(f"{elsewhere.url}/bucket/file", "S3"))
            (row,) = await settled(company)
            assert row["state"] == "stored"
            await company.hears("message", image(f"{elsewhere.url}/moved", "MOVED"))
            assert [r["state"] for r in await settled(company, 2)].count("failed") == 1
            assert elsewhere.keys == [None]


class TestCrash:
    async def test_between_download_and_commit_it_is_fetched_again(
        self, service: Service, company: Shop, waha: WahaSimulator, monkeypatch: MonkeyPatch
    ) -> None:
        fetch, died = Fetching.fetch, asyncio.Event()

        async def dies(self: Fetching, *args: Any) -> Any:
            await fetch(self, *args)
            died.set()
            raise RuntimeError("the process is gone")

        monkeypatch.setattr(Fetching, "fetch", dies)
        await company.connect()
        await waha.receive_image("loja", PHONE, content=PICTURE)
        await died.wait()
        (left,) = await company.rows("SELECT * FROM media")
        assert (left["state"], left["attempts"]) == ("pending", 1)
        assert left["next_at"] > left["created_at"] + timedelta(minutes=1)
        monkeypatch.undo()
        await company.rows("UPDATE media SET next_at = now()")  # its lease has ended
        (row,) = await settled(company)
        assert (row["state"], row["attempts"]) == ("stored", 2)
        assert await bytes_of(service, row) == PICTURE
        assert len(await company.told("channel.media_stored")) == 1


class TestUploads:
    async def test_an_upload_is_known_to_its_company_alone(
        self, company: Shop, other_company: Shop
    ) -> None:
        upload = UploadMedia(
            sha256="f" * 64, size=7, mime_type="a/" + "b" * 253, filename="ç" * 255
        )
        made = await company.value(upload, idempotency_key="once")
        again = await company.ask(upload, idempotency_key="once")
        assert again.replayed
        assert again.value == made
        assert await company.value(GetMedia(media_id=UUID(made["id"]))) == made
        assert made["state"] == "stored"
        located = await company.value(LocateMedia(media_id=UUID(made["id"])))
        assert (located["sha256"], located["filename"]) == ("f" * 64, "ç" * 255)
        assert await other_company.refusal(GetMedia(media_id=UUID(made["id"]))) == (
            *("not_found", "media_not_found"),
        )


class TestSending:
    async def test_waha_is_given_a_link_to_the_companys_own_file_alone(
        self, company: Shop, other_company: Shop, waha: WahaSimulator
    ) -> None:
        await company.connect()
        await other_company.connect(session="outra")
        upload = UploadMedia(
            sha256="e" * 64, size=7, mime_type="application/pdf", filename="preço.pdf"
        )
        media_id = UUID((await company.value(upload))["id"])

        async def send(shop: Shop, *states: str) -> dict[str, Any]:
            queued = queued_message(shop.channel_id, None, content_type="document")
            message = queued.message.model_copy(
                update={"media_id": media_id, "media_url": f"media:{media_id}"}
            )
            await shop.publish(queued.model_copy(update={"message": message}))
            return await shop.until_state(message.id, *states)

        sent = await send(company, "sent")
        media = waha.sent[sent["external_id"]].media
        assert media
        assert (media.mimetype, media.filename) == ("application/pdf", "preço.pdf")
        failed = await send(other_company, "failed")
        assert failed["reason"] == "media_not_found: There is no such file."
        (told,) = await other_company.told("channel.message_failed")
        assert told["code"] == "media_not_found"
