"""What may be sent, and how it is kept: as what comes in is shown. Nothing here does I/O."""

from collections.abc import Sequence
from typing import Any

import orjson
from service_kit.errors import ConflictError, InvalidError
from shared_events.identity import visible
from shared_events.messaging.content import Card, Location, Poll
from shared_events.messaging.message import Message, MessageContent

from crm_messaging.messages.receipts import RECEIPTS

MAX_CAPTION = 1024
_EDITABLE = frozenset({"text", "image", "video", "document"})
MENTIONS = "mentions"
"""The key of a message's metadata that names who is mentioned in it."""

_CAPTIONED = frozenset({"image", "video", "audio", "document"})
_FILES = _CAPTIONED | {"voice", "sticker"}
_BELONGS = {
    "content": _CAPTIONED | {"text"},
    "media_url": _FILES | {"text"},  # ignored there, as it always was
    "media_id": _FILES,
    "media_mime_type": _FILES | {"text"},
    "location": {"location"},
    "contact": {"contact"},
    "poll": {"poll"},
    MENTIONS: _CAPTIONED | {"text"},
}
"""The content types that take a field."""


def check(request: MessageContent) -> None:
    """Raises InvalidError for what does not fit together, or cannot be stored."""
    _check_metadata(request)
    kind = request.content_type
    for field, kinds in _BELONGS.items():
        if getattr(request, field) and kind not in kinds:
            raise InvalidError.field(field, "not_allowed", f"A {kind} has no {field}.")
    if kind == "text":
        _check_visible(request.content)
    elif kind in _FILES:
        _check_file(request)
    elif getattr(request, kind) is None:
        raise InvalidError.field(kind, "missing", f"A {kind} message needs {kind}.")
    if request.poll is not None and len(set(request.poll.options)) < len(request.poll.options):
        raise InvalidError.field("poll/options", "not_unique", "Each option stands once.")
    _check_mentions(request.content, request.mentions)


def check_edit(message: Message, text: str) -> None:
    """Raises InvalidError or ConflictError for a text that may not take the place of a message's.

    `not_editable` are those that have neither text nor caption.
    """
    if message.content_type not in _EDITABLE:
        raise ConflictError("not_editable", "Only texts and captions can be edited.")
    if message.content_type == "text":
        _check_visible(text)
    else:
        _check_caption(text)


def _check_visible(text: str | None) -> None:
    """Nobody is sent a text of blanks, or of characters that are not shown."""
    if not visible(text):
        raise InvalidError.field("content", "blank", "A text message needs content.")


def _check_mentions(text: str | None, mentions: Sequence[str]) -> None:
    for place, mentioned in enumerate(mentions):
        if f"@{_digits(mentioned)}" not in (text or ""):
            raise InvalidError.field(
                f"{MENTIONS}/{place}", "not_in_content", "The text must have it behind an @."
            )


def _check_metadata(request: MessageContent) -> None:
    try:
        orjson.dumps(request.metadata)
    except orjson.JSONEncodeError:
        raise InvalidError.field("metadata", "not_json", "A number is too large.") from None
    for key in (RECEIPTS, MENTIONS, *details_of(request)):
        if key in request.metadata:
            raise InvalidError.field(f"metadata/{key}", "reserved_key", "This key is ours.")


def _check_file(request: MessageContent) -> None:
    if request.media_url is None and request.media_id is None:
        raise InvalidError.field(
            "media_url", "missing", "A media message needs media_url or media_id."
        )
    if request.media_url is not None and request.media_id is not None:
        raise InvalidError.field("media_id", "ambiguous", "Give media_url or media_id, not both.")
    if request.content is not None:
        _check_caption(request.content)


def _check_caption(text: str) -> None:
    if len(text) > MAX_CAPTION:
        raise InvalidError.field(
            "content",
            "too_long",
            f"A caption has at most {MAX_CAPTION} characters.",
            max_length=MAX_CAPTION,
        )


def text_of(request: MessageContent) -> str | None:
    """What is shown as the message's content: of a poll, its question."""
    return request.poll.question if request.poll is not None else request.content


def details_of(request: MessageContent) -> dict[str, Any]:
    """What has no column, under the metadata's keys that messages of customers have it under."""
    details: dict[str, Any] = {}
    if request.location is not None:
        details["location"] = _location(request.location)
    if request.contact is not None:
        details["contacts"] = [_card(request.contact)]
    if request.poll is not None:
        details["poll"] = _poll(request.poll)
    if request.mentions:
        details[MENTIONS] = [_chat_id(mentioned) for mentioned in request.mentions]
    return details


def _location(location: Location) -> dict[str, Any]:
    return {**location.model_dump(), "address": None}


def _card(card: Card) -> dict[str, Any]:
    phones = list(dict.fromkeys(map(_digits, card.phones)))
    shown = {"name": card.name, "phone": phones[0]}
    return {**shown, "phones": phones} if len(phones) > 1 else shown


def _poll(poll: Poll) -> dict[str, Any]:
    return {
        **poll.model_dump(exclude={"multiple"}),
        **({"multiple": True} if poll.multiple else {}),
    }


def _digits(number: str) -> str:
    return number.removeprefix("+").removesuffix("@lid")


def _chat_id(mentioned: str) -> str:
    return mentioned if mentioned.endswith("@lid") else f"{_digits(mentioned)}@c.us"
