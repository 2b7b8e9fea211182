"""Messages: what is said in a conversation."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events import bounds
from shared_events.envelope import Contract, EventData
from shared_events.messaging.content import Card, Location, Mentioned, Poll
from shared_events.messaging.poll import PollResult, Vote
from shared_events.messaging.session import SessionSummary
from shared_events.messaging.summaries import ChannelSummary, ContactSummary
from shared_events.requests import Command, Given, ListQuery, Moment, Nothing, Query

Direction = Literal["inbound", "outbound"]
SentType = Literal[
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "document",
    "sticker",
    "location",
    "contact",
    "poll",
]
ContentType = Literal[SentType, "unsupported"]
MessageStatus = Literal[
    "scheduled",
    "cancelled",
    "queued",
    "sent",
    "failed",
    "delivered",
    "read",
    "played",
    "received",
]


class Reaction(Contract):
    """Somebody's emoji for a message. `by` is `customer`, `agent` or `phone` (the company's own).

    `participant` is who of a group it was, `agent_id` who of the company, where that is known.
    """

    emoji: bounds.Emoji
    by: bounds.Word
    agent_id: UUID | None = None
    participant: bounds.ChatId | None = None
    at: datetime


class ReceiptCounts(Contract):
    """How many members of a group a message got to; who read it has it delivered, too."""

    delivered: int = 0
    read: int = 0
    played: int = 0


class Message(Contract):
    """One chat message. `seq` is gap-free within its conversation; `sent_at` is WhatsApp's time.

    One that was deleted for everyone has `revoked_at`; what it said is kept. One whose text was
    replaced has `edited_at`; what it said before is in its versions. `version` counts every change.
    One of ours in a group has `receipts`: how many members it got to.
    A poll that somebody voted on has `poll`, how it stands; what it asks is in `metadata.poll`.
    One that waits for `send_at` has no session and the `seq` 0: it gets both when it is queued.
    A file of ours has a `media_id`, and `media_url` leads to it for a while.
    A `historical` one was read from the chat's history: its `seq` is where its time belongs, 0 or
    less in front of what was there, and those behind it may move up for it.
    """

    id: UUID
    contact_id: UUID
    session_id: UUID | None = None
    conversation_id: UUID | None = None
    channel_id: UUID
    external_id: bounds.ExternalId | None = None
    direction: Direction
    origin: bounds.Word
    content_type: ContentType
    content: bounds.MessageText | None = None
    media_id: UUID | None = None
    media_url: bounds.Url | None = None
    media_mime_type: bounds.MimeType | None = None
    reply_to_id: UUID | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    status: MessageStatus
    sent_by: UUID | None = None
    send_at: datetime | None = None
    expires_at: datetime | None = None
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    played_at: datetime | None = None
    failed_at: datetime | None = None
    failure_reason: bounds.Reason | None = None
    revoked_at: datetime | None = None
    edited_at: datetime | None = None
    reactions: list[Reaction] = Field(default_factory=list)
    receipts: ReceiptCounts | None = None
    poll: PollResult | None = None
    historical: bool = False
    seq: int
    version: int = 1
    created_at: datetime
    updated_at: datetime


ChangeKind = Literal["edit", "revoke", "reaction"]
"""What can be asked of WhatsApp for a message that is there."""


class MessageVersion(Contract):
    """What a message said from `since` on, until the next version."""

    content: bounds.MessageText | None = None
    since: datetime


class MessageReceipt(Contract):
    """How far a message of ours got with one person: in a group with each that was reported.

    `participant` is the person's WhatsApp id; contact and name are there where they are known.
    """

    participant: bounds.ChatId
    contact_id: UUID | None = None
    name: bounds.Name | None = None
    delivered_at: datetime | None = None
    read_at: datetime | None = None
    played_at: datetime | None = None


NOBODY = UUID(int=0)
"""The contact of a request that names none: where an id was asked for, null never was one."""


class MessageContent(Given):
    """What a message to be sent says."""

    content_type: SentType = "text"
    content: Annotated[str, StringConstraints(max_length=4096)] | None = None
    media_url: Annotated[HttpUrl, Field(max_length=2048)] | None = None
    media_id: UUID | None = None
    media_mime_type: str | None = Field(default=None, max_length=255)
    location: Location | None = None
    contact: Card | None = None
    poll: Poll | None = None
    mentions: list[Mentioned] = Field(default_factory=list, max_length=50)
    metadata: bounds.Document = Field(default_factory=dict)


class SendMessage(MessageContent, Command[Message], key="messaging.message.send"):
    """Queue a message to a contact, or by `conversation_id` into a group: one of both is given.

    Text needs `content`; media needs `media_url` or `media_id`.

    A `location`, `contact` or `poll` needs the field of its name. Each of `mentions` stands in the
    text as `@` and its digits. Answers at once with status `queued`; it never waits for WhatsApp.
    With `send_at`, at most 90 days ahead, it is `scheduled`: nothing is told of it until then, and
    what does not hold any more at that time, as that its channel allows groups, lets it fail.
    What WhatsApp has not got by `expires_at` fails. With `fail_if_offline` a channel that is not
    connected is a conflict; without, the message waits for it.
    """

    contact_id: UUID = Field(default_factory=lambda: NOBODY)
    conversation_id: UUID | None = None
    channel_id: UUID
    reply_to_id: UUID | None = None
    send_at: Moment | None = None
    expires_at: Moment | None = None
    fail_if_offline: bool = False

    @property
    def to_contact(self) -> UUID | None:
        """The contact it names, if it names one."""
        return None if self.contact_id == NOBODY else self.contact_id


class GetMessage(Query[Message], key="messaging.message.get"):
    """Read one message."""

    message_id: UUID


MessageSort = Literal["sent_at", "-sent_at"]


class ListMessages(ListQuery[Message], key="messaging.message.list"):
    """Find messages, in the order they were said: oldest first, or newest first (`-sent_at`).

    A message's place is decided when it is stored and never changes: WhatsApp's time, where that
    can be true, else ours. The filters by time go by it too. `search` finds texts with all of its
    words, each as it begins or by its Portuguese stem, whatever the accents and case.
    """

    session_id: UUID | None = None
    contact_id: UUID | None = None
    channel_id: UUID | None = None
    direction: Direction | None = None
    status: MessageStatus | None = None
    content_type: ContentType | None = None
    search: str | None = Field(default=None, min_length=1, max_length=200)
    sent_at_gte: Moment | None = Field(default=None, alias="sent_at[gte]")
    sent_at_lt: Moment | None = Field(default=None, alias="sent_at[lt]")
    sort: MessageSort = "sent_at"


class ListContactMessages(ListMessages, key="messaging.message.list_of_contact"):
    """The messages of one contact; an unknown contact is not found."""

    contact_id: UUID


class ListSessionMessages(ListMessages, key="messaging.message.list_of_session"):
    """The messages of one session; an unknown session is not found."""

    session_id: UUID


class ListMessageVersions(ListQuery[MessageVersion], key="messaging.message.list_versions"):
    """What a message said, oldest first; nothing while its text was never replaced."""

    message_id: UUID


class ListMessageReceipts(ListQuery[MessageReceipt], key="messaging.message.list_receipts"):
    """With whom a message of ours got how far; nothing of one that a customer wrote."""

    message_id: UUID


class EditMessage(Command[Message], key="messaging.message.edit"):
    """Replace the text or caption of a message of ours, within WhatsApp's 15 minutes.

    It is shown at once; `message.change_failed` tells if WhatsApp did not take it. While it is
    scheduled, `send_at` can be replaced as well. What is left out stays.
    """

    message_id: UUID
    content: Annotated[str, StringConstraints(min_length=1, max_length=4096)] = Field(
        default_factory=str
    )
    send_at: Moment | None = None


class DeleteMessage(Command[Nothing], key="messaging.message.delete"):
    """Take a message of ours back: it is not sent if it waits still, else deleted for everyone.

    What it said is kept. One that was deleted already stays so.
    """

    message_id: UUID


class RetryMessage(Command[Message], key="messaging.message.retry"):
    """Queue a message that failed once more; it expires no more.

    A conflict unless it is certain that WhatsApp does not have it.
    """

    message_id: UUID


class ReactToMessage(Command[Message], key="messaging.message.react"):
    """React to a message in the company's name; it takes the place of an earlier reaction."""

    message_id: UUID
    emoji: Annotated[str, StringConstraints(min_length=1, max_length=50)]


