"""Files: kept by what is in them, each company's apart (docs/adr/0020).

A store is a directory or an S3 bucket; whoever is given the same one sees the same files. A file
is written to disk first, where it is measured and hashed, so that memory stays flat and nothing
half is ever in the store. Keeping one twice is keeping it once.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, BinaryIO, cast
from uuid import uuid4

import filetype
import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store
from pydantic import Field, SecretStr

from service_kit.ailments import Ailment
from service_kit.settings import ServiceSettings
from service_kit.thumbnails import READABLE, thumbnail_of

if TYPE_CHECKING:
    from obstore.store import S3Config

UNKNOWN_TYPE = "application/octet-stream"
_CHUNK_BYTES = 256 * 1024
_SNIFFED_BYTES = 8192


class MediaStoreSettings(ServiceSettings):
    """Settings of services that keep files or read them."""

    media_store_url: str | None = Field(
        default=None,
        pattern=r"^(s3|file)://",
        description="where files are kept, the same for gateway and channels-waha:"
        " `s3://bucket/prefix` or `file:///directory`; outside production a temporary directory"
        " unless set",
    )
    media_spool: str | None = Field(
        default=None,
        description="directory where a file is before it is kept; on disk, for memory's sake;"
        " the system's temporary one unless set",
    )
    media_s3_endpoint: str | None = Field(
        default=None, pattern=r"^https?://", description="of an S3 that is not Amazon's"
    )
    media_s3_region: str = Field(default="us-east-1", description="of the bucket")
    media_s3_access_key_id: SecretStr | None = Field(
        default=None, description="for the bucket, unless the machine's own role may use it"
    )
    media_s3_secret_access_key: SecretStr | None = Field(
        default=None, description="belongs to the key id"
    )

    def problems(self) -> list[str]:
        """A directory of the process's own would be gone with it."""
        found = super().problems()
        if self.media_store_url is None:
            found.append("MEDIA_STORE_URL must say where files are kept")
        return found

    @property
    def media_store(self) -> "MediaStore":
        """The store these settings name."""
        url = self.media_store_url or (Path(gettempdir()) / "ventros-crm-media").as_uri()
        if url.startswith("file:"):
            directory = url.removeprefix("file://")
            return MediaStore(LocalStore(directory, mkdir=True), self.media_spool)
        bucket, _, prefix = url.removeprefix("s3://").partition("/")
        config: S3Config = {"region": self.media_s3_region}
        if self.media_s3_endpoint is not None:
            config["endpoint"] = self.media_s3_endpoint
        if self.media_s3_access_key_id and self.media_s3_secret_access_key:
            config["access_key_id"] = self.media_s3_access_key_id.get_secret_value()
            config["secret_access_key"] = self.media_s3_secret_access_key.get_secret_value()
        plain = (self.media_s3_endpoint or "").startswith("http:")
        return MediaStore(
            S3Store(
                bucket, prefix=prefix or None, config=config, client_options={"allow_http": plain}
            ),
            self.media_spool,
        )


class FileTooLargeError(Exception):
    """There is more of the file than it may have; what came of it is thrown away."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in the store. `mime_type` is what its bytes are, None where they do not tell."""

    sha256: str
    size: int
    mime_type: str | None


class Intake:
    """A file on its way into the store, on disk so far."""

    def __init__(self, path: Path, file: BinaryIO, max_bytes: int) -> None:
        self._path = path
        self._file = file
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()
        self._begins = b""
        self._size = 0

    async def add(self, chunk: bytes) -> None:
        """Take the next bytes; raises FileTooLargeError as soon as there are too many."""
        self._size += len(chunk)
        if self._size > self._max_bytes:
            raise FileTooLargeError
        if len(self._begins) < _SNIFFED_BYTES:
            self._begins += chunk[: _SNIFFED_BYTES - len(self._begins)]
        await asyncio.to_thread(self._write, chunk)

    def _write(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._file.write(chunk)

    def complete(self) -> tuple[Path, StoredFile]:
        """The file on disk, whole, and what it is."""
        self._file.flush()
        found = filetype.guess(self._begins) if self._begins else None
        mime_type = cast(str, found.mime) if found is not None else None
        return self._path, StoredFile(self._hash.hexdigest(), self._size, mime_type)


class MediaStore:
    """The files of all companies. What is asked for by one is never another's."""

    def __init__(self, store: "ObjectStore", spool: str | None = None) -> None:
        self._store = store
        self._spool = spool
        self._decoding = asyncio.Semaphore(1)  # pictures take memory while they are decoded

    @asynccontextmanager
    async def intake(self, max_bytes: int) -> AsyncIterator[Intake]:
        """A place on disk for a file of at most so many bytes; gone at the end of the context."""
        with TemporaryDirectory(prefix="media-", dir=self._spool) as directory:
            path = Path(directory) / "file"
            with path.open("xb", buffering=_CHUNK_BYTES) as file:
                yield Intake(path, file, max_bytes)

    async def keep(self, tenant_id: str, intake: Intake) -> StoredFile:
        """Put a file that is complete into the store. Raises OSError when the store is away."""
        path, stored = await asyncio.to_thread(intake.complete)
        try:
            await obstore.put_async(self._store, _key(tenant_id, stored.sha256), path)
        except BaseError as error:
            raise OSError(f"the store did not take the file: {type(error).__name__}") from error
        return stored

    async def keep_thumbnail(self, tenant_id: str, intake: Intake) -> StoredFile | None:
        """Put a small picture of a file that is complete into the store; None where it is none.

        Raises OSError when the store is away.
        """
        path, whole = await asyncio.to_thread(intake.complete)
        if whole.mime_type not in READABLE:
            return None
        async with self._decoding:
            content = await asyncio.to_thread(thumbnail_of, path, whole.mime_type)
        if content is None:
            return None
        async with self.intake(len(content)) as small:
            await small.add(content)
            return await self.keep(tenant_id, small)

    async def examine(self) -> list[Ailment]:
        """Write a file of nobody's, read it and remove it, as `doctor` asks."""
        key = f"doctor/{uuid4()}"
        try:
            await obstore.put_async(self._store, key, b"doctor")
            await (await obstore.get_async(self._store, key)).bytes_async()
            await obstore.delete_async(self._store, key)
        except (BaseError, OSError) as error:
            said = f"a file cannot be written, read and removed ({type(error).__name__})"
            return [Ailment(said, "look at MEDIA_STORE_URL, MEDIA_S3_* and the rights they give")]
        return []

    async def drop(self, tenant_id: str, sha256: str) -> None:
        """Take a file out of the store, if it is there. Raises OSError when the store is away."""
        try:
            await obstore.delete_async(self._store, _key(tenant_id, sha256))
        except FileNotFoundError:
            return
        except BaseError as error:
            raise OSError(f"the store did not drop the file: {type(error).__name__}") from error

    async def read(
        self, tenant_id: str, sha256: str, start: int, length: int
    ) -> AsyncIterator[bytes]:
        """A part of a file, in chunks, the store asked before this returns.

        Raises FileNotFoundError when the file is not there, OSError when the store is away.
        """
        try:
            found = await obstore.get_async(
                self._store,
                _key(tenant_id, sha256),
                options={"range": (start, start + length)} if length else {},
            )
        except BaseError as error:
            raise OSError(f"the store did not answer: {type(error).__name__}") from error
        return _chunks(found) if length else _nothing()


async def _chunks(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    async for chunk in found.stream(min_chunk_size=_CHUNK_BYTES):
        yield bytes(chunk)


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


def _key(tenant_id: str, sha256: str) -> str:
    return f"{tenant_id}/{sha256[:2]}/{sha256}"
