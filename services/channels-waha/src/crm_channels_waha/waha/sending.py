"""Composing a send (docs/waha.md, "Sending"). The session goes into the body, not the path."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from crm_channels_waha.waha.answers import Rejected
from crm_channels_waha.waha.cards import write_card
from crm_channels_waha.waha.reading import Json, items, mapping

TAKES_MESSAGE_ID = frozenset({"text", "location", "contact", "poll"})
"""Content types whose endpoint takes a pre-generated id; media endpoints drop it silently."""

_ENDPOINTS = {
    "text": "/api/sendText",
    "image": "/api/sendImage",
    "video": "/api/sendVideo",
    "voice": "/api/sendVoice",
    "audio": "/api/sendFile",
    "document": "/api/sendFile",
    "location": "/api/sendLocation",
    "contact": "/api/sendContactVcard",
    "poll": "/api/sendPoll",
}
_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "voice": "audio/ogg; codecs=opus",
    "audio": "audio/mpeg",
    "document": "application/octet-stream",
}
_UNCAPTIONED = frozenset({"voice"})
_CONVERTED = frozenset({"voice", "video"})
BROWSER_ENGINES = frozenset({"WEBJS", "WPP"})
"""They give no pre-generated ids and quote by full id only."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. `reply_to` is a bare id, `replies_to_us` whether that one was ours.

    `details` hold its `location`, `contacts` or `poll`, and whom it `mentions`: chat ids.
    """

    chat_id: str
    content_type: str
    content: str | None
    media_url: str | None = None
    media_mime_type: str | None = None
    media_filename: str | None = None
    reply_to: str | None = None
    replies_to_us: bool = False
    engine: str | None = None
    link_preview: bool = True
    details: Json = field(default_factory=dict)


def compose(
    message: Outgoing, session: str, message_id: str | None
) -> tuple[str, dict[str, Any], bool] | Rejected:
    """Path, body and whether WAHA must fetch a file; Rejected for what cannot be sent."""
    path = _ENDPOINTS.get(message.content_type)
    if path is None:
        return Rejected("unsupported_content", f"WAHA cannot send a {message.content_type}.")
    body: dict[str, Any] = {"session": session, "chatId": message.chat_id}
    if message.reply_to is not None:
        body["reply_to"] = _reply_to(message, message.reply_to)
    if mentions := items(message.details.get("mentions")):
        body["mentions"] = mentions
    if message.content_type in TAKES_MESSAGE_ID:
        said = _said(message)
        if isinstance(said, Rejected):
            return said
        known_as = {} if message_id is None else {"id": message_id}
        return path, {**body, **said, **known_as}, False
    if message.media_url is None:
        return Rejected("media_missing", "A media message needs a media_url.")
    return path, {**body, **_file(message, message.media_url, path)}, True


def _said(message: Outgoing) -> dict[str, Any] | Rejected:
    """What a message without a file says."""
    details = message.details
    match message.content_type:
        case "location":
            place = mapping(details.get("location"))
            degrees = {name: place.get(name) for name in ("latitude", "longitude")}
            return {**degrees, "title": place.get("name") or ""}
        case "contact":
            cards = map(mapping, items(details.get("contacts")))
            return {"contacts": [{"vcard": _card(card)} for card in cards]}
        case "poll":
            poll = mapping(details.get("poll"))
            chosen = {"multipleAnswers": poll.get("multiple") is True}
            return {
                "poll": {"name": poll.get("question"), "options": poll.get("options"), **chosen}
            }
    if not message.content:
        return Rejected("empty_content", "A text message needs text.")
    return {"text": message.content, "linkPreview": message.link_preview}


def _card(card: Json) -> str:
    phones = items(card.get("phones")) or [card.get("phone")]
    return write_card(str(card.get("name")), [str(phone) for phone in phones])


def _file(message: Outgoing, url: str, path: str) -> dict[str, Any]:
    kind = message.content_type
    file = {"mimetype": message.media_mime_type or _MIME_TYPES[kind], "url": url}
    if path == "/api/sendFile":
        file["filename"] = message.media_filename or _filename(url)
    body: dict[str, Any] = {"file": file}
    if message.content and kind not in _UNCAPTIONED:
        body["caption"] = message.content
    if kind in _CONVERTED:
        body["convert"] = True
    return body


def _reply_to(message: Outgoing, bare_id: str) -> str:
    if message.engine in BROWSER_ENGINES:
        return f"{'true' if message.replies_to_us else 'false'}_{message.chat_id}_{bare_id}"
    return bare_id


def _filename(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name or "file"
