"""Working on an import, a page at a time, whoever asks for it: a workflow, or the process itself.

WAHA is asked in no transaction. What a page had and where its chat goes on are one, under the
import's lock: a process that dies in the middle leaves nothing half done, and of two that read one
page, one tells it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from service_kit.cause import Cause
from service_kit.database import Database, is_busy, is_infrastructure
from service_kit.jobs.schemas import JobRef
from service_kit.jobs.states import COMPLETED, ENDED, QUEUED, RUNNING
from shared_events.channels.history import PAGE_MESSAGES

from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.history import progress, repository
from crm_channels_waha.history.models import HistoryChat, HistoryImportRow
from crm_channels_waha.history.reading import Page, begins, read
from crm_channels_waha.inbound.consumers import listener_of
from crm_channels_waha.waha.client import (
    Waha,
    WahaAwayError,
    WahaRefusedError,
    WahaRejectedError,
)
from crm_channels_waha.waha.context import chat_of
from crm_channels_waha.waha.meaning import Kept
from crm_channels_waha.waha.reading import Json, mapping, number, text

log = structlog.get_logger()

CHATS_PAGE = 100
_EMPTY_PAGES = 2
"""Engines leave out after paging what is not wanted: so many empty pages in a row are the end."""
_ATTEMPTS = 5
"""To read a page of one chat, while WAHA is well otherwise."""
_LEAST_PAUSE, _MOST_PAUSE = 0.05, 2.0


class _NotNowError(Exception):
    """WAHA is away, or its session is not in the status the call needs: it may be, later."""


class _NeverError(Exception):
    """The import cannot go on; `code` says why."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Runner:
    """Works on imports of history. Groups are looked up anew after `group_days`; 0: never."""

    database: Database
    connections: Connections
    group_days: int = 0

    async def advance(
        self, ref: JobRef, seconds: float = 20.0, is_over: Callable[[], bool] = bool
    ) -> bool:
        """Work on an import for so long, or until `is_over`; whether there is more to do.

        Raises what the database raises while it is away: worth trying again. While WAHA is away the
        import gives its place to others, and is looked at again once it is due; whatever else goes
        wrong is its end.
        """
        until, pause, moved = time.monotonic() + seconds, _LEAST_PAUSE, False
        try:
            while time.monotonic() < until and not is_over():
                began = time.monotonic()
                try:
                    if not await self._step(ref):
                        return False
                    moved = True
                    # As long a pause as the work took: live traffic comes first.
                    pause = min(max(time.monotonic() - began, _LEAST_PAUSE), _MOST_PAUSE)
                except _NotNowError:
                    if pause == _MOST_PAUSE:
                        return moved
                    pause = min(pause * 2, _MOST_PAUSE)
                await asyncio.sleep(pause)
        except _NeverError as error:
            await self._give_up(ref, error.code, str(error))
            return False
        except Exception as error:
            if is_infrastructure(error) or is_busy(error) or isinstance(error, TimeoutError):
                raise
            log.exception("history_import_failed", history_import=str(ref.id))
            await self._give_up(ref, "internal_error", "Something went wrong on our side.")
            return False
        return True

    async def _step(self, ref: JobRef) -> bool:
        """Read a page, of the chats or of one chat; whether there is more to do."""
        async with self.database.tenant(ref.tenant_id, read_only=True) as tx:
            job = await repository.IMPORTS.find(tx, ref.id)
            if job is None or job.state not in (QUEUED, RUNNING):
                return False
            channel = await channels.find_if_any(tx, (ref.tenant_id, job.channel_id))
            chat = await repository.next_chat(tx, ref.id) if job.state == RUNNING else None
            ahead = await repository.is_ahead(tx)
        if channel is None:
            raise _NeverError("channel_gone", "The channel was deleted.")
        if job.phone and channel.phone and channel.phone != job.phone:
            raise _NeverError("number_changed", "The channel has another number now.")
        if ahead:  # the bus is everybody's
            raise _NotNowError
        waha = self._waha(channel)
        if job.state == QUEUED:
            return await self._chats(job, channel, waha)
        if chat is None:
            return await self._complete(job)
        return await self._page(job, channel, chat, waha)

    def _waha(self, channel: ChannelRow) -> Waha:
        try:
            return self.connections.waha(channel)
        except WahaRefusedError as error:
            raise _NeverError("waha_refused", str(error)) from None

    async def _chats(self, job: HistoryImportRow, channel: ChannelRow, waha: Waha) -> bool:
        """Note a page of the session's chats."""
        try:
            rows = await waha.chats(offset=job.chats_offset, limit=CHATS_PAGE)
        except WahaAwayError:
            raise _NotNowError from None
        except WahaRefusedError as error:
            raise _NeverError("waha_refused", str(error)) from None
        except WahaRejectedError as error:
            if error.waits_for_session:
                raise _NotNowError from None
            raise _NeverError("waha_rejected", str(error)) from None
        wanted = [row for row in rows if not _is_before(row, job)]
        ids = _conversations(wanted, channel)
        empty = 0 if wanted else job.empty_pages + 1
        async with self.database.tenant(job.tenant_id, cause=Cause(job.correlation_id)) as tx:
            now = await repository.IMPORTS.lock(tx, job.id)
            if now is None or now.state != QUEUED:
                return False
            if now.chats_offset != job.chats_offset:  # somebody else was here
                return True
            await repository.add_chats(
                tx,
                [
                    HistoryChat(
                        tenant_id=job.tenant_id,
                        import_id=job.id,
                        chat_id=chat_id,
                        place=job.chats_offset + n,
                    )
                    for n, chat_id in enumerate(ids)
                ],
            )
            changes: dict[str, Any] = {
                "chats_offset": job.chats_offset + CHATS_PAGE,
                "empty_pages": empty,
            }
            if empty >= _EMPTY_PAGES:
                total = await repository.count_chats(tx, job.id)
                changes |= {"total": total, "state": RUNNING}
            await progress.save(tx, now, now.model_copy(update=changes))
        return True

    async def _page(
        self, job: HistoryImportRow, channel: ChannelRow, chat: HistoryChat, waha: Waha
    ) -> bool:
        """Tell a page of a chat, and note where it goes on."""
        limit = PAGE_MESSAGES
        if job.messages_per_chat is not None:
            limit = min(limit, job.messages_per_chat - chat.position)
        try:
            rows = await waha.history(
                chat.chat_id,
                offset=chat.position,
                limit=limit,
                since=since.timestamp() if (since := begins(job)) else None,
                until=job.until.timestamp(),
            )
        except WahaAwayError:
            return await self._failed(job, chat, waha)
        except WahaRefusedError as error:
            raise _NeverError("waha_refused", str(error)) from None
        except WahaRejectedError as error:
            if error.waits_for_session:
                raise _NotNowError from None
            return await self._go_on(job, chat, {"finished": True}, errors=1)
        page = read(job, channel, rows[:limit], Cause(job.correlation_id))
        position = chat.position + limit
        empty = 0 if rows else chat.empty_pages + 1
        is_enough = job.messages_per_chat is not None and position >= job.messages_per_chat
        changes = {
            "position": position,
            "empty_pages": empty,
            "attempts": 0,
            "finished": empty >= _EMPTY_PAGES or is_enough,
        }
        return await self._go_on(job, chat, changes, page, errors=page.errors)

    async def _failed(self, job: HistoryImportRow, chat: HistoryChat, waha: Waha) -> bool:
        """WAHA gave no page. Where it is well otherwise, the chat is not tried for ever."""
        try:
            session = await waha.describe()
        except (WahaAwayError, WahaRefusedError, WahaRejectedError):
            raise _NotNowError from None
        if session is None or session.status != "WORKING":
            raise _NotNowError
        attempts = chat.attempts + 1
        given_up = attempts >= _ATTEMPTS
        changes = {"attempts": attempts, "finished": given_up}
        more = await self._go_on(job, chat, changes, errors=int(given_up))
        if more and not given_up:
            raise _NotNowError
        return more

    async def _go_on(
        self,
        job: HistoryImportRow,
        chat: HistoryChat,
        changes: Mapping[str, Any],
        page: Page | None = None,
        *,
        errors: int,
    ) -> bool:
        """Tell a page and note where its chat goes on, unless the import was held meanwhile."""
        async with self.database.tenant(job.tenant_id, cause=Cause(job.correlation_id)) as tx:
            now = await repository.IMPORTS.lock(tx, job.id)
            if now is None or now.state != RUNNING:
                return False
            if not await repository.is_still(tx, chat):  # somebody else was here
                return True
            told = await page.tell(tx, self.group_days) if page else 0
            after = chat.model_copy(update=changes)
            await repository.save_chat(tx, after)
            counts = {
                "messages": now.messages + told,
                "errors": now.errors + errors,
                "done": now.done + after.finished,
            }
            await progress.save(tx, now, now.model_copy(update=counts))
        return True

    async def _complete(self, job: HistoryImportRow) -> bool:
        async with self.database.tenant(job.tenant_id, cause=Cause(job.correlation_id)) as tx:
            now = await repository.IMPORTS.lock(tx, job.id)
            if now is not None and now.state == RUNNING:
                await progress.save(tx, now, now.model_copy(update={"state": COMPLETED}))
        return False

    async def _give_up(self, ref: JobRef, code: str, detail: str) -> None:
        async with self.database.tenant(ref.tenant_id) as tx:
            job = await repository.IMPORTS.lock(tx, ref.id)
            if job is not None and job.state not in ENDED:
                await progress.save(tx, job, progress.failed(job, code, detail))


def _is_before(row: Json, job: HistoryImportRow) -> bool:
    """Whether nothing was said in a chat since what is to be recovered; chats come newest first."""
    said_at = number(mapping(row.get("lastMessage")).get("timestamp"))
    since = begins(job) if job.recovered else None
    return since is not None and said_at is not None and 0 < said_at < int(since.timestamp())


def _conversations(rows: Sequence[Json], channel: ChannelRow) -> list[str]:
    """The ids of those chats that are conversations of the channel's, as WAHA spells them."""
    listener = listener_of(channel)
    ids = (text(row.get("id")) or text(mapping(row, "id").get("_serialized")) for row in rows)
    return [id_ for id_ in ids if id_ and not isinstance(chat_of(id_, listener), Kept)]
