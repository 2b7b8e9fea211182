"""Labels of WhatsApp Business, and what each engine tells of them (docs/waha.md, "Labels")."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crm_fakes.waha.deliveries import Delivery
from crm_fakes.waha.messages import Engine, chat_id
from crm_fakes.waha.sessions import WORKING, WahaSession

if TYPE_CHECKING:
    from crm_fakes.waha.whatsapp import WhatsApp

COLORS = ("#ff9485", "#64c4ff", "#ffd429", "#dfaef0", "#99b6c1", "#55ccb3")
_TELLING: frozenset[Engine] = frozenset(("GOWS", "NOWEB"))
"""WEBJS tells nothing of labels; it answers what is asked."""


@dataclass
class Book:
    """The labels of an account by id, and the ids of those on each chat."""

    labels: dict[str, dict[str, Any]] = field(default_factory=dict)
    chats: dict[str, list[str]] = field(default_factory=dict)


class Labels:
    """The phone's owner at work: names labels and puts them on chats.

    `looks` are the sessions whose labels were asked for, oldest first.
    """

    def __init__(self, whatsapp: "WhatsApp") -> None:
        self._whatsapp = whatsapp
        self._books: dict[str, Book] = {}
        self.looks: list[str] = []

    def book(self, session: str) -> Book:
        """What an account has."""
        return self._books.setdefault(session, Book())

    def name(
        self, session: str, name: str, *, label_id: str | None = None, color: int = 0
    ) -> tuple[dict[str, Any], list[Delivery]]:
        """Make a label, or change the one of this id; the label, and what is told of it."""
        labels = self.book(session).labels
        made = label_id or str(max(map(int, labels), default=0) + 1)
        labels[made] = {
            "id": made,
            "name": name,
            "color": color,
            "colorHex": COLORS[color % len(COLORS)],
        }
        return labels[made], self._tell(session, "label.upsert", labels[made])

    def delete(self, session: str, label_id: str) -> list[Delivery]:
        """Delete a label, which is on no chat any more; KeyError for an unknown one."""
        book = self.book(session)
        gone = book.labels.pop(label_id)
        for ids in book.chats.values():
            if label_id in ids:
                ids.remove(label_id)
        return self._tell(session, "label.deleted", gone)

    def put_on(self, session: str, chat: str, label_id: str) -> list[Delivery]:
        """Put a label on a chat, a phone or any chat's id."""
        ids = self.book(session).chats.setdefault(chat_id(chat), [])
        if label_id in ids:
            return []
        ids.append(label_id)
        return self._tell_of_chat(session, "label.chat.added", chat, label_id)

    def take_off(self, session: str, chat: str, label_id: str) -> list[Delivery]:
        """Take a label off a chat."""
        ids = self.book(session).chats.setdefault(chat_id(chat), [])
        if label_id not in ids:
            return []
        ids.remove(label_id)
        return self._tell_of_chat(session, "label.chat.deleted", chat, label_id)

    def replace(self, session: str, chat: str, wanted: Iterable[str]) -> None:
        """Let a chat have these labels and no others, each change told by itself."""
        before, after = list(self.book(session).chats.get(chat_id(chat), ())), list(wanted)
        for label_id in after:
            self.put_on(session, chat, label_id)
        for label_id in before:
            if label_id not in after:
                self.take_off(session, chat, label_id)

    def _tell_of_chat(self, session: str, event: str, chat: str, label_id: str) -> list[Delivery]:
        # GOWS never says what a label is called, NOWEB where it knows.
        knows = self._whatsapp.session(session).engine == "NOWEB"
        label = self.book(session).labels.get(label_id) if knows else None
        told = {"labelId": label_id, "chatId": chat_id(chat), "label": label}
        return self._tell(session, event, told)

    def _tell(self, name: str, event: str, payload: dict[str, Any]) -> list[Delivery]:
        session: WahaSession = self._whatsapp.session(name)
        if session.status != WORKING or session.engine not in _TELLING:
            return []
        return self._whatsapp.emit(session, event, payload)
