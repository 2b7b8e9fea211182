"""WAHA's message ids (docs/waha.md, "Ids"). Only the bare id is stable; never compare full ones."""

from dataclasses import dataclass, replace

from shared_events.identity import WhatsAppId, parse_whatsapp_id

from crm_channels_waha.waha.reading import Json, mapping, text

_LONGEST = 50  # phones and hidden ids have 15 digits, groups some 20 or 30


@dataclass(frozen=True, slots=True)
class WahaMessageId:
    """`{fromMe}_{chat}_{bare}[_{participant}]` taken apart; a bare id has only itself."""

    bare: str
    from_me: bool | None = None
    chat: str | None = None
    participant: str | None = None


def read_message_id(value: object) -> WahaMessageId | None:
    """Read an id in any of its forms: full text, bare text or WEBJS's object."""
    if not isinstance(value, str):
        return _read_parts(mapping(value))
    head, *rest = value.split("_")
    if head not in ("true", "false") or len(rest) < 2:
        return WahaMessageId(value[:255]) if value else None
    chat, bare, *tail = rest
    if not bare:
        return None
    # Self chats on browser engines may end in `_in` or `_out`: no participant without an `@`.
    participant = tail[0] if tail and "@" in tail[0] else None
    return WahaMessageId(bare[:255], head == "true", chat, participant)


def _read_parts(nested: Json) -> WahaMessageId | None:
    """WEBJS's object; builds differ in the name of the whole id (`_serialized`, `$1`)."""
    for name in ("_serialized", "$1"):
        if whole := text(nested.get(name)):
            return read_message_id(whole)
    bare, from_me = text(nested.get("id")), nested.get("fromMe")
    if bare is None:
        return None
    return replace(
        read_message_id(bare) or WahaMessageId(bare[:255]),
        from_me=from_me if isinstance(from_me, bool) else None,
        chat=_chat_id(nested.get("remote")),
        participant=_chat_id(nested.get("participant")),
    )


def _chat_id(value: object) -> str | None:
    """A chat's id, whole or in WEBJS's parts."""
    parts = mapping(value)
    user, server = text(parts.get("user")), text(parts.get("server"))
    whole = text(value) or text(parts.get("_serialized")) or text(parts.get("$1"))
    return whole or (f"{user}@{server}" if user and server else None)


def message_id_of(payload: Json) -> WahaMessageId | None:
    """The id of a message or of an act upon one, from the engine's own view where WAHA has none."""
    raw = mapping(payload.get("_data"))
    found = read_message_id(payload.get("id")) or read_message_id(raw.get("id"))
    if found is not None:
        return found
    key, info = mapping(raw.get("key")), mapping(raw.get("Info"))
    bare, chat, author, from_me = (
        (key.get("id"), key.get("remoteJid"), key.get("participant"), key.get("fromMe"))
        if key
        else (info.get("ID"), info.get("Chat"), info.get("Sender"), info.get("IsFromMe"))
    )
    if not text(bare):
        return None
    return WahaMessageId(
        str(bare)[:255],
        from_me if isinstance(from_me, bool) else None,
        text(chat),
        text(author),
    )


def bare_id(value: object) -> str | None:
    """The bare id in any form of id, or None."""
    found = read_message_id(value)
    return found.bare if found else None


def conversation(value: object) -> WhatsAppId | None:
    """The person or group a chat id names, device part dropped; None for what is no conversation.

    So is what is too long to be anybody: WhatsApp never sends it, and our columns end somewhere.
    """
    found = parse_whatsapp_id(_chat_id(value) or "")
    return found if found and len(found.value) <= _LONGEST else None


def person_id(value: object) -> WhatsAppId | None:
    """As `conversation`, but None for groups too."""
    found = conversation(value)
    return found if found and found.kind != "group" else None
