"""A WhatsApp message as the simulator keeps it, the same for every engine."""

import os
import secrets
import time
from dataclasses import dataclass, field
from typing import Literal

Engine = Literal["GOWS", "NOWEB", "WEBJS"]
Kind = Literal[
    "text", "image", "video", "voice", "audio", "document", "sticker", "location", "vcard", "poll"
]

ERROR, PENDING, SERVER, DEVICE, READ, PLAYED = -1, 0, 1, 2, 3, 4
ACK_NAMES = {-1: "ERROR", 0: "PENDING", 1: "SERVER", 2: "DEVICE", 3: "READ", 4: "PLAYED"}

_CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"
_EXTENSIONS = {
    "image/jpeg": "jpeg",
    "image/png": "png",
    "image/webp": "webp",
    "audio/ogg": "oga",
    "audio/mpeg": "mp3",
    "video/mp4": "mp4",
    "application/pdf": "pdf",
}


def event_id() -> str:
    """Return a new envelope id: `evt_` and a lowercase ULID."""
    number = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    return "evt_" + "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def new_bare_id(engine: Engine, from_me: bool) -> str:
    """Return a bare message id that looks like those of the engine's devices."""
    if not from_me and engine == "GOWS":
        return "AC" + secrets.token_hex(15).upper()
    if not from_me and engine == "NOWEB":
        return "3A" + secrets.token_hex(9).upper()
    return "3EB0" + secrets.token_hex(9).upper()


def bare(message_id: str) -> str:
    """Return the stable part of a message id, full or bare (docs/waha.md, "Ids")."""
    parts = message_id.split("_")
    return parts[2] if len(parts) >= 3 else message_id


def chat_id(address: str) -> str:
    """Return the chat id of a phone, or of an id in its bare or raw form."""
    if "@" not in address:
        return f"{address.lstrip('+')}@c.us"
    return address.replace("@s.whatsapp.net", "@c.us")


def raw_jid(chat: str) -> str:
    """Return the form engines use inside: `@c.us` becomes `@s.whatsapp.net`."""
    return chat.replace("@c.us", "@s.whatsapp.net")


@dataclass
class Media:
    """A file of a message; `url` is where WAHA serves it, None when it was not downloaded."""

    mimetype: str
    content: bytes
    filename: str | None = None
    url: str | None = None

    @property
    def extension(self) -> str:
        """File name extension, without the dot."""
        return _EXTENSIONS.get(self.mimetype.split(";")[0].strip(), "bin")


@dataclass
class Location:
    """A place; degrees."""

    latitude: float
    longitude: float
    name: str | None = None
    address: str | None = None


@dataclass
class Poll:
    """A question with options to choose from."""

    name: str
    options: list[str]
    multiple: bool = False


@dataclass
class Message:
    """One message of a chat.

    `chat` is a chat id, `text` the text or caption, `timestamp` seconds, `phone` the digits
    behind a hidden chat id. `times` counts how often the same id was accepted for sending.
    `shape` is one of `shapes`. `edited_ms` is when its text was replaced last. `reacted` is each
    person's newest reaction, one that takes it away too, by who: a chat id, empty for us.
    `receipts` are of a group's members: the levels each reached, and when, in seconds.
    """

    bare_id: str
    session: str
    chat: str
    from_me: bool
    kind: Kind
    text: str | None = None
    source: Literal["api", "app"] = "app"
    timestamp: int = field(default_factory=lambda: int(time.time()))
    push_name: str | None = None
    phone: str | None = None
    participant: str | None = None
    ack: int = PENDING
    media: Media | None = None
    location: Location | None = None
    vcards: list[str] = field(default_factory=list)
    poll: Poll | None = None
    reply_to: "Message | None" = None
    mentions: list[str] = field(default_factory=list)
    link_preview: bool = True
    times: int = 1
    revoked: bool = False
    shape: str | None = None
    edited_ms: int | None = None
    reacted: dict[str, "Message"] = field(default_factory=dict)
    receipts: dict[str, dict[int, int]] = field(default_factory=dict)

    @property
    def reactions(self) -> dict[str, str]:
        """Emojis by who reacted."""
        return {who: act.text for who, act in self.reacted.items() if act.text}

    @property
    def is_group(self) -> bool:
        """Whether the chat is a group."""
        return self.chat.endswith("@g.us")

    @property
    def full_id(self) -> str:
        """`{fromMe}_{chat}_{bare id}` and, in groups, the author."""
        return f"{self.short_id}_{self.participant}" if self.participant else self.short_id

    @property
    def short_id(self) -> str:
        """The full id without the author."""
        return f"{'true' if self.from_me else 'false'}_{self.chat}_{self.bare_id}"
