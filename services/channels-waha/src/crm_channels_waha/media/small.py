"""Thumbnails are files like others, with an id that follows from that of the whole one."""

from uuid import uuid5

from service_kit.database import Transaction
from service_kit.media_store import StoredFile
from service_kit.thumbnails import MIME_TYPE

from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.media.repository import MEDIA


async def enter(tx: Transaction, whole: MediaRow, thumbnail: StoredFile) -> None:
    """Know the small picture of a file; it is in the store.

    It is of the same people as the whole one, and is erased with it.
    """
    small = MediaRow.model_construct(
        id=uuid5(whole.id, "thumbnail"),
        tenant_id=whole.tenant_id,
        state="stored",
        source="thumbnail",
        mime_type=MIME_TYPE,
        size=thumbnail.size,
        sha256=thumbnail.sha256,
        channel_id=whole.channel_id,
        chat_id=whole.chat_id,
        sender=whole.sender,
    )
    await MEDIA.insert(tx, [small])
    await MEDIA.update(tx, [whole.model_copy(update={"thumbnail_id": small.id})], "thumbnail_id")
