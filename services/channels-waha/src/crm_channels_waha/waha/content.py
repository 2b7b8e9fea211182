"""What a WAMessage says: its kind, text, media and details (docs/waha.md, "Messages")."""

import re
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from shared_events import bounds
from shared_events.channels.traffic import Media
from shared_events.identity import visible
from shared_events.messaging.message import ContentType

from crm_channels_waha.waha.cards import read_card, split_cards
from crm_channels_waha.waha.raw import Raw, known, within
from crm_channels_waha.waha.reading import Json, items, mapping, number, text, written
from crm_channels_waha.waha.referrals import read_referral
from crm_channels_waha.waha.structured import read_structured

_KINDS: dict[str, ContentType] = {
    # WEBJS and WPP: `_data.type`
    "image": "image",
    "video": "video",
    "ptt": "voice",
    "audio": "audio",
    "document": "document",
    "sticker": "sticker",
    # NOWEB and GOWS: the key of the raw message
    "imageMessage": "image",
    "videoMessage": "video",
    "ptvMessage": "video",
    "audioMessage": "audio",
    "documentMessage": "document",
    "stickerMessage": "sticker",
    "lottieStickerMessage": "sticker",
}
_POLL = "pollCreationMessage"
"""The newer ones have `V2` to `V6` behind it."""
_LOCATIONS = ("locationMessage", "liveLocationMessage", "location")
_SEVERAL_CARDS = ("contactsArrayMessage", "multi_vcard")
_CARDS = ("contactMessage", "vcard", *_SEVERAL_CARDS)
_CARD = "BEGIN:VCARD"
_UNSAFE_IN_FILENAME = re.compile(
    r"[\x00-\x1f\x7f-\x9f/\\\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
"""What leads elsewhere, or shows another name than there is: `\u202e` turns the text around."""
_LONGEST_NAME = 255
_LONGEST_URL = bounds.limit(bounds.Url)
_LONGEST_ENDING = 16
_SAYS_NOTHING = ("application/octet-stream", "binary/octet-stream")
_STICKERS = ("image/webp", "application/was")


@dataclass(frozen=True, slots=True)
class Content:
    """A message's content; `details` holds what has no field of its own."""

    type: ContentType
    text: str | None = None
    media: Media | None = None
    details: dict[str, Any] = field(default_factory=dict)


def read_content(payload: Json, raw: Raw, waha_base_url: str) -> Content:
    """Derive the content; what cannot be understood is `unsupported`, never dropped.

    `raw` is the engine's own view of the payload.
    """
    content = _read(payload, raw, waha_base_url)
    marks = known(view_once=raw.view_once or None, referral=read_referral(payload, raw))
    return replace(content, details={**content.details, **marks}) if marks else content


def _read(payload: Json, raw: Raw, waha_base_url: str) -> Content:
    body = written(payload.get("body"))
    if location := _location(payload, raw):
        # WEBJS has a picture of the map for a body.
        return Content("location", _comment(payload, raw), details={"location": location})
    if contacts := _contacts(payload, raw):
        said = None if body and body.startswith(_CARD) else body
        return Content("contact", said, details={"contacts": contacts})
    if poll := _poll(payload, raw):
        return Content("poll", text=poll["question"] or body, details={"poll": poll})
    media = _media(payload, raw, waha_base_url)
    structured = read_structured(raw)
    details = structured.details
    if row := _selected_row(raw):
        details = {**details, "selected_row_id": row}
    said = body or structured.text
    # View-once is announced, but not shown to linked devices.
    if payload.get("hasMedia") is True or media.url or raw.kind in _KINDS:
        said = said or text(raw.fields.get("caption"))
        return Content(_media_type(media, raw), said, media, details)
    if said is None and not details:
        return Content("unsupported", details={"kind": raw.kind} if raw.kind else {})
    return Content("text", said, details=details)


def _location(payload: Json, raw: Raw) -> dict[str, Any] | None:
    told, own = mapping(payload.get("location")), raw.fields if raw.kind in _LOCATIONS else {}
    latitude, longitude = number(told.get("latitude")), number(told.get("longitude"))
    if latitude is None or longitude is None:
        latitude = number(own.get("degreesLatitude", own.get("lat")))
        longitude = number(own.get("degreesLongitude", own.get("lng")))
    if latitude is None or longitude is None:
        return None
    loc = None if text(told.get("description")) else text(own.get("loc"))  # WEBJS has them alike
    is_live = (told.get("live"), own.get("live"), own.get("isLive"))
    live = raw.kind == "liveLocationMessage" or True in is_live
    return {
        "latitude": latitude,
        "longitude": longitude,
        "name": text(told.get("name")) or text(own.get("name")) or loc,
        "address": text(told.get("address")) or text(own.get("address")),
        **known(
            live=live or None,
            url=text(told.get("url")) or text(own.get("url")),
            accuracy_metres=number(raw.fields.get("accuracyInMeters")),
        ),
    }


def _comment(payload: Json, raw: Raw) -> str | None:
    """What was written beside a location."""
    description = text(mapping(payload.get("location")).get("description"))
    if raw.kind not in _LOCATIONS:
        return description
    return description or text(raw.fields.get("caption")) or text(raw.fields.get("comment"))


def _contacts(payload: Json, raw: Raw) -> list[dict[str, Any]]:
    """What the cards say; one that names nobody, or is missing, is called as WhatsApp shows it."""
    cards, names = [read_card(card) for card in _cards(payload, raw)], _card_names(raw)
    if not cards:
        return [{"name": name, "phone": None} for name in names if name]
    if len(cards) != len(names):
        return cards
    return [{**card, "name": card["name"] or name} for card, name in zip(cards, names, strict=True)]


def _card_names(raw: Raw) -> list[str | None]:
    if raw.kind not in _CARDS:
        return []
    several = items(raw.fields.get("contacts")) or items(raw.fields.get("vcardList"))
    shown = (
        visible(
            text(mapping(one).get("displayName")) or text(mapping(one).get("vcardFormattedName"))
        )
        for one in (several if raw.kind in _SEVERAL_CARDS else [raw.fields])
    )
    return [name[:_LONGEST_NAME] or None for name in shown]


def _cards(payload: Json, raw: Raw) -> list[str]:
    """The contact cards, from the engine's own message where WAHA gives none."""
    shared = items(payload.get("vCards")) or [payload.get("vCards")]
    if raw.kind in _CARDS and not any(shared):
        lists = (items(raw.fields.get(name)) for name in ("contacts", "vcardList"))
        shared = [raw.fields, *chain.from_iterable(lists)]
    told = [card for one in shared if (card := text(one) or text(mapping(one).get("vcard")))]
    if raw.kind in _CARDS and not told:  # WEBJS has a single card for a body
        bodies = (text(said.get("body")) or "" for said in (payload, raw.fields))
        told = [body for body in bodies if body.startswith(_CARD)][:1]
    return [card for one in told for card in split_cards(one)]


def _poll(payload: Json, raw: Raw) -> dict[str, Any] | None:
    if raw.kind.startswith(_POLL):
        name, options, key = raw.fields.get("name"), raw.fields.get("options"), "optionName"
    elif raw.kind == "poll_creation":
        name, options, key = raw.fields.get("pollName"), raw.fields.get("pollOptions"), "name"
    else:
        poll = mapping(payload.get("poll"))
        if not poll:
            return None
        name, options, key = poll.get("name"), poll.get("options"), "name"
    names = [text(o) or text(mapping(o).get(key)) for o in items(options)]
    return {"question": text(name), "options": [n for n in names if n]}


def _media(payload: Json, raw: Raw, waha_base_url: str) -> Media:
    media = mapping(payload.get("media"))
    url = text(media.get("url")) or text(payload.get("mediaUrl"))
    link = reachable(url, waha_base_url) if url else ""
    link = link if len(link) <= _LONGEST_URL else ""
    filename = text(media.get("filename")) or text(within(raw.fields, "filename", 1))
    seconds = number(raw.fields.get("seconds")) or number(raw.fields.get("duration"))
    return Media(
        url=link or None,
        mime_type=(text(media.get("mimetype")) or text(raw.fields.get("mimetype")) or "")[:255]
        or None,
        filename=_safe(filename) if filename else None,
        duration_seconds=int(seconds) if seconds is not None and 0 <= seconds < 1e8 else None,
        state="available" if link else "unavailable",
    )


def _safe(filename: str) -> str | None:
    """A name without what leads elsewhere, its ending kept where it is too long; None for dots."""
    name = _UNSAFE_IN_FILENAME.sub("_", filename).strip()
    stem, dot, ending = name.rpartition(".")
    if len(name) > _LONGEST_NAME and stem and len(ending) < _LONGEST_ENDING:
        name = stem[: _LONGEST_NAME - len(dot + ending)] + dot + ending
    return name[:_LONGEST_NAME] if visible(name.strip(".")) else None


def reachable(url: str, waha_base_url: str) -> str:
    """WAHA's own files come from where we reach WAHA, whatever it believes its address is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if not parts.path.startswith("/api/files/"):
        return url
    here = urlsplit(waha_base_url)
    path = here.path.rstrip("/") + parts.path
    return urlunsplit((here.scheme, here.netloc, path, parts.query, ""))


def _media_type(media: Media, raw: Raw) -> ContentType:
    known = _KINDS.get(raw.kind)
    mime = (media.mime_type or "").partition(";")[0].strip().lower()
    if known == "document" or (known == "sticker" and mime in _STICKERS):
        return known
    vague = "/" not in mime or mime in _SAYS_NOTHING
    spoken = raw.kind == "ptt" or bool(raw.fields.get("ptt") or raw.fields.get("PTT"))
    if mime == "audio/ogg" or (spoken and (vague or mime.startswith("audio/"))):
        return "voice"
    for prefix, kind in (("audio/", "audio"), ("image/", "image"), ("video/", "video")):
        if mime.startswith(prefix):
            return _KINDS[kind]
    if vague:
        return known or ("document" if mime else "unsupported")
    return "document"


def _selected_row(raw: Raw) -> str | None:
    """What was picked in a list or on a button; engines differ in the case of `Id`."""
    places = (
        mapping(raw.fields.get("singleSelectReply")),
        mapping(raw.fields, "listResponse", "singleSelectReply"),
        raw.fields,
    )
    wanted = ("selectedrowid", "selectedbuttonid", "selectedid")
    for place in places:
        for key, value in place.items():
            if key.lower() in wanted and text(value):
                return str(value)
    return None
