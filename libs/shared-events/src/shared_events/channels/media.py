"""Files: what came with messages, and what agents upload to send (docs/adr/0020)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.requests import Command, Query

MediaState = Literal["pending", "stored", "failed"]
Sha256 = Annotated[str, StringConstraints(max_length=64, pattern=r"^[0-9a-f]{64}$")]
"""Of a file's bytes, in hexadecimal: by it the store knows the file."""
Size = Annotated[int, Field(ge=0, lt=2**40)]
"""In bytes."""


class MediaFile(Contract):
    """A file. `url` leads to its bytes for a while, without a login; ask again for another.

    It is `pending` until it has been fetched from WhatsApp, and `failed` with a `reason` when it
    cannot be. `mime_type` is what its bytes are, where they tell. `thumbnail_url` leads to a small
    WebP of a JPEG, PNG or WebP, at most 320 pixels wide and high, where one could be made.
    """

    id: UUID
    state: MediaState
    reason: bounds.Word | None = None
    url: bounds.Url | None = None
    thumbnail_url: bounds.Url | None = None
    mime_type: bounds.MimeType | None = None
    size: Size | None = None
    filename: bounds.FileName | None = None


class MediaPlace(Contract):
    """Where a file's bytes are, for who serves them; `sha256` is missing until it is stored."""

    state: MediaState
    sha256: Sha256 | None = None
    mime_type: bounds.MimeType | None = None
    size: Size | None = None
    filename: bounds.FileName | None = None


class UploadMedia(Command[MediaFile], key="channels.media.upload"):
    """Upload a file (`multipart/form-data`, one part named `file`), to send it by its `media_id`.

    What is said of it here was found out where its bytes were taken: they are in the store.
    """

    sha256: Sha256
    size: Size
    mime_type: bounds.MimeType
    filename: bounds.FileName


class GetMedia(Query[MediaFile], key="channels.media.get"):
    """Read what is known of a file, with a new link to its bytes."""

    media_id: UUID


class LocateMedia(Query[MediaPlace], key="channels.media.locate"):
    """Download a file by a signed link. Parts can be asked for (`Range`)."""

    media_id: UUID


class ChannelMediaStored(EventData, type="channel.media_stored", aggregate="conversation"):
    """The file of a message is in the store."""

    channel_id: UUID
    external_id: bounds.ExternalId
    media_id: UUID
    mime_type: bounds.MimeType
    size: Size


class ChannelMediaFailed(EventData, type="channel.media_failed", aggregate="conversation"):
    """The file of a message cannot be had; `reason` is a word that says why."""

    channel_id: UUID
    external_id: bounds.ExternalId
    media_id: UUID
    reason: bounds.Word
