"""WAHA's message ids (docs/waha.md, "Ids"). Only the bare id is stable; never compare full ones."""

from dataclasses import dataclass

from shared_events.identity import WhatsAppId, parse_whatsapp_id

from crm_channels_waha.waha.reading import mapping, text

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
        nested = mapping(value)
        return (
            read_message_id(nested.get("_serialized") or text(nested.get("id"))) if nested else None
        )
    head, *rest = value.split("_")
    if head not in ("true", "false") or len(rest) < 2:
        return WahaMessageId(value[:255]) if value else None
    chat, bare, *tail = rest
    if not bare:
        return None
    # Self chats on browser engines may end in `_in` or `_out`: no participant without an `@`.
    participant = tail[0] if tail and "@" in tail[0] else None
    return WahaMessageId(bare[:255], head == "true", chat, participant)


def bare_id(value: object) -> str | None:
    """The bare id in any form of id, or None."""
    found = read_message_id(value)
    return found.bare if found else None


def conversation(value: object) -> WhatsAppId | None:
    """The person or group a chat id names, device part dropped; None for what is no conversation.

    So is what is too long to be anybody: WhatsApp never sends it, and our columns end somewhere.
    """
    found = parse_whatsapp_id(value) if isinstance(value, str) else None
    return found if found and len(found.value) <= _LONGEST else None


def person_id(value: object) -> WhatsAppId | None:
    """As `conversation`, but None for groups too."""
    found = conversation(value)
    return found if found and found.kind != "group" else None
