"""What a WAHA event means, in our words."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from shared_events.channels.group import ChannelGroupReported
from shared_events.channels.label import ChannelChatLabelled, Label
from shared_events.channels.traffic import (
    ChannelCallReported,
    ChannelMessageEdited,
    ChannelMessageReceived,
    ChannelMessageRevoked,
    ChannelMessageStatusReported,
    ChannelReactionReported,
    ChannelVoteReported,
    TrafficChannel,
)


@dataclass(frozen=True, slots=True)
class Listener:
    """What translating needs to know of the channel that heard the event."""

    id: UUID
    name: str
    session_timeout_seconds: int
    allow_groups: bool
    waha_base_url: str
    waha_session: str

    @property
    def channel(self) -> TrafficChannel:
        """The channel, as what is told of it shows it."""
        return TrafficChannel(
            id=self.id, name=self.name, session_timeout_seconds=self.session_timeout_seconds
        )


@dataclass(frozen=True, slots=True)
class Heard:
    """A message in a chat. One of ours may be the echo of what we sent ourselves."""

    message: ChannelMessageReceived


@dataclass(frozen=True, slots=True)
class Restriction:
    """WhatsApp lets the account write to nobody new, or (not `is_active`) does so again.

    `until` is unknown at times. `at` is WAHA's time of an event, None for an answer to a question.
    """

    is_active: bool
    until: datetime | None
    reason: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An ack; `chat_id` is where. A message may have failed by a `restriction`."""

    report: ChannelMessageStatusReported
    chat_id: str
    restriction: Restriction | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """A message was deleted for everyone; `chat_id` is where."""

    report: ChannelMessageRevoked
    chat_id: str


@dataclass(frozen=True, slots=True)
class Edited:
    """The text of a message was replaced; `chat_id` is where."""

    report: ChannelMessageEdited
    chat_id: str


@dataclass(frozen=True, slots=True)
class Reacted:
    """Somebody put an emoji on a message, or took it away; `chat_id` is where."""

    report: ChannelReactionReported
    chat_id: str


@dataclass(frozen=True, slots=True)
class Voted:
    """Somebody chose among a poll's options; `chat_id` is where."""

    report: ChannelVoteReported
    chat_id: str


@dataclass(frozen=True, slots=True)
class Called:
    """Somebody calls, or their call was answered or is over; `chat_id` is their chat."""

    report: ChannelCallReported
    chat_id: str


@dataclass(frozen=True, slots=True)
class GroupSeen:
    """What is told of a group; `chat_id` is the group's."""

    report: ChannelGroupReported
    chat_id: str


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label was put on a chat, or taken off it; `chat_id` is the chat's."""

    report: ChannelChatLabelled
    chat_id: str


@dataclass(frozen=True, slots=True)
class LabelTold:
    """A label as it is since `at`, or that it was deleted then."""

    label: Label
    at: datetime
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class SessionReport:
    """What WAHA says of its session.

    `at` is WAHA's time of an event, None for an answer to a question. `phone` is digits. Newer
    builds alone tell of a restriction; None says nothing of it.
    """

    waha_status: str
    at: datetime | None
    engine: str | None
    phone: str | None
    restriction: Restriction | None


@dataclass(frozen=True, slots=True)
class Kept:
    """Not for us; kept raw, with the reason."""

    outcome: Literal["ignored", "unhandled"]
    reason: str


Reported = Receipt | Revocation | Edited | Reacted | Voted | Called | GroupSeen | Labelled
Translation = Heard | Reported | LabelTold | SessionReport | Kept