class RemoveReaction(Command[Nothing], key="messaging.message.remove_reaction"):
    """Take the company's reaction to a message back."""

    message_id: UUID


class MessageEvent(EventData, aggregate="session"):
    """What every message event says."""

    message: Message
    contact: ContactSummary
    session: SessionSummary
    channel: ChannelSummary


class MessageReceived(MessageEvent, type="message.received", public=True):
    """A customer's message was stored."""


class MessageQueued(MessageEvent, type="message.queued", public=True):
    """A message to a customer was accepted for sending. `to` is the WhatsApp chat id.

    `proved`: WhatsApp has shown it; else somebody typed the number, which is looked up first. What
    is sent in `bulk` lets what people write go first.
    """

    to: bounds.ChatId
    proved: bool = True
    bulk: bool = False
    reply_to_external_id: bounds.ExternalId | None = None


class MessageSent(MessageEvent, type="message.sent", public=True):
    """WhatsApp accepted an outbound message, or one was typed on the company's phone."""


class MessageDelivered(MessageEvent, type="message.delivered", public=True):
    """An outbound message reached the customer's phone."""


class MessageRead(MessageEvent, type="message.read", public=True):
    """The customer read an outbound message."""


class MessagePlayed(MessageEvent, type="message.played", public=True):
    """The customer played an outbound voice or video message."""


