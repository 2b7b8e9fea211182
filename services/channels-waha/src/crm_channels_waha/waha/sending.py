"""Composing a send (docs/waha.md, "Sending"). The session goes into the body, not the path."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from crm_channels_waha.waha.answers import Rejected

TAKES_MESSAGE_ID = frozenset({"text"})
"""Content types whose endpoint takes a pre-generated id; media endpoints drop it silently."""

_ENDPOINTS = {
    "text": "/api/sendText",
    "image": "/api/sendImage",
    "video": "/api/sendVideo",
    "voice": "/api/sendVoice",
    "audio": "/api/sendFile",
    "document": "/api/sendFile",
}
_MIME_TYPES = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "voice": "audio/ogg; codecs=opus",
    "audio": "audio/mpeg",
    "document": "application/octet-stream",
}
_CONVERTED = frozenset({"voice", "video"})
BROWSER_ENGINES = frozenset({"WEBJS", "WPP"})
"""They give no pre-generated ids and quote by full id only."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. `reply_to` is a bare id, `replies_to_us` whether that one was ours."""

    chat_id: str
    content_type: str
    content: str | None
    media_url: str | None = None
    media_mime_type: str | None = None
    media_filename: str | None = None
    reply_to: str | None = None
    replies_to_us: bool = False
    engine: str | None = None


def compose(
    message: Outgoing, session: str, message_id: str | None
) -> tuple[str, dict[str, Any], bool] | Rejected:
    """Path, body and whether WAHA must fetch a file; Rejected for what cannot be sent."""
    path = _ENDPOINTS.get(message.content_type)
    if path is None:
        return Rejected("unsupported_content", f"Sending {message.content_type} is not supported.")
    body: dict[str, Any] = {"session": session, "chatId": message.chat_id}
    if message.reply_to is not None:
        body["reply_to"] = _reply_to(message, message.reply_to)
    if message.content_type == "text":
        if not message.content:
            return Rejected("empty_content", "A text message needs text.")
        body["text"] = message.content
        if message_id is not None:
            body["id"] = message_id
        return path, body, False
    if message.media_url is None:
        return Rejected("media_missing", "A media message needs a media_url.")
    file = {
        "mimetype": message.media_mime_type or _MIME_TYPES[message.content_type],
        "url": message.media_url,
    }
    if path == "/api/sendFile":
        file["filename"] = message.media_filename or _filename(message.media_url)
    body["file"] = file
    if message.content:
        body["caption"] = message.content
    if message.content_type in _CONVERTED:
        body["convert"] = True
    return path, body, True


def _reply_to(message: Outgoing, bare_id: str) -> str:
    if message.engine in BROWSER_ENGINES:
        return f"{'true' if message.replies_to_us else 'false'}_{message.chat_id}_{bare_id}"
    return bare_id


def _filename(url: str) -> str:
    return PurePosixPath(unquote(urlsplit(url).path)).name or "file"
