"""Fetching the file of a message from WAHA (docs/waha.md, "Media")."""

from dataclasses import dataclass

import structlog
from service_kit.media_store import UNKNOWN_TYPE, FileTooLargeError, MediaStore, StoredFile

from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.waha.client import (
    Waha,
    WahaAwayError,
    WahaError,
    WahaForbiddenError,
    WahaRefusedError,
    WahaRejectedError,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fetched:
    """It is in the store."""

    file: StoredFile
    mime_type: str
    thumbnail: StoredFile | None = None


@dataclass(frozen=True, slots=True)
class NotYet:
    """It could not be had now; worth trying again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Never:
    """It will not be had."""

    reason: str


class Fetching:
    """Fetches one file at a time for whoever asks."""

    def __init__(self, connections: Connections, store: MediaStore, limits: dict[str, int]) -> None:
        """`limits` has the most bytes by content type; what it does not name is a document."""
        self._connections = connections
        self._store = store
        self._limits = limits

    async def fetch(self, row: MediaRow, channel: ChannelRow) -> Fetched | NotYet | Never:
        """Take the file from its link, or from a new one where that is dead or was never given."""
        try:
            waha = self._connections.waha(channel)
            if row.url is not None:
                try:
                    return await self._download(row, waha, row.url)
                except WahaRejectedError as error:
                    log.debug("media_link_dead", media=str(row.id), status=error.status)
            url = await waha.file_of(row.chat_id or "", row.external_id or "")
            return NotYet("not_available") if url is None else await self._download(row, waha, url)
        except FileTooLargeError:
            return Never("too_large")
        except WahaForbiddenError:
            return Never("forbidden_address")
        except WahaRejectedError as error:
            return NotYet("gone" if error.status in (404, 410) else "rejected")
        except WahaRefusedError:
            return NotYet("key_refused")
        except WahaAwayError:
            return NotYet("waha_unavailable")
        except WahaError:
            return NotYet("waha_failed")
        except OSError as error:
            log.warning("media_not_stored", media=str(row.id), error=repr(error))
            return NotYet("store_unavailable")

    async def throw_away(self, tenant_id: str, file: StoredFile) -> None:
        """Take a file out of the store again."""
        await self._store.drop(tenant_id, file.sha256)

    async def _download(self, row: MediaRow, waha: Waha, url: str) -> Fetched:
        limit = self._limits.get(row.content_type or "", self._limits["document"])
        async with self._store.intake(limit) as intake:
            await waha.download(url, intake.add)
            file = await self._store.keep(row.tenant_id, intake)
            thumbnail = await self._store.keep_thumbnail(row.tenant_id, intake)
        return Fetched(file, file.mime_type or row.mime_type or UNKNOWN_TYPE, thumbnail)