class MessageFailed(MessageEvent, type="message.failed", public=True):
    """An outbound message failed; `message.failure_reason` says why."""


class MessageRevoked(MessageEvent, type="message.revoked", public=True):
    """A message was deleted for everyone; what it said is kept."""


class MessageEdited(MessageEvent, type="message.edited", public=True):
    """The text of a message was replaced by its author; `previous_content` is what it said."""

    previous_content: bounds.MessageText | None = None


class MessageReactionChanged(MessageEvent, type="message.reaction_changed", public=True):
    """Somebody reacted to a message, or took it back: then the emoji of `reaction` is empty."""

    reaction: Reaction


class MessageVoted(MessageEvent, type="message.voted", public=True):
    """Somebody voted on a poll, or withdrew their vote: then the `options` of `vote` are empty."""

    vote: Vote


class MessageChangeFailed(MessageEvent, type="message.change_failed", public=True):
    """An edit, deletion or reaction of ours failed; the message is as it was before.

    Where nobody knows whether it did (`code` is `outcome_unknown`), the message stays as changed.
    """

    change: ChangeKind
    code: bounds.ErrorCode
    reason: bounds.Reason


class MessageMediaStored(MessageEvent, type="message.media_stored", public=True):
    """The file of a message is here: `media_url` leads to it for a while."""


class MessageMediaFailed(MessageEvent, type="message.media_failed", public=True):
    """The file of a message could not be fetched; `reason` is a word that says why."""

    reason: bounds.Word


class MessageChangeRequested(EventData, type="message.change_requested", aggregate="session"):
    """WhatsApp shall be asked to change a message that was said in the chat `to`.

    `external_id` is missing while the message waits to be sent. `participant` wrote it, in groups.
    `content` is the new text, or the emoji; empty takes a reaction away.
    """

    id: UUID
    change: ChangeKind
    message_id: UUID
    channel_id: UUID
    to: bounds.ChatId
    external_id: bounds.ExternalId | None = None
    from_us: bool
    participant: bounds.ChatId | None = None
    content: bounds.MessageText = ""
