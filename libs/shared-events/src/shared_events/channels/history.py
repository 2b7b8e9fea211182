"""History: what was said on a number before it was ours to hear, read from WhatsApp by a job."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from shared_events.channels.traffic import (
    ChannelMessageEdited,
    ChannelMessageReceived,
    ChannelMessageRevoked,
    ChannelMessageStatusReported,
    ChannelReactionReported,
)
from shared_events.envelope import Envelope, EventData
from shared_events.jobs import Job, JobAction
from shared_events.requests import Command, Query

PAGE_MESSAGES = 100
"""The most messages that are told at a time."""
PAGE_CHANGES = 500
"""The most changes that are told at a time."""

Days = Annotated[int, Field(ge=1, le=3650)]
Depth = Annotated[int, Field(ge=1, le=100_000)]


class HistoryImport(Job):
    """The history of a channel's chats. `done` and `total` count chats, `messages` what was told.

    `errors` are messages that could not be read. Messages that are known already are told as well,
    and stored once. One that is `recovered` was not asked for: it reads what the channel missed
    while it was deaf or away.
    """

    channel_id: UUID
    days: Days | None = None
    messages_per_chat: Depth | None = None
    notify: bool = False
    recovered: bool = False
    messages: int = 0


class CreateHistoryImport(Command[HistoryImport], key="channels.history.create"):
    """Read what was said before: of so many days, or so many messages of each chat; else all.

    History opens no session, is never unread, and no webhook tells of its messages unless `notify`
    asks for it. One import of a channel at a time.
    """

    channel_id: UUID
    days: Days | None = None
    messages_per_chat: Depth | None = None
    notify: bool = False


class GetHistoryImport(Query[HistoryImport], key="channels.history.get"):
    """How far an import of history is."""

    history_import_id: UUID


class DriveHistoryImport(Command[HistoryImport], key="channels.history.drive"):
    """Hold an import of history, let it go on, or end it. What was imported stays."""

    history_import_id: UUID
    action: JobAction


class HistoryProgressed(EventData, type="history.progressed", aggregate="history", public=True):
    """An import of history began, got a tenth further, changed its state, or ended."""

    job: HistoryImport


class ChannelHistoryRead(EventData, type="channel.history_read", aggregate="conversation"):
    """Messages of one chat from its history, newest first; some may be known already.

    Those that are `recovered` were missed: but for their place they are as if they had come live.
    """

    import_id: UUID
    notify: bool = False
    recovered: bool = False
    messages: list[ChannelMessageReceived] = Field(min_length=1, max_length=PAGE_MESSAGES)


class ChannelChangesRead(EventData, type="channel.changes_read", aggregate="conversation"):
    """What became of messages of one chat, as its history shows it; some may be known already.

    Times are WhatsApp's where history has them, and the message's own where it has none. Nobody is
    told of it unless `notify` asks for that.
    """

    import_id: UUID
    notify: bool = False
    edits: list[ChannelMessageEdited] = Field(default=[], max_length=PAGE_CHANGES)
    revocations: list[ChannelMessageRevoked] = Field(default=[], max_length=PAGE_CHANGES)
    reactions: list[ChannelReactionReported] = Field(default=[], max_length=PAGE_CHANGES)
    receipts: list[ChannelMessageStatusReported] = Field(default=[], max_length=PAGE_CHANGES)


def as_received(page: Envelope[ChannelHistoryRead]) -> list[Envelope[ChannelMessageReceived]]:
    """The messages of a page, oldest first, each as if it had been told when it was said.

    So whose it is follows by the rule all messages follow, and what was said before somebody was
    erased is known to be of before.
    """
    told = ChannelMessageReceived
    return [
        Envelope[ChannelMessageReceived].model_construct(
            event_id=page.event_id,
            event_type=told.event_type,
            event_version=told.event_version,
            aggregate_id=page.aggregate_id,
            aggregate_type=told.aggregate_type,
            aggregate_seq=page.aggregate_seq,
            tenant_id=page.tenant_id,
            occurred_at=message.sent_at,
            correlation_id=page.correlation_id,
            causation_id=page.event_id,
            data=message,
        )
        for message in reversed(page.data.messages)
    ]
