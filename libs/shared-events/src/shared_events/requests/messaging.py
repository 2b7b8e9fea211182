"""Requests messaging answers."""

from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import Field, HttpUrl, StringConstraints

from shared_events.requests.base import Kind, ListRequest, Page, Request
from shared_events.resources import (
    ContentType,
    Direction,
    Message,
    MessageStatus,
    Session,
    SessionStatus,
)


class SendMessage(Request):
    """Queue a message to a contact. Text needs `content`; media needs `media_url`.

    Answers at once with status `queued`; it never waits for WhatsApp.
    """

    key: ClassVar[str] = "messaging.message.send"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Message]] = Message

    contact_id: UUID
    channel_id: UUID
    content_type: Literal["text", "image", "video", "audio", "voice", "document"] = "text"
    content: Annotated[str, StringConstraints(max_length=4096)] | None = None
    media_url: HttpUrl | None = None
    media_mime_type: str | None = Field(default=None, max_length=100)
    reply_to_id: UUID | None = None
    metadata: dict[str, Any] = Field(default_factory=dict, max_length=64)


class GetMessage(Request):
    """Read one message."""

    key: ClassVar[str] = "messaging.message.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Message]] = Message
    path: ClassVar[tuple[str, ...]] = ("message_id",)

    message_id: UUID


class ListMessages(ListRequest):
    """Find messages, in conversation order (`sent_at`, then `seq`)."""

    key: ClassVar[str] = "messaging.message.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[Message]]] = Page[Message]

    session_id: UUID | None = None
    contact_id: UUID | None = None
    channel_id: UUID | None = None
    direction: Direction | None = None
    status: MessageStatus | None = None
    content_type: ContentType | None = None
    search: str | None = Field(default=None, min_length=1, max_length=200)


class ListContactMessages(ListMessages):
    """The messages of one contact; an unknown contact is not found."""

    key: ClassVar[str] = "messaging.message.list_of_contact"
    path: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: UUID


class ListSessionMessages(ListMessages):
    """The messages of one session; an unknown session is not found."""

    key: ClassVar[str] = "messaging.message.list_of_session"
    path: ClassVar[tuple[str, ...]] = ("session_id",)

    session_id: UUID


class GetSession(Request):
    """Read one session."""

    key: ClassVar[str] = "messaging.session.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Session]] = Session
    path: ClassVar[tuple[str, ...]] = ("session_id",)

    session_id: UUID


class ListSessions(ListRequest):
    """Find sessions, newest first. `assigned_agent_id` also takes `none` and `me`."""

    key: ClassVar[str] = "messaging.session.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[Session]]] = Page[Session]

    status: SessionStatus | None = None
    contact_id: UUID | None = None
    channel_id: UUID | None = None
    assigned_agent_id: UUID | Literal["none", "me"] | None = None


class ListContactSessions(ListSessions):
    """The sessions of one contact; an unknown contact is not found."""

    key: ClassVar[str] = "messaging.session.list_of_contact"
    path: ClassVar[tuple[str, ...]] = ("contact_id",)

    contact_id: UUID


class AssignSession(Request):
    """Give a session to an agent, or to nobody (null). The same agent again changes nothing."""

    key: ClassVar[str] = "messaging.session.assign"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Session]] = Session
    path: ClassVar[tuple[str, ...]] = ("session_id",)

    session_id: UUID
    agent_id: UUID | None


class CloseSession(Request):
    """End a session. One that has ended already is answered unchanged, without an event."""

    key: ClassVar[str] = "messaging.session.close"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Session]] = Session
    path: ClassVar[tuple[str, ...]] = ("session_id",)

    session_id: UUID
    reason: str = Field(default="resolved", min_length=1, max_length=50)
    note: str | None = Field(default=None, max_length=4096)
