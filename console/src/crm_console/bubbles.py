"""Messages as a thread shows them: day by day, each with what it answers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from crm_console.gateway import Json
from crm_console.words import Words

TICKS = {
    "scheduled": "◷",
    "queued": "◷",
    "sent": "✓",
    "delivered": "✓✓",
    "read": "✓✓",
    "played": "✓✓",
    "failed": "⚠",
    "cancelled": "⊘",
}
"""How far a message of ours got; a word for each stands beside it for who does not see it."""


@dataclass(frozen=True)
class Bubble:
    """One message; `answered` is the message it replies to, if that is shown too."""

    message: Json
    answered: Json | None

    @property
    def moment(self) -> str:
        """When it was said: WhatsApp's time, else ours."""
        return str(self.message["sent_at"] or self.message["created_at"])

    @property
    def ticks(self) -> str:
        """Nothing for what customers wrote."""
        return TICKS.get(self.message["status"], "")

    @property
    def file(self) -> Json:
        """What is known of its file: `state`, `filename`; nothing of a message without one."""
        return _mapping(self.message["metadata"].get("media"))

    @property
    def place(self) -> str:
        """Where on a map a location is: latitude and longitude as a query; empty without one."""
        where = _mapping(self.message["metadata"].get("location"))
        latitude, longitude = where.get("latitude"), where.get("longitude")
        if not isinstance(latitude, int | float) or not isinstance(longitude, int | float):
            return ""
        return f"mlat={latitude}&mlon={longitude}"

    @property
    def place_name(self) -> str:
        """What the place is called."""
        return str(_mapping(self.message["metadata"].get("location")).get("name") or "")

    @property
    def cards(self) -> list[tuple[str, str]]:
        """The names and phones of contact cards."""
        found = map(_mapping, _items(self.message["metadata"].get("contacts")))
        return [(str(card.get("name") or ""), ", ".join(map(str, _phones(card)))) for card in found]

    @property
    def options(self) -> list[str]:
        """What a poll lets choose from."""
        poll = _mapping(self.message["metadata"].get("poll"))
        return [str(option) for option in _items(poll.get("options"))]


def days(messages: Iterable[Json], said: Words) -> list[tuple[date, list[Bubble]]]:
    """Messages, oldest first, by the day they were said on in the reader's zone."""
    shown = list(messages)
    by_id = {each["id"]: each for each in shown}
    bubbles = [Bubble(each, by_id.get(each["reply_to_id"])) for each in shown]
    by_day = groupby(bubbles, key=lambda bubble: said.local(bubble.moment).date())
    return [(day, list(those)) for day, those in by_day]


def _phones(card: Json) -> list[object]:
    return _items(card.get("phones")) or [card[key] for key in ("phone",) if card.get(key)]


# Metadata is a document whose keys anybody may write to: nothing is taken for granted.
def _mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
