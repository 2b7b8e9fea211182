"""From a page of a chat's history to what is told of it, the way live messages go."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import structlog
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.incoming import Incoming
from shared_events.channels.history import (
    PAGE_CHANGES,
    ChannelChangesRead,
    ChannelHistoryRead,
)
from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageReceived,
    ChannelMessageRevoked,
    ChannelMessageStatusReported,
    ChannelReactionReported,
)
from shared_events.identity import conversation_id

from crm_channels_waha.channels.models import ChannelRow
from crm_channels_waha.groups import noting as groups
from crm_channels_waha.history.models import HistoryImportRow
from crm_channels_waha.inbound.consumers import (
    Understood,
    change_seen,
    echo_of,
    listener_of,
    recognise,
)
from crm_channels_waha.inbound.events import WahaEvent
from crm_channels_waha.media import repository as media
from crm_channels_waha.media.arriving import row_of, with_file
from crm_channels_waha.media.models import MediaRow
from crm_channels_waha.outbound import changes
from crm_channels_waha.outbound.echoes import confirm
from crm_channels_waha.waha.context import moment
from crm_channels_waha.waha.history import happenings
from crm_channels_waha.waha.meaning import (
    Edited,
    Heard,
    Kept,
    Listener,
    Reacted,
    Receipt,
    Revocation,
    Translation,
)
from crm_channels_waha.waha.reading import Json
from crm_channels_waha.waha.translate import translate

log = structlog.get_logger()
_EVENT = "message.any"
"""WAHA's name for a message told live: history has the same payload."""
_Change = Receipt | Edited | Revocation | Reacted

LOOK_BACK = timedelta(hours=1)
"""What was said so long before a gap may have been edited, read or reacted to within it."""


def begins(job: HistoryImportRow) -> datetime | None:
    """From when on rows are read: of what was recovered, changes to what was said before too."""
    return job.since - LOOK_BACK if job.since and job.recovered else job.since


@dataclass(frozen=True, slots=True)
class Page:
    """What a page had: messages and what became of them, and how many nobody could read."""

    job: HistoryImportRow
    channel_id: UUID
    server_url: str
    understood: Sequence[Understood]
    errors: int

    async def tell(self, tx: Transaction, group_days: int) -> int:
        """Tell it, but for what we sent ourselves: that is known. Returns how many were told.

        Changes are told behind the messages they are about, those of ours among them.
        """
        understood = await recognise(tx, self.understood)
        ours = await confirm(tx, [echo for one in understood if (echo := echo_of(one))])
        asked_for = await changes.confirm(
            tx, [seen for n, one in enumerate(understood) if (seen := change_seen(n, one))]
        )
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
        became = [
            one.meaning
            for place, one in enumerate(understood)
            if isinstance(one.meaning, _Change) and place not in asked_for
        ]
        if became:  # of one chat, and behind its messages
            chat_id = told[0].chat_id if told else became[0].chat_id
            for first in range(0, len(became), PAGE_CHANGES):
                read = self._changes(became[first : first + PAGE_CHANGES])
                tx.outbox.add(read, conversation_id(self.channel_id, chat_id))
        channel = job.tenant_id, self.channel_id
        said = [(channel, one.meaning) for one in understood]
        await groups.note(tx, said, fresh_days=group_days)
        return len(told)

    def _changes(self, became: Sequence[_Change]) -> ChannelChangesRead:
        reports = [change.report for change in became]
        return ChannelChangesRead(
            import_id=self.job.id,
            notify=self.job.notify,
            edits=[each for each in reports if isinstance(each, ChannelMessageEdited)],
            revocations=[each for each in reports if isinstance(each, ChannelMessageRevoked)],
            reactions=[each for each in reports if isinstance(each, ChannelReactionReported)],
            receipts=[each for each in reports if isinstance(each, ChannelMessageStatusReported)],
        )

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
        try:
            meanings = list(_meanings(row, me, listener, latest))
        except Exception:
            # A shape nobody foresaw must not hold up the others.
            log.exception("history_unreadable", history_import=str(job.id))
            errors += 1
            continue
        for meaning in meanings:
            match meaning:
                case Heard(message):
                    latest = min(latest, message.sent_at)
                    if message.sent_at > job.until or _is_before(message.sent_at, job):
                        continue
                    meaning = Heard(message if job.recovered else _without_file(message))
                case Kept(outcome, _):
                    errors += outcome == "unhandled"
                    continue
            event = WahaEvent(channel.id, _EVENT, job.until, b"")
            incoming = Incoming(uuid4(), job.tenant_id, event, {}, cause)
            understood.append(Understood(incoming, meaning))
    return Page(job, channel.id, channel.waha_base_url, understood, errors)


def _is_before(said_at: datetime, job: HistoryImportRow) -> bool:
    return job.since is not None and said_at < job.since


def _meanings(
    row: Json, me: Json | None, listener: Listener, latest: datetime
) -> Iterator[Translation]:
    """What a row means, and, where it is a message, what became of it."""

    def meaning(event: str, payload: Json, at: object, read_at: datetime) -> Translation:
        told_at = (moment(at) or latest).timestamp() * 1000
        envelope = {"event": event, "payload": payload, "timestamp": told_at, "me": me}
        return translate(envelope, listener, read_at)

    first = meaning(_EVENT, row, row.get("timestamp"), latest)
    yield first
    if isinstance(first, Heard):
        now = datetime.now(UTC)  # what became of it may be younger than all messages
        yield from (meaning(*happening, now) for happening in happenings(row))


def _without_file(message: ChannelMessageReceived) -> ChannelMessageReceived:
    """Files of history are not fetched: WhatsApp no longer has most of them."""
    if message.media is None:
        return message
    gone = message.media.model_copy(update={"url": None, "state": "unavailable"})
    return message.model_copy(update={"media": gone})
