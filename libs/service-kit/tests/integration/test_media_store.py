"""A store of files is the same wherever it is: a directory, or a bucket behind S3's API."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from service_kit.media_store import FileTooLargeError, MediaStore, MediaStoreSettings, StoredFile
from service_kit.settings import ConfigurationError, load

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 30


class Bucket:
    """As much of S3 as a store needs: objects put whole, read whole or in part."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.is_away = False

    async def serve(self, request: web.Request) -> web.Response:
        if self.is_away:
            raise web.HTTPForbidden
        assert request.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=key-id/")
        name = request.path.removeprefix("/files/")
        if request.method == "PUT":
            self.objects[name] = await request.read()
            return web.Response(headers={"ETag": '"1"'})
        if name not in self.objects:
            raise web.HTTPNotFound
        content, asked = self.objects[name], request.http_range
        headers = {"ETag": '"1"', "Last-Modified": "Sun, 01 Mar 2026 12:00:00 GMT"}
        if "Range" not in request.headers:
            return web.Response(body=content, headers=headers)
        part = content[asked]
        start = asked.start or 0
        headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(content)}"
        return web.Response(status=206, body=part, headers=headers)


@pytest.fixture
async def bucket() -> AsyncIterator[tuple[Bucket, str]]:
    bucket, app = Bucket(), web.Application(client_max_size=2**24)
    app.router.add_route("*", "/{any:.*}", bucket.serve)
    async with TestServer(app) as server:
        yield bucket, str(server.make_url("")).rstrip("/")


def settings(**changes: Any) -> MediaStoreSettings:
    return MediaStoreSettings.model_validate(
        {
            "crm_env": "test",
            "database_url": "postgresql://nobody",
            "rabbitmq_url": "amqp://nobody",
            **changes,
        }
    )


def on_s3(url: str, spool: Path) -> MediaStore:
    return settings(
        media_store_url="s3://files/kept",
        media_s3_endpoint=url,
        media_s3_access_key_id="key-id",
        media_s3_secret_access_key="secret",
        media_spool=str(spool),
    ).media_store


async def kept(store: MediaStore, tenant: str, *chunks: bytes, limit: int = 2**20) -> StoredFile:
    async with store.intake(limit) as intake:
        for chunk in chunks:
            await intake.add(chunk)
        return await store.keep(tenant, intake)


async def read(store: MediaStore, tenant: str, file: StoredFile, *part: int) -> bytes:
    start, length = part or (0, file.size)
    chunks = await store.read(tenant, file.sha256, start, length)
    return b"".join([chunk async for chunk in chunks])


class TestStores:
    @pytest.mark.parametrize("kind", ["directory", "s3"])
    async def test_give_back_to_each_company_what_it_put_there(
        self, kind: str, tmp_path: Path, bucket: tuple[Bucket, str]
    ) -> None:
        spool = tmp_path / "spool"
        spool.mkdir()
        directory = settings(media_store_url=(tmp_path / "files").as_uri(), media_spool=str(spool))
        store = directory.media_store if kind == "directory" else on_s3(bucket[1], spool)
        file = await kept(store, "tenant-a", PNG[:5], PNG[5:])
        assert file == StoredFile(hashlib.sha256(PNG).hexdigest(), len(PNG), "image/png")
        assert await kept(store, "tenant-a", PNG) == file
        assert await read(store, "tenant-a", file) == PNG
        assert await read(store, "tenant-a", file, 7, 100) == PNG[7:107]
        with pytest.raises(FileNotFoundError):
            await read(store, "tenant-b", file)
        text = await kept(store, "tenant-b", b"ol\xc3\xa1")
        assert (text.mime_type, await read(store, "tenant-b", text)) == (None, b"ol\xc3\xa1")
        empty = await kept(store, "tenant-b")
        assert await read(store, "tenant-b", empty) == b""
        with pytest.raises(FileTooLargeError):
            await kept(store, "tenant-a", PNG, limit=len(PNG) - 1)
        assert list(spool.iterdir()) == []
        if kind == "s3":
            assert sorted(name.split("/")[:2] for name in bucket[0].objects) == [
                ["kept", "tenant-a"],
                *([["kept", "tenant-b"]] * 2),
            ]

    async def test_that_are_away_say_so(self, tmp_path: Path, bucket: tuple[Bucket, str]) -> None:
        store = on_s3(bucket[1], tmp_path)
        file = await kept(store, "tenant-a", PNG)
        bucket[0].is_away = True
        with pytest.raises(OSError, match="did not take"):
            await kept(store, "tenant-a", PNG)
        with pytest.raises(OSError, match="did not answer"):
            await read(store, "tenant-a", file)

    def test_production_must_name_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CRM_ENV", "production")
        with pytest.raises(ConfigurationError, match="MEDIA_STORE_URL"):
            load(MediaStoreSettings)
