"""What is asked about files."""

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.ids import uuid7
from service_kit.media_links import reference
from shared_events.channels.media import (
    GetMedia,
    LocateMedia,
    MediaFile,
    MediaPlace,
    UploadMedia,
)

from crm_channels_waha.media import repository
from crm_channels_waha.media.models import MediaRow


async def upload(tx: Transaction, request: UploadMedia, call: Call) -> MediaFile:
    """Know a file that is in the store by now."""
    del call
    row = MediaRow.model_construct(
        id=uuid7(), tenant_id=tx.tenant_id, state="stored", source="upload", **request.model_dump()
    )
    await repository.MEDIA.insert(tx, [row])
    return _resource(row)


async def get(tx: Transaction, request: GetMedia, call: Call) -> MediaFile:
    """What is known of a file; NotFoundError."""
    del call
    row = await repository.find(tx, request.media_id)
    if row is None:
        raise NotFoundError("media")
    return _resource(row)


async def locate(tx: Transaction, request: LocateMedia, call: Call) -> MediaPlace:
    """Where a file's bytes are; NotFoundError."""
    del call
    row = await repository.find(tx, request.media_id)
    if row is None:
        raise NotFoundError("media")
    return MediaPlace.model_validate(row, from_attributes=True)


def _resource(row: MediaRow) -> MediaFile:
    url = reference(row.id) if row.state == "stored" else None
    shown = MediaFile.model_validate(row, from_attributes=True)
    thumbnail_url = reference(row.thumbnail_id) if row.thumbnail_id else None
    return shown.model_copy(update={"url": url, "thumbnail_url": thumbnail_url})
