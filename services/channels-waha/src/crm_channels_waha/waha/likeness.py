"""Whether a message in WAHA's history is one that we sent (docs/waha.md, "Sending")."""

from crm_channels_waha.waha.content import read_content
from crm_channels_waha.waha.raw import read_raw
from crm_channels_waha.waha.reading import Json, items, mapping, number, text
from crm_channels_waha.waha.sending import Outgoing

EXACT = frozenset({"text", "location", "contact", "poll"})
"""Content types that come back as what they were sent as. Files do not: audio may be a document."""


def is_like(message: Outgoing, candidate: Json) -> bool:
    """Whether a message of the chat's history says what this one says."""
    if message.content_type in EXACT - {"text"}:
        found = read_content(candidate, read_raw(candidate), "")
        ours = _essence(message.content_type, message.details)
        return found.type == message.content_type and _essence(found.type, found.details) == ours
    if (candidate.get("hasMedia") is True) != (message.content_type != "text"):
        return False
    return (text(candidate.get("body")) or "").strip() == (message.content or "").strip()


def _essence(kind: str, details: Json) -> object:
    """What engines hand on unchanged: not a place's title, nor the last digit of its degrees."""
    match kind:
        case "location":
            place = mapping(details.get("location"))
            degrees = number(place.get("latitude")), number(place.get("longitude"))
            return [degree if degree is None else round(degree, 4) for degree in degrees]
        case "contact":
            cards = map(mapping, items(details.get("contacts")))
            return [items(card.get("phones")) or [card.get("phone")] for card in cards]
    poll = mapping(details.get("poll"))
    return poll.get("question"), items(poll.get("options"))
