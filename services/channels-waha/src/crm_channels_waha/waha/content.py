"""What a WAMessage says: its kind, text, media and details (docs/waha.md, "Messages")."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from shared_events.channels.traffic import Media
from shared_events.messaging.message import ContentType

from crm_channels_waha.waha.reading import Json, items, mapping, number, text

_WRAPPERS = (
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "documentWithCaptionMessage",
    "associatedChildMessage",
    "editedMessage",
)
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
_POLLS = ("pollCreationMessage", "pollCreationMessageV2", "pollCreationMessageV3")
_WAID = re.compile(r"waid=(\d+)")
_UNSAFE_IN_FILENAME = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True, slots=True)
class Content:
    """A message's content; `details` holds what has no field of its own."""

    type: ContentType
    text: str | None = None
    media: Media | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Raw:
    """The engine's own view: the name of its kind, and that kind's fields."""

    kind: str
    fields: Json


def read_content(payload: Json, waha_base_url: str) -> Content:
    """Derive the content; what cannot be understood is `unsupported`, never dropped."""
    raw = _raw(payload)
    body = text(payload.get("body"))
    if location := _location(payload, raw):
        return Content("location", details={"location": location})
    if contacts := [_contact(card) for card in items(payload.get("vCards")) if text(card)]:
        return Content("contact", details={"contacts": contacts})
    if poll := _poll(payload, raw):
        return Content("poll", text=poll["question"] or body, details={"poll": poll})
    if payload.get("hasMedia") is True:
        media = _media(payload, raw, waha_base_url)
        return Content(_media_type(media, raw), body, media)
    if raw.kind in _KINDS:
        # View-once: announced, but not shown to linked devices.
        return Content(_KINDS[raw.kind], body, Media(state="unavailable"))
    row = _selected_row(raw)
    if body is None:
        return Content("unsupported", details={"kind": raw.kind} if raw.kind else {})
    return Content("text", body, details={"selected_row_id": row} if row else {})


def _raw(payload: Json) -> _Raw:
    raw = mapping(payload.get("_data"))
    if isinstance(raw.get("type"), str):
        return _Raw(raw["type"], raw)
    message = raw_message(payload)
    key = next((k for k in message if k != "messageContextInfo"), "")
    return _Raw("", {}) if key in _WRAPPERS else _Raw(key, mapping(message, key))


def raw_message(payload: Json) -> Json:
    """The engine's own message (NOWEB, GOWS), out of what is wrapped around it."""
    raw = mapping(payload.get("_data"))
    message = mapping(raw.get("message")) or mapping(raw.get("Message"))
    for _ in range(4):  # wrappers nest, but not for ever
        key = next((k for k in message if k != "messageContextInfo"), "")
        if key not in _WRAPPERS:
            break
        message = mapping(message, key, "message")
    return message


def _location(payload: Json, raw: _Raw) -> dict[str, Any] | None:
    place = mapping(payload.get("location"))
    latitude, longitude = number(place.get("latitude")), number(place.get("longitude"))
    if latitude is None and raw.kind in ("locationMessage", "liveLocationMessage"):
        place = raw.fields
        latitude = number(place.get("degreesLatitude"))
        longitude = number(place.get("degreesLongitude"))
    if latitude is None or longitude is None:
        return None
    return {
        "latitude": latitude,
        "longitude": longitude,
        "name": text(place.get("name")),
        "address": text(place.get("address")),
    }


def _contact(card: str) -> dict[str, str | None]:
    lines = card.replace("\r", "").split("\n")
    name = next((line[3:] for line in lines if line.upper().startswith("FN:")), None)
    phone = next(_phones(lines), None)
    return {"name": text(name), "phone": phone}


def _phones(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if ".TEL" in line.upper() or line.upper().startswith("TEL"):
            waid = _WAID.search(line)
            digits = waid[1] if waid else re.sub(r"\D", "", line.rpartition(":")[2])
            if digits:
                yield digits


def _poll(payload: Json, raw: _Raw) -> dict[str, Any] | None:
    if raw.kind in _POLLS:
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


def _media(payload: Json, raw: _Raw, waha_base_url: str) -> Media:
    media = mapping(payload.get("media"))
    url = text(media.get("url"))
    filename = text(media.get("filename"))
    seconds = number(raw.fields.get("seconds")) or number(raw.fields.get("duration"))
    return Media(
        url=_reachable(url, waha_base_url) if url else None,
        mime_type=(text(media.get("mimetype")) or text(raw.fields.get("mimetype")) or "")[:255]
        or None,
        filename=_UNSAFE_IN_FILENAME.sub("_", filename)[:255] if filename else None,
        duration_seconds=int(seconds) if seconds is not None and 0 <= seconds < 1e8 else None,
        state="available" if url else "unavailable",
    )


def _reachable(url: str, waha_base_url: str) -> str:
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


def _media_type(media: Media, raw: _Raw) -> ContentType:
    known = _KINDS.get(raw.kind)
    mime = (media.mime_type or "").partition(";")[0].strip().lower()
    spoken = raw.kind == "ptt" or bool(raw.fields.get("ptt") or raw.fields.get("PTT"))
    if mime == "image/webp" and known == "sticker":
        return "sticker"
    if mime == "audio/ogg" or (spoken and (not mime or mime.startswith("audio/"))):
        return "voice"
    for prefix, kind in (("audio/", "audio"), ("image/", "image"), ("video/", "video")):
        if mime.startswith(prefix) and known != "document":
            return _KINDS[kind]
    return "document" if mime else known or "unsupported"


def _selected_row(raw: _Raw) -> str | None:
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
