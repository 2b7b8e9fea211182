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
    last: dict[str, Message] = {}
    wrote: dict[str, Message] = {}
    for message in session.messages.values():
        last.pop(message.chat, None)
        last[message.chat] = message
        if not message.from_me:
            wrote[message.chat] = message
    for chat, message in reversed(last.items()):
        yield message, _person(chat, wrote.get(chat))


def writer(session: WahaSession, chat: str) -> Person:
    """Who wrote last in a chat; of one in which only the company did, whose it is."""
    wrote = (m for m in reversed(said(session, chat)) if not m.from_me)
    return _person(chat, next(wrote, None))


def _person(chat: str, wrote: Message | None) -> Person:
    digits = chat.partition("@")[0] if chat.endswith("@c.us") else ""
    if wrote is None:
        return Person(digits, "", chat)
    return Person(wrote.phone or digits, wrote.push_name or "", chat)
