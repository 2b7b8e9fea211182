"""From a page of a chat's history to what is told of it, the way live messages go."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.incoming import Incoming
from shared_events.channels.history import ChannelHistoryRead
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.identity import conversation_id

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.groups import noting as groups
from crm_channels_waha.history.models import HistoryImportRow
from crm_channels_waha.inbound.consumers import Understood, echo_of, listener_of, recognise
from crm_channels_waha.inbound.events import WahaEvent
from crm_channels_waha.media import repository as media
from crm_channels_waha.media.arriving import row_of, with_file
from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.outbound.echoes import confirm
from crm_channels_waha.waha.meaning import Heard, Kept
from crm_channels_waha.waha.reading import Json
from crm_channels_waha.waha.translate import translate

log = structlog.get_logger()
_EVENT = "message.any"
"""WAHA's name for a message told live: history has the same payload."""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page had: messages as they were understood, and how many nobody could read."""

    job: HistoryImportRow
    channel_id: UUID
    server_url: str
    understood: Sequence[Understood]
    errors: int

    async def tell(self, tx: Transaction, group_days: int) -> int:
        """Tell it, but for what we sent ourselves: that is known. Returns how many were told."""
        understood = await recognise(tx, self.understood)
        ours = await confirm(tx, [echo for one in understood if (echo := echo_of(one))])
        told = [
            with_file(one.meaning.message) if self.job.recovered else one.meaning.message
            for one in understood
            if isinstance(one.meaning, Heard)
            and (one.tenant_id, one.channel_id, one.meaning.message.external_id) not in ours
        ]
        job = self.job
        if told:
            event = ChannelHistoryRead(
                import_id=job.id, notify=job.notify, recovered=job.recovered, messages=told
            )
            tx.outbox.add(event, conversation_id(self.channel_id, told[0].chat_id))
            await media.enter(tx, self._files(told))
        channel = job.tenant_id, self.channel_id
        said = [(channel, one.meaning) for one in understood]
        await groups.note(tx, said, fresh_days=group_days)
        return len(told)

    def _files(self, told: Sequence[ChannelMessageReceived]) -> list[MediaRow]:
        """What there is to fetch: WAHA still has the files of what was missed, as a rule."""
        if not self.job.recovered:
            return []
        cause = Cause(self.job.correlation_id)
        files = (row_of(one, self.job.tenant_id, self.server_url, cause) for one in told)
        return [file for file in files if file]


def read(job: HistoryImportRow, channel: ChannelRow, rows: Sequence[Json], cause: Cause) -> Page:
    """Understand a page, newest first, as if each message had come live. No I/O.

    What is not of the time that was asked for is left out. One without a time was said when the one
    after it was: so it stays where it stands.
    """
    listener = listener_of(channel)
    me = {"id": f"{channel.phone}@c.us"} if channel.phone else None
    understood: list[Understood] = []
    errors, latest = 0, job.until
    for row in rows:
        told_at = latest.timestamp() * 1000
        envelope = {"event": _EVENT, "payload": row, "timestamp": told_at, "me": me}
        try:
            meaning = translate(envelope, listener, latest)
        except Exception:
            # A shape nobody foresaw must not hold up the others.
            log.exception("history_unreadable", history_import=str(job.id))
            errors += 1
            continue
        match meaning:
            case Heard(message):
                if message.sent_at > job.until or (job.since and message.sent_at < job.since):
                    continue
                latest = min(latest, message.sent_at)
                event = WahaEvent(channel.id, _EVENT, job.until, b"")
                incoming = Incoming(uuid4(), job.tenant_id, event, {}, cause)
                if not job.recovered:
                    message = _without_file(message)
                understood.append(Understood(incoming, Heard(message)))
            case Kept("unhandled", _):
                errors += 1
    return Page(job, channel.id, channel.waha_base_url, understood, errors)


def _without_file(message: ChannelMessageReceived) -> ChannelMessageReceived:
    """Files of history are not fetched: WhatsApp no longer has most of them."""
    if message.media is None:
        return message
    gone = message.media.model_copy(update={"url": None, "state": "unavailable"})
    return message.model_copy(update={"media": gone})
