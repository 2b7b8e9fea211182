"""Looking at the pictures of who writes."""

import asyncio

import structlog
from service_kit.database import Database, Transaction
from service_kit.ids import uuid7
from service_kit.media_store import FileTooLargeError, MediaStore, StoredFile
from shared_events.channels.profile_picture import ChannelProfilePictureSeen
from shared_events.contacts.contact import Identity
from shared_events.identity import conversation_id

from crm_channels_waha import metrics
from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.looks import LOOK_SECONDS, Pace
from crm_channels_waha.media import repository as media
from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.profile_pictures import repository
from crm_channels_waha.profile_pictures.models import ProfilePicture
from crm_channels_waha.waha.client import WahaError
from crm_channels_waha.waha.ids import person_id

log = structlog.get_logger()


class Pictures:
    """Fetches somebody's picture into the store, unless it is larger than `max_bytes`."""

    def __init__(
        self,
        database: Database,
        connections: Connections,
        store: MediaStore,
        pace: Pace,
        max_bytes: int,
    ) -> None:
        self._database = database
        self._connections = connections
        self._store = store
        self._pace = pace
        self._max_bytes = max_bytes

    async def look(self, row: ProfilePicture) -> None:
        """Look at one, and tell of it."""
        async with self._database.tenant(row.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, (row.tenant_id, row.channel_id))
        try:
            if channel is None:
                raise WahaError("the channel is gone")
            async with asyncio.timeout(LOOK_SECONDS):
                found = await self._fetch(row, channel)
        except (WahaError, OSError) as error:  # of which TimeoutError is one
            log.debug("profile_picture_not_seen", channel=str(row.channel_id), error=repr(error))
            metrics.PROFILE_PICTURES.labels("failed").inc()
            await self._put_off(row)
            return
        metrics.PROFILE_PICTURES.labels("none" if found is None else "seen").inc()
        async with self._database.tenant(row.tenant_id) as tx:
            await self._settle(tx, row.chat_id, found)

    async def _fetch(self, row: ProfilePicture, channel: ChannelRow) -> StoredFile | None:
        """The picture, in the store. What is too large, or no picture, counts as none."""
        waha = self._connections.waha(channel)
        url = await waha.profile_picture(row.chat_id)
        if url is None:
            return None
        try:
            async with self._store.intake(self._max_bytes) as intake:
                await waha.download(url, intake.add)
                _, file = intake.complete()
                if not (file.mime_type or "").startswith("image/"):
                    return None
                return await self._store.keep(row.tenant_id, intake)
        except FileTooLargeError:
            return None

    async def _put_off(self, row: ProfilePicture) -> None:
        async with self._database.tenant(row.tenant_id) as tx:
            await repository.rest(tx, row.channel_id, self._pace.pause_seconds)
            if row.attempts < self._pace.attempts:
                await repository.again(tx, row, self._pace.pause_after(row.attempts))
            else:
                await repository.looked(tx, row.chat_id, row.media_id)

    async def _settle(self, tx: Transaction, chat_id: str, file: StoredFile | None) -> None:
        row = await repository.lock(tx, chat_id)
        if row is None:
            if file is not None:
                await self._drop(tx, file.sha256, None)
            return
        before = await media.find(tx, row.media_id) if row.media_id else None
        now: MediaRow | None = None
        if file is not None:
            same = before is not None and before.sha256 == file.sha256
            now = before if same else await _kept(tx, row, file)
        await repository.looked(tx, chat_id, now.id if now else None)
        _tell(tx, row, now)
        if before is not None and before is not now:
            await self._drop(tx, before.sha256, before)
            await media.remove(tx, before.id)

    async def _drop(self, tx: Transaction, sha256: str | None, row: MediaRow | None) -> None:
        """The bytes go before the row that leads to them, unless another file is the same."""
        but = row.id if row else uuid7()
        if sha256 and not await media.is_kept(tx, sha256, but=but):
            await self._store.drop(tx.tenant_id, sha256)


async def _kept(tx: Transaction, row: ProfilePicture, file: StoredFile) -> MediaRow:
    kept = MediaRow.model_construct(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        state="stored",
        source="profile",
        mime_type=file.mime_type,
        size=file.size,
        sha256=file.sha256,
        channel_id=row.channel_id,
        chat_id=row.chat_id,
        sender=row.chat_id,
    )
    await media.MEDIA.insert(tx, [kept])
    return kept


def _tell(tx: Transaction, row: ProfilePicture, now: MediaRow | None) -> None:
    who = person_id(row.chat_id)
    if who is None or (now is None and row.media_id is None):
        return
    seen = ChannelProfilePictureSeen(
        channel_id=row.channel_id,
        identity=Identity(kind=who.kind, value=who.value),
        media_id=now.id if now else None,
        replaces=row.media_id if now is None or now.id != row.media_id else None,
    )
    tx.outbox.add(seen, conversation_id(row.channel_id, row.chat_id))
