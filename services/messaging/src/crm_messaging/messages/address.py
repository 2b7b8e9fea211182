"""Where a contact is written to. Nothing here does I/O."""

from collections.abc import Iterable, Mapping

from shared_events.identity import WhatsAppId, parse_whatsapp_id


def chat_id_for(
    phone: str | None, identities: Iterable[WhatsAppId], last_chat_id: str | None
) -> str | None:
    """The chat a message to a contact goes to; None when WhatsApp has no way to reach it.

    `phone` is the contact's current one (E.164), `identities` those that are its own now, and
    `last_chat_id` the chat it last wrote in. A chat under a number that was taken off the contact
    is somebody else's by now. Without a chat the current phone comes first, then the hidden id.
    """
    last = parse_whatsapp_id(last_chat_id) if last_chat_id else None
    if last is not None and last.key in {identity.key for identity in identities}:
        return last_chat_id

    current = WhatsAppId("phone", phone.removeprefix("+")).key if phone else None

    def rank(identity: WhatsAppId) -> int:
        if identity.kind == "phone":
            return 0 if identity.key == current else 1
        return 2 if identity.kind == "lid" else 3

    return min(identities, key=rank).chat_id if identities else None


def is_proved(chat_id: str, identities: Mapping[WhatsAppId, bool]) -> bool:
    """Whether WhatsApp has shown whose chat this is, by what is proved of a contact's ids."""
    who = parse_whatsapp_id(chat_id)
    return who is not None and any(
        proved for identity, proved in identities.items() if identity.key == who.key
    )
