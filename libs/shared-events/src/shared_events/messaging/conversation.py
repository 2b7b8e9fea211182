"""Conversations: the inbox, and what is said in each."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from shared_events import bounds
from shared_events.channels.label import Label
from shared_events.envelope import Contract, EventData
from shared_events.messaging.message import ContentType, Direction, Message, MessageStatus
from shared_events.messaging.session import SessionStatus
from shared_events.requests import Command, ListQuery, Nothing, Query

PREVIEW_LENGTH = 200


class ConversationContact(Contract):
    """Whom a conversation is with."""

    id: UUID
    name: bounds.Name
    phone: bounds.Phone | None = None
    profile_picture_url: bounds.Url | None = None


class LastMessage(Contract):
    """The newest message, as an inbox shows it: `preview` is how its text begins."""

    id: UUID
    seq: int
    direction: Direction
    content_type: ContentType
    preview: Annotated[str, StringConstraints(max_length=PREVIEW_LENGTH)] | None = None
    status: MessageStatus
    sent_at: datetime | None = None
    revoked_at: datetime | None = None
    created_at: datetime


class ActiveSession(Contract):
    """The session that goes on, and who has it."""

    id: UUID
    assigned_agent_id: UUID | None = None


class Conversation(Contract):
    """All that is said with a contact on a channel, or in a group.

    `seq` is the place of its last message, `read_seq` that of the last one somebody has read;
    `unread_count` messages came in since, and nobody has answered. A group has no `contact`.
    `status` is that of its newest session. `labels` are those that the number's owner put on it in
    WhatsApp Business.
    """

    id: UUID
    channel_id: UUID
    contact: ConversationContact | None = None
    is_group: bool
    subject: bounds.Name | None = None
    last_message: LastMessage | None = None
    last_message_at: datetime
    unread_count: int
    read_seq: int
    active_session: ActiveSession | None = None
    status: SessionStatus | None = None
    labels: list[Label] = Field(default_factory=list)
    seq: int
    created_at: datetime
    updated_at: datetime


class Member(Contract):
    """Somebody of a group. `participant` is the WhatsApp id, `lid` the hidden one beside a phone.

    `joined_at` is since when it is known; one who went has `left_at`. `role` is `participant`,
    `admin` or `superadmin`, and missing of somebody known only from what they wrote.
    """

    participant: bounds.ChatId
    lid: bounds.ChatId | None = None
    role: bounds.Word | None = None
    joined_at: datetime
    left_at: datetime | None = None


class Participant(Member):
    """Somebody of a group; contact and name are there where they are known."""

    contact_id: UUID | None = None
    name: bounds.Name | None = None


class GetConversation(Query[Conversation], key="messaging.conversation.get"):
    """Read one conversation."""

    conversation_id: UUID


class ListConversations(ListQuery[Conversation], key="messaging.conversation.list"):
    """The inbox, newest activity first.

    `assigned` goes by the active session: `me` has it, or `none` has. `search` looks at name and
    phone of the contact and at the subject of a group, without case or accents.
    """

    assigned: Literal["me", "none", "all"] = "all"
    unread: bool = False
    channel_id: UUID | None = None
    contact_id: UUID | None = None
    status: SessionStatus | None = None
    search: str | None = Field(default=None, min_length=1, max_length=200)


class ListConversationMessages(ListQuery[Message], key="messaging.conversation.messages"):
    """What was said, by `seq`: `backward` from the newest message, or `forward` from the oldest."""

    conversation_id: UUID
    direction: Literal["backward", "forward"] = "backward"


class ReadConversation(Command[Nothing], key="messaging.conversation.read"):
    """Mark messages as read up to this place; a lower one than before changes nothing."""

    conversation_id: UUID
    up_to_seq: int = Field(ge=0, lt=2**31)


class Chat(Contract):
    """The chat a conversation is held in now, and the channel it is on."""

    channel_id: UUID
    chat_id: bounds.ChatId


class GetChat(Query[Chat], key="messaging.conversation.chat"):
    """Where a conversation is held, for what is shown there and is no message."""

    conversation_id: UUID


class ListParticipants(ListQuery[Participant], key="messaging.conversation.list_participants"):
    """Who is in a group, and with `left` who has left it; nobody in a chat of two."""

    conversation_id: UUID
    left: bool = False


class ConversationRead(EventData, type="conversation.read", aggregate="conversation", public=True):
    """Somebody of the company has read a conversation up to `read_seq`.

    `chat_id` is where it is held, where somebody's asking read it.
    """

    conversation_id: UUID
    channel_id: UUID
    chat_id: bounds.ChatId | None = None
    contact_id: UUID | None = None
    read_seq: int
    unread_count: int
    read_by: UUID | None = None


class ConversationUpdated(
    EventData, type="conversation.updated", aggregate="conversation", public=True
):
    """A group has another subject."""

    conversation_id: UUID
    channel_id: UUID
    is_group: bool = True
    subject: bounds.Name | None = None


class ConversationParticipantsChanged(
    EventData, type="conversation.participants_changed", aggregate="conversation", public=True
):
    """People came into a group, left it, or got another role there: as they are now.

    Where there are more than a hundred, the others follow in events of their own.
    """

    conversation_id: UUID
    channel_id: UUID
    participants: list[Member] = Field(max_length=100)
