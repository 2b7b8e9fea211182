"""Sending one channel's messages (docs/waha.md, "Sending").

Messages of one chat go out in order; one that waits holds back its own chat alone. The rule above
all others: without proof that a message was not sent, it is never sent again.
"""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog
from service_kit.database import Database, Transaction, is_infrastructure

from crm_channels_waha import metrics
from crm_channels_waha.channels import repository as channels
from crm_channels_waha.channels.connection import Connections
from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.channels.status import KEY_REFUSED, StatusBook
from crm_channels_waha.hearing.repository import await_echo
from crm_channels_waha.media.sending import with_file
from crm_channels_waha.numbers.looking_up import Numbers
from crm_channels_waha.outbound import changes, ledger
from crm_channels_waha.outbound.asking import ask
from crm_channels_waha.outbound.expiring import EXPIRED, REASON
from crm_channels_waha.outbound.holding import holds_of
from crm_channels_waha.outbound.models import OutboundMessage
from crm_channels_waha.outbound.reconciling import (
    ACCEPTED_WITHOUT_ID,
    Found,
    Lost,
    Undecidable,
    look_for,
)
from crm_channels_waha.outbound.typing_first import type_first
from crm_channels_waha.settings import ChannelsSettings
from crm_channels_waha.waha.answers import (
    Accepted,
    NotSent,
    Refused,
    Rejected,
    Restricted,
    Unknown,
    Verdict,
)
from crm_channels_waha.waha.client import Waha, WahaError, WahaRefusedError
from crm_channels_waha.waha.restriction import unnamed
from crm_channels_waha.waha.sending import BROWSER_ENGINES, TAKES_MESSAGE_ID, Outgoing

log = structlog.get_logger()

_POLL_SECONDS = 1.0
_IDLE_POLLS = 30
_NOT_ON_WHATSAPP = "not_on_whatsapp", "Nobody is on WhatsApp under this number."
MAX_FAILURES = 3
"""Sends proven lost after which a message is given up: WAHA fails on it every time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast to send and how long to wait, in seconds."""

    interval: float
    typing: float
    unknown_wait: float
    retry: float
    retry_max: float
    give_up: float
    stop_grace: float

    @classmethod
    def of(cls, settings: ChannelsSettings) -> "Pace":
        """The pace these settings name."""
        return cls(
            interval=settings.send_interval_seconds,
            typing=settings.typing_max_seconds,
            unknown_wait=settings.waha_unknown_wait_seconds,
            retry=settings.waha_retry_seconds,
            retry_max=settings.waha_retry_max_seconds,
            give_up=settings.waha_give_up_seconds,
            stop_grace=settings.waha_stop_grace_seconds,
        )

    def backoff(self, attempts: int) -> float:
        """The pause after so many attempts."""
        return float(min(self.retry * 2 ** min(attempts, 10), self.retry_max))


