"""Finding channels that say they work and hear nothing, and putting them right.

A channel is looked at when it is silent for longer than is its habit, when a message of ours does
not come back, and when it is back after it was away. WAHA is asked in no transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from service_kit.database import Database, Transaction

from crm_channels_waha import metrics
from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.status import DEAF, StatusBook
from crm_channels_waha.hearing import repository
from crm_channels_waha.hearing.models import Hearing
from crm_channels_waha.hearing.repository import Patience
from crm_channels_waha.history.recovering import begin
from crm_channels_waha.liveness.probing import Probe, probe
from crm_channels_waha.waha.client import Waha, WahaError
from crm_channels_waha.waha.session import WahaSession

log = structlog.get_logger()

_EVERY_SECONDS = 5.0
_AT_ONCE = 10
"""Channels looked at side by side."""

Ears = Callable[[], Awaitable[bool]]
"""Whether we ourselves hear: with the broker away, every channel would seem deaf."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Looks at channels; one per process, as many processes as there are.

    `settle_seconds` are WAHA's to catch up by itself before what was missed is read.
    """

    database: Database
    connections: Connections
    status: StatusBook
    patience: Patience
    settle_seconds: float
    ears: Ears

    async def run(self) -> None:
        """Look for ever. After we heard nothing ourselves, what waits for us has its time first."""
        every = min(_EVERY_SECONDS, self.patience.quiet)
        listening_since: datetime | None = None
        while True:
            if not await self.ears():
                listening_since = None
            elif listening_since is None:
                listening_since = datetime.now(UTC)
            elif self._before() >= listening_since:
                while await self.look() == _AT_ONCE:
                    pass
            await self._count()
            await asyncio.sleep(every)

    async def look(self) -> int:
        """Look at those that are due now; returns how many those were."""
        async with self.database.system(repository.SCOPE) as tx:
            due = await repository.claim(tx, self.patience, _AT_ONCE)
        ended = await asyncio.gather(*map(self._look_at, due), return_exceptions=True)
        for one, error in zip(due, ended, strict=True):
            if isinstance(error, Exception):  # the others are looked at all the same
                log.warning("channel_look_broke", channel_id=str(one.channel_id), error=repr(error))
        return len(due)

    async def _count(self) -> None:
        async with self.database.system(repository.SCOPE) as tx:
            deaf = await repository.deaf(tx)
        metrics.WAHA_DEAF.clear()
        for channel_id in deaf:
            metrics.WAHA_DEAF.labels(str(channel_id)).set(1)

    def _before(self) -> datetime:
        """What was said after this may be on its way."""
        return datetime.now(UTC) - timedelta(seconds=self.patience.grace)

    async def _look_at(self, due: Hearing) -> None:
        key = due.tenant_id, due.channel_id
        async with self.database.tenant(due.tenant_id, read_only=True) as tx:
            channel = await channels.find_if_any(tx, key)
        if channel is None:
            return
        before = self._before()
        try:
            waha = self.connections.waha(channel)
        except WahaError:  # a key that cannot be sent: sending says so
            return
        found = await probe(waha, channel, before)
        outcome = await self._conclude(channel, found, before)
        metrics.WAHA_PROBES.labels(outcome).inc()
        if outcome == "deaf":
            await self._repair(channel, found, waha)

    async def _conclude(self, channel: ChannelRow, found: Probe, before: datetime) -> str:
        """Write down what the look came to; whoever is back reads what it missed."""
        async with self.database.tenant(channel.tenant_id) as tx:
            now = await channels.find_if_any(tx, (channel.tenant_id, channel.id), lock=True)
            hearing = await repository.find(tx, (channel.tenant_id, channel.id), lock=True)
            if now is None or hearing is None:
                return "away"
            outcome = found.outcome(hearing.said_at, before)
            changes: dict[str, Any] = {}
            if outcome == "away":
                changes["gap_since"] = hearing.gap_since or hearing.said_at
            elif outcome != "not_working" and await self._recovers(tx, now, hearing):
                newest = max(hearing.said_at, found.newest or hearing.said_at)
                changes, outcome = {"gap_since": None, "said_at": newest}, "heard"
            elif outcome == "deaf":
                changes["deaf_since"] = hearing.deaf_since or hearing.said_at
                changes["gap_since"] = hearing.gap_since or hearing.said_at
            changes["outcome"] = outcome
            await repository.note(tx, hearing.model_copy(update=changes))
            if outcome == "deaf" and now.status == "connected":
                await self.status.declare(tx, channel.id, "degraded", DEAF)
        if outcome in ("heard", "not_working") and found.session and hearing.deaf_since is None:
            await self._report(channel, found.session)
        return outcome

    async def _recovers(self, tx: Transaction, channel: ChannelRow, hearing: Hearing) -> bool:
        """Whether what was missed is being read from now on: then nothing is missing."""
        return hearing.gap_since is not None and await begin(
            tx, channel, since=hearing.gap_since, settle_seconds=self.settle_seconds
        )

    async def _report(self, channel: ChannelRow, session: WahaSession) -> None:
        async with self.database.tenant(channel.tenant_id) as tx:
            await self.status.answered(tx, channel, session)

    async def _repair(self, channel: ChannelRow, found: Probe, waha: Waha) -> None:
        """Restart the session, unless that was just tried. The next look reads what it missed."""
        key = channel.tenant_id, channel.id
        now = datetime.now(UTC)
        async with self.database.tenant(channel.tenant_id) as tx:
            hearing = await repository.find(tx, key, lock=True)
            if hearing is None or hearing.deaf_since is None or self._is_too_soon(hearing, now):
                return
            repaired_at = hearing.repaired_at
            in_a_row = repaired_at and now - repaired_at < self._calm()
            repairs = hearing.repairs + 1 if in_a_row else 1
            changes = {"repairs": repairs, "repaired_at": now}
            await repository.note(tx, hearing.model_copy(update=changes))
        log.warning("channel_deaf", channel_id=str(channel.id), repairs=repairs)
        try:
            session = await self._restarted(channel, found, waha)
        except WahaError as error:
            log.info("channel_not_restarted", channel_id=str(channel.id), error=str(error))
            return
        async with self.database.tenant(channel.tenant_id) as tx:
            await self.status.answered(tx, channel, session)

    def _is_too_soon(self, hearing: Hearing, now: datetime) -> bool:
        pause = timedelta(seconds=self.patience.pause(hearing.repairs))
        return hearing.repaired_at is not None and now - hearing.repaired_at < pause

    def _calm(self) -> timedelta:
        """Without a repair for so long, the next one is the first again."""
        return timedelta(seconds=2 * self.patience.repair_max)

    async def _restarted(self, channel: ChannelRow, found: Probe, waha: Waha) -> WahaSession:
        """Whoever took our webhook out of the session made it deaf: WAHA restarts for a config."""
        config = found.session.config if found.session else {}
        ours = self.connections.subscription(channel).applied_to(config)
        if ours != config:
            await waha.configure(ours)
            return await waha.drive("start")
        return await waha.drive("restart")
