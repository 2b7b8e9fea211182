"""Fetches what is due: at once, a bounded number at a time, each WAHA server with its own share."""

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

import structlog
from service_kit.cause import Cause
from service_kit.database import Database, Transaction
from service_kit.media_store import StoredFile
from shared_events.channels.media import ChannelMediaFailed, ChannelMediaStored
from shared_events.identity import conversation_id

from crm_channels_waha import metrics
from crm_channels_waha.channels import repository as channels
from crm_channels_waha.media import repository, small
from crm_channels_waha.media.fetching import Fetched, Fetching, Never, NotYet
from crm_channels_waha.media.models import MediaRow

log = structlog.get_logger()

_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How many files at a time, in all and of one server; how often and how long to try."""

    at_once: int
    per_server: int
    attempts: int
    retry_seconds: float
    retry_max_seconds: float
    lease_seconds: float

    def pause(self, attempts: int) -> float:
        """Before the next attempt: twice as long after each, and never alike."""
        longest = min(self.retry_seconds * 2.0 ** min(attempts, 30), self.retry_max_seconds)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311


class MediaWorker:
    """Works through the files that are due; one per process, as many processes as there are."""

    def __init__(self, database: Database, fetching: Fetching, limits: Limits) -> None:
        self._database = database
        self._fetching = fetching
        self._limits = limits
        self._running: dict[asyncio.Task[None], str] = {}
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Fetch for ever; raises when the connection that hears of new files is lost."""
        connection = await self._database.dedicated("media")
        try:
            await connection.add_listener(repository.WAKE, lambda *_: self._wake.set())
            connection.add_termination_listener(lambda *_: self._wake.set())
            while not connection.is_closed():
                self._wake.clear()
                await self._start_due()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_SECONDS):
                        await self._wake.wait()
            raise ConnectionError("nobody tells of new files any more")
        finally:
            await self._stop()
            with suppress(Exception):
                await asyncio.shield(connection.close(timeout=5))

    async def _start_due(self) -> None:
        room = self._limits.at_once - len(self._running)
        if room <= 0:
            return
        async with self._database.system("media") as tx:
            due = await repository.claim(
                tx,
                Counter(self._running.values()),
                per_server=self._limits.per_server,
                limit=room,
                lease_seconds=self._limits.lease_seconds,
            )
        for row in due:
            task = asyncio.create_task(self._fetch(row), name=f"media-{row.id}")
            self._running[task] = row.server or ""
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._wake.set()
        if not task.cancelled() and (error := task.exception()):
            log.warning("media_fetch_broke", error=repr(error))  # its lease ends, and it is due

    async def _stop(self) -> None:
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _fetch(self, row: MediaRow) -> None:
        assert row.channel_id is not None
        async with self._database.tenant(row.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, (row.tenant_id, row.channel_id))
        outcome: Fetched | NotYet | Never
        if channel is None:
            outcome = Never("channel_gone")
        else:
            outcome = await self._fetching.fetch(row, channel)
        if isinstance(outcome, NotYet) and row.attempts >= self._limits.attempts:
            outcome = Never(outcome.reason)
        metrics.MEDIA.labels(type(outcome).__name__.lower()).inc()
        cause = Cause(row.correlation_id, row.causation_id, row.trace_context)
        async with self._database.tenant(row.tenant_id, cause=cause) as tx:
            await self._settle(tx, row, outcome)

    async def _settle(
        self, tx: Transaction, row: MediaRow, outcome: Fetched | NotYet | Never
    ) -> None:
        assert row.channel_id is not None
        assert row.chat_id is not None
        about = {
            "channel_id": row.channel_id,
            "external_id": row.external_id,
            "media_id": row.id,
        }
        told: ChannelMediaStored | ChannelMediaFailed
        match outcome:
            case Fetched(file, mime_type, thumbnail):
                if not await repository.mark_stored(tx, row.id, mime_type, file.size, file.sha256):
                    for one in filter(None, (file, thumbnail)):
                        await self._throw_away(tx, row, one)
                    return
                if thumbnail is not None:
                    await small.enter(tx, row, thumbnail)
                told = ChannelMediaStored.model_validate(
                    {**about, "mime_type": mime_type, "size": file.size}
                )
            case Never(reason):
                if not await repository.mark_failed(tx, row.id, reason):
                    return
                told = ChannelMediaFailed.model_validate({**about, "reason": reason})
            case NotYet(reason):
                pause = self._limits.pause(row.attempts)
                await repository.try_again(tx, row.id, pause, reason)
                return
        tx.outbox.add(told, conversation_id(row.channel_id, row.chat_id))

    async def _throw_away(self, tx: Transaction, row: MediaRow, file: StoredFile) -> None:
        """Nobody keeps a file whose row was erased while it was being fetched."""
        if await repository.find(tx, row.id) is None and not await repository.is_kept(
            tx, file.sha256, but=row.id
        ):
            await self._fetching.throw_away(row.tenant_id, file)
