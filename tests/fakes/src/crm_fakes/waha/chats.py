"""Chats as the people in them see them on their phones."""

from collections.abc import Iterator
from dataclasses import dataclass

from crm_fakes.waha.messages import Message
from crm_fakes.waha.sessions import WahaSession


@dataclass(frozen=True)
class Person:
    """Who writes: a phone's digits, the name people see, and the chat, when it is known."""

    phone: str
    name: str
    chat: str = ""

    @property
    def is_in_group(self) -> bool:
        """Whether the chat is a group."""
        return self.chat.endswith("@g.us")


def said(session: WahaSession, chat: str) -> list[Message]:
    """The messages of a chat, oldest first."""
    return [message for message in session.messages.values() if message.chat == chat]


def newest(session: WahaSession) -> Iterator[tuple[Message, Person]]:
    """The last message of each chat and who wrote there last, the newest chat first."""
    chats: dict[str, Message] = {}
    for message in session.messages.values():
        chats.pop(message.chat, None)
        chats[message.chat] = message
    for chat, message in reversed(chats.items()):
        yield message, writer(session, chat)


def writer(session: WahaSession, chat: str) -> Person:
    """Who wrote last in a chat; of one in which only the company did, whose it is."""
    wrote = (m for m in reversed(said(session, chat)) if not m.from_me)
    last = next(wrote, None)
    digits = chat.partition("@")[0] if chat.endswith("@c.us") else ""
    if last is None:
        return Person(digits, "", chat)
    return Person(last.phone or digits, last.push_name or "", chat)
