"""What happened on a WhatsApp number, free of WAHA's shapes."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from shared_events import bounds
from shared_events.contacts.contact import Identity
from shared_events.envelope import Contract, EventData
from shared_events.messaging.call import CallStatus
from shared_events.messaging.message import ChangeKind, ContentType, Direction


class TrafficChannel(Contract):
    """What a consumer needs to know of the channel, so that it never has to ask."""

    id: UUID
    name: bounds.Name
    session_timeout_seconds: int


class Person(Contract):
    """Who the message concerns: the customer in a direct chat, the participant in a group.

    `identities` are ordered strongest first (phone before LID) and never empty.
    """

    identities: list[Identity] = Field(min_length=1)
    push_name: bounds.Name | None = None


class Media(Contract):
    """An attachment. `state` is `unavailable` when WAHA did not download it.

    `id` is the file's with us, where we fetch it: `channel.media_stored` tells when we have it.
    """

    id: UUID | None = None
    url: bounds.Url | None = None
    mime_type: bounds.MimeType | None = None
    filename: bounds.FileName | None = None
    duration_seconds: int | None = None
    state: Literal["available", "unavailable"]


class ChannelMessageReceived(EventData, type="channel.message_received", aggregate="conversation"):
    """A message appeared in a chat: from the customer, or typed on the company's own phone.

    `received_at` is when the gateway took WAHA's webhook; it is missing in what was told by the
    release before.
    """

    channel: TrafficChannel
    chat_id: bounds.ChatId
    is_group: bool = False
    external_id: bounds.ExternalId
    direction: Direction
    origin: Literal["customer", "phone", "api"]
    person: Person
    content_type: ContentType
    content: bounds.MessageText | None = None
    media: Media | None = None
    reply_to_external_id: bounds.ExternalId | None = None
    details: dict[str, Any] = Field(default_factory=dict)
    sent_at: datetime
    received_at: datetime | None = None


class ChannelMessageSent(EventData, type="channel.message_sent", aggregate="conversation"):
    """WhatsApp accepted an outbound message; `external_id` is its bare WhatsApp id."""

    channel_id: UUID
    message_id: UUID
    external_id: bounds.ExternalId | None
    sent_at: datetime


class ChannelMessageFailed(EventData, type="channel.message_failed", aggregate="conversation"):
    """An outbound message will not be sent."""

    channel_id: UUID
    message_id: UUID
    code: bounds.ErrorCode
    reason: bounds.Reason
    failed_at: datetime


class ChannelMessageStatusReported(
    EventData, type="channel.message_status_reported", aggregate="conversation"
):
    """WhatsApp reported the state of a message. Reports repeat, skip and come out of order."""

    channel_id: UUID
    external_id: bounds.ExternalId
    from_us: bool
    status: Literal["pending", "sent", "failed", "delivered", "read", "played"]
    participant: bounds.ChatId | None = None
    error_code: bounds.ErrorCode | None = None
    occurred_at: datetime


class ChannelMessageRevoked(EventData, type="channel.message_revoked", aggregate="conversation"):
    """A message was deleted for everyone, by who wrote it or by a group's admin."""

    channel_id: UUID
    external_id: bounds.ExternalId
    revoked_at: datetime


class ChannelMessageEdited(EventData, type="channel.message_edited", aggregate="conversation"):
    """The text of a message was replaced. Edits repeat and come out of order.

    `edited_at`, then `edit_id`, say which of two is the newer. `person` wrote it: nobody but the
    message's author may, and not every client of WhatsApp sees to that.
    """

    channel_id: UUID
    external_id: bounds.ExternalId
    edit_id: bounds.ExternalId
    from_us: bool
    person: Person
    content: bounds.MessageText
    edited_at: datetime


class ChannelReactionReported(
    EventData, type="channel.reaction_reported", aggregate="conversation"
):
    """Somebody put an emoji on a message, or took it away (`emoji` is empty).

    `person` is who, unless it was us. Each has one reaction to a message: the newest.
    """

    channel_id: UUID
    external_id: bounds.ExternalId
    from_us: bool
    person: Person
    emoji: bounds.Emoji
    reacted_at: datetime


class ChannelVoteReported(EventData, type="channel.vote_reported", aggregate="conversation"):
    """Somebody chose among a poll's options, anew: `options` is all that they choose by now.

    Nothing withdraws what they chose. `person` is who, unless it was us. Votes repeat and come out
    of order, some before their poll: the newest of each person counts.
    """

    channel_id: UUID
    external_id: bounds.ExternalId
    from_us: bool
    person: Person
    options: list[bounds.PollOption] = Field(max_length=bounds.POLL_OPTIONS)
    voted_at: datetime


class ChannelChangeFailed(EventData, type="channel.change_failed", aggregate="conversation"):
    """WhatsApp did not take an edit, deletion or reaction of ours; `change_id` is the request's."""

    channel_id: UUID
    message_id: UUID
    change_id: UUID
    change: ChangeKind
    code: bounds.ErrorCode
    reason: bounds.Reason
    failed_at: datetime


class ChannelCallReported(EventData, type="channel.call_reported", aggregate="conversation"):
    """Somebody called the number, or such a call was answered on the phone or is over.

    `call_id` is WhatsApp's. Reports repeat and come out of order, or not at all.
    """

    channel: TrafficChannel
    chat_id: bounds.ChatId
    call_id: bounds.ExternalId
    status: CallStatus
    is_video: bool = False
    person: Person
    happened_at: datetime
