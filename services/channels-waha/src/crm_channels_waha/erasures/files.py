"""A person's files: those they sent, in their chats and in groups, and those only they were sent.

The bytes go before the row that leads to them: a crash between the two is made good by the next
pass. They stay where another file of the company's has the same content.
"""

from uuid import UUID

from service_kit.erasing import Pass
from service_kit.media_store import MediaStore

from crm_channels_waha.media import repository

_CAME = """
SELECT id FROM media
WHERE tenant_id = $1 AND (chat_id = ANY($2::text[]) OR sender = ANY($2::text[])) LIMIT 1000
"""
# What is under way is left to the next pass, with its entry of the ledger.
_WENT = """
SELECT DISTINCT o.media_id AS id FROM outbound_messages o
JOIN media m ON m.id = o.media_id AND m.tenant_id = $1
WHERE o.tenant_id = $1 AND o.media_id IS NOT NULL AND o.chat_id = ANY($2::text[])
    AND NOT EXISTS (SELECT 1 FROM outbound_messages other
        WHERE other.tenant_id = $1 AND other.media_id = o.media_id
            AND (other.chat_id <> ALL($2::text[]) OR other.state NOT IN ('sent', 'failed')))
LIMIT 1000
"""


async def erase(one: Pass, store: MediaStore) -> None:
    """Remove them, a file at a time."""
    for statement in (_CAME, _WENT):
        async with one.transaction() as tx:
            ids = [row["id"] for row in await tx.fetch(statement, one.tenant_id, one.chats)]
        for media_id in ids:
            await _remove(one, store, media_id)


async def _remove(one: Pass, store: MediaStore, media_id: UUID) -> None:
    async with one.transaction() as tx:
        row = await repository.find(tx, media_id)
    if row is None:
        return
    if row.thumbnail_id is not None:  # before what leads to it
        await _remove(one, store, row.thumbnail_id)
    async with one.transaction() as tx:
        if row.sha256 and not await repository.is_kept(tx, row.sha256, but=media_id):
            await store.drop(one.tenant_id, row.sha256)
        await one.note(tx, "media", await repository.remove(tx, media_id))