class ChannelSender:
    """Works off one channel's ledger; whoever runs it holds the channel's lock."""

    def __init__(
        self,
        tenant_id: str,
        channel_id: UUID,
        *,
        database: Database,
        connections: Connections,
        status: StatusBook,
        numbers: Numbers,
        pace: Pace,
    ) -> None:
        self.wake = asyncio.Event()
        self._tenant_id = tenant_id
        self._channel_id = channel_id
        self._database = database
        self._connections = connections
        self._status = status
        self._numbers = numbers
        self._pace = pace
        self._probes = 0
        self._held_until = datetime.min.replace(tzinfo=UTC)

    async def run(self) -> None:
        """Send until there has been nothing to send for a while."""
        async with self._database.tenant(self._tenant_id) as tx:
            await ledger.recover(tx, self._channel_id, self._pace.unknown_wait)
        idle = 0
        while idle < _IDLE_POLLS:
            self.wake.clear()
            async with self._database.tenant(self._tenant_id, read_only=True) as tx:
                channel = await channels.find_if_any(tx, (self._tenant_id, self._channel_id))
                holds = holds_of(channel, datetime.now(UTC))
                self._held_until = max([self._held_until, *holds.ends])
                due = await ledger.next_message(tx, self._channel_id, holds)
            idle = 0 if due else idle + 1
            if due is None:
                await self._wait(_POLL_SECONDS)
            elif due.due_in > 0:
                is_held = holds.on(due.message) is not None
                await self._wait(due.due_in if is_held else min(due.due_in, _POLL_SECONDS))
            elif await self._may_send(channel):
                await self._undisturbed(due.message, channel)

    async def _wait(self, seconds: float) -> None:
        """Sleep until there is news of this channel, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()

    async def _undisturbed(self, row: OutboundMessage, channel: ChannelRow | None) -> None:
        """Finish a step that is under way before stopping, if it does not take too long."""
        step = asyncio.create_task(self._step(row, channel))
        try:
            await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait([step], timeout=self._pace.stop_grace)
            step.cancel()
            await asyncio.gather(step, return_exceptions=True)
            raise

    async def _step(self, row: OutboundMessage, channel: ChannelRow | None) -> None:
        try:
            if channel is None:
                await self._settle(row, Rejected("channel_gone", "The channel was deleted."))
            elif row.state == "pending":
                await self._send(row, channel)
            else:
                await self._reconcile(row, channel)
        except Exception as error:
            if is_infrastructure(error):
                raise  # the row says how far we came
            log.exception("send_failed", message_id=str(row.message_id))
            await self._interrupted(row, type(error).__name__)

    async def _interrupted(self, row: OutboundMessage, reason: str) -> None:
        """A fault of ours came between. What may have left by then is unknown, not failed."""
        message_id = row.message_id
        async with self._database.tenant(self._tenant_id) as tx:
            if not await ledger.may_have_left(tx, message_id):
                await ledger.mark_failed(tx, message_id, "internal_error", reason)
            elif self._is_old(row):
                await ledger.mark_failed(tx, message_id, ledger.OUTCOME_UNKNOWN, reason)
            else:
                pause = self._pace.unknown_wait
                await ledger.mark_waiting(tx, message_id, "unknown", pause, reason)

    async def _send(self, row: OutboundMessage, channel: ChannelRow) -> None:
        if row.expires_at is not None and row.expires_at <= datetime.now(UTC):
            await self._settle(row, Rejected(EXPIRED, REASON))
            return
        waha = self._waha(channel)
        if isinstance(waha, Refused):
            await self._settle(row, waha)
            return
        if row.target_id is not None:
            verdict = await ask(self._database, self._tenant_id, row, channel, waha)
            if verdict is not None:
                await self._settle(row, verdict)
                await self._pause()
            return
        address = await self._address(row, waha)
        if address is None:
            await self._settle(row, Rejected(*_NOT_ON_WHATSAPP))
            return
        external_id = await self._message_id(row, channel.engine, waha)
        if isinstance(external_id, NotSent | Refused):
            await self._settle(row, external_id)
            return
        if channel.simulate_typing and row.content_type == "text":
            await type_first(waha, address, row.content or "", self._pace.typing)
        async with self._database.tenant(self._tenant_id) as tx:
            message = await _outgoing(tx, row, address, channel)
            ready = await with_file(tx, message, row.media_id, self._connections.links)
            if isinstance(ready, Outgoing) and not await ledger.mark_sending(
                tx, row.message_id, external_id, None if address == row.chat_id else address
            ):
                return
            if isinstance(ready, Outgoing) and row.bulk:
                await channels.count_bulk(tx, (self._tenant_id, self._channel_id))
        if not isinstance(ready, Outgoing):
            await self._settle(row, ready)
            return
        verdict = await waha.send(ready, external_id)
        if isinstance(verdict, Accepted) and verdict.external_id is None:
            verdict = Accepted(external_id)
        await self._settle(row, verdict, was_counted=row.bulk)
        await self._pause()

    async def _address(self, row: OutboundMessage, waha: Waha) -> str | None:
        """The chat to write to; None where nobody is there. What is proved is asked of nobody."""
        if row.proved or row.address is not None:
            return row.sent_to
        return await self._numbers.address(self._tenant_id, self._channel_id, row.chat_id, waha)

    async def _pause(self) -> None:
        """People do not write without a pause, nor with the same between all they write."""
        if self._pace.interval:
            await asyncio.sleep(self._pace.interval * random.uniform(0.5, 1.5))  # noqa: S311

    def _waha(self, channel: ChannelRow) -> Waha | Refused:
        try:
            return self._connections.waha(channel)
        except WahaRefusedError as error:
            return Refused(str(error))

    async def _message_id(
        self, row: OutboundMessage, engine: str | None, waha: Waha
    ) -> str | NotSent | Refused | None:
        """The id to send under, where the endpoint takes one and the engine gives one."""
        if row.external_id is not None:
            return str(row.external_id)
        if row.content_type not in TAKES_MESSAGE_ID or engine in BROWSER_ENGINES:
            return None
        return await waha.new_message_id()

    async def _settle(
        self, row: OutboundMessage, verdict: Verdict, *, was_counted: bool = False
    ) -> None:
        """Write down what became of it; what was counted in bulk and not sent counts no more."""
        metrics.WAHA_SENDS.labels(type(verdict).__name__.lower()).inc()
        message_id = row.message_id
        async with self._database.tenant(self._tenant_id) as tx:
            match verdict:
                case Accepted() if row.target_id is not None:
                    await ledger.mark_sent(tx, message_id, None)
                case Accepted(None):
                    await ledger.mark_waiting(
                        tx, message_id, "unknown", self._pace.unknown_wait, ACCEPTED_WITHOUT_ID
                    )
                case Accepted(external_id):
                    if await ledger.mark_sent(tx, message_id, external_id):  # no echo proved it yet
                        await await_echo(tx, (self._tenant_id, self._channel_id))
                case Rejected(code, reason):
                    await ledger.mark_failed(tx, message_id, code, reason)
                case Refused(reason):
                    await ledger.mark_failed(tx, message_id, KEY_REFUSED, reason)
                    await self._status.declare(tx, self._channel_id, "degraded", KEY_REFUSED)
                case NotSent() if await changes.is_taken_back(tx, row):
                    await ledger.mark_failed(tx, message_id, changes.CANCELLED, changes.TAKEN_BACK)
                case NotSent(reason) if self._is_old(row):
                    await ledger.mark_failed(tx, message_id, "waha_unavailable", reason)
                case NotSent(reason):
                    pause = self._pace.backoff(row.attempts)
                    await ledger.mark_waiting(tx, message_id, "pending", pause, reason)
                case Unknown(reason):
                    await ledger.mark_waiting(
                        tx, message_id, "unknown", self._pace.unknown_wait, reason
                    )
            key = self._tenant_id, self._channel_id
            if was_counted and isinstance(verdict, NotSent | Rejected | Refused):
                await channels.discount_bulk(tx, key)
            if isinstance(verdict, Restricted):
                await self._status.restricted(tx, key, unnamed())

    async def _reconcile(self, row: OutboundMessage, channel: ChannelRow) -> None:
        """No echo came: ask WAHA whether the message is there."""
        message_id, reason = row.message_id, row.reason or ""
        waha = self._waha(channel)
        outcome: Found | Lost | Undecidable | None = None
        try:
            if isinstance(waha, Waha):
                outcome = await look_for(self._database, self._tenant_id, row, waha)
        except WahaError as error:
            log.info("send_outcome_pending", message_id=str(message_id), error=str(error))
        if outcome is None and self._is_old(row):
            outcome = Undecidable()
        async with self._database.tenant(self._tenant_id) as tx:
            match outcome:
                case Found(external_id):
                    await ledger.mark_sent(tx, message_id, external_id)
                case Lost() if row.failures + 1 >= MAX_FAILURES:
                    await ledger.mark_failed(tx, message_id, "waha_failed", reason)
                case Lost():
                    pause = self._pace.backoff(row.failures)
                    await ledger.mark_waiting(tx, message_id, "pending", pause, reason, failures=1)
                case Undecidable():
                    # Better that a customer misses a message, and we say so, than has it twice.
                    await ledger.mark_failed(tx, message_id, ledger.OUTCOME_UNKNOWN, reason)
                case None:
                    pause = self._pace.unknown_wait
                    await ledger.mark_waiting(tx, message_id, "unknown", pause, reason)

    def _is_old(self, row: OutboundMessage) -> bool:
        # What was held could not be tried: that time is none of its age.
        may_be_held = row.bulk or not row.proved
        since = max(row.created_at, self._held_until) if may_be_held else row.created_at
        age: float = (datetime.now(UTC) - since).total_seconds()
        return age > self._pace.give_up

    async def _may_send(self, channel: ChannelRow | None) -> bool:
        """Whether WAHA takes our key; asked again, ever more rarely, while it does not."""
        if channel is None or channel.status_reason != KEY_REFUSED:
            return True
        waha = self._waha(channel)
        try:
            if isinstance(waha, Refused):
                raise WahaRefusedError(waha.reason)
            session = await waha.describe()
        except WahaRefusedError:
            self._probes += 1
            await self._wait(self._pace.backoff(self._probes))
            return False
        except WahaError:
            return True  # whatever it is now, it is no longer the key
        self._probes = 0
        async with self._database.tenant(self._tenant_id) as tx:
            await self._status.declare(tx, self._channel_id, "degraded", None)
            if session is not None:
                await self._status.answered(tx, channel, session)
        return True


async def _outgoing(
    tx: Transaction, row: OutboundMessage, address: str, channel: ChannelRow
) -> Outgoing:
    reply_to = row.reply_to_external_id
    ours = await ledger.known_ids(tx, row.channel_id, [reply_to]) if reply_to else set()
    return Outgoing(
        chat_id=address,
        content_type=row.content_type,
        content=row.content,
        media_url=row.media_url,
        media_mime_type=row.media_mime_type,
        reply_to=reply_to,
        replies_to_us=bool(ours),
        engine=channel.engine,
        link_preview=channel.link_previews,
        details=row.details,
    )
