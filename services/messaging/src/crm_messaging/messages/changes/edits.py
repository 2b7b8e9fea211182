"""Replacing the text of a message. Nothing here does I/O.

Edits repeat and come out of order (docs/waha.md, "Changes"): the newest is what a message says,
whenever it comes, and each of the others stands in its place among the versions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from shared_events.identity import IdentityKey, WhatsAppId, parse_whatsapp_id
from shared_events.messaging.message import Message


@dataclass(frozen=True, slots=True)
class Edit:
    """Another text for a message; `edit_id` is WhatsApp's id of the edit, `author` who wrote it."""

    edit_id: str
    at: datetime
    content: str
    from_us: bool
    author: tuple[WhatsAppId, ...]


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """What a message said from `since` on. Versions are ordered by when they were written."""

    since: datetime
    edit_id: str
    content: str | None = field(compare=False)


@dataclass(frozen=True, slots=True)
class Edited:
    """The message afterwards, and the versions that are new."""

    message: Message
    added: tuple[Version, ...]


def edited(message: Message, edit: Edit, versions: Sequence[Version]) -> Edited | None:
    """Replace the text of a message that said these versions so far; None when nothing is new.

    That is so for an edit that is known, for one that says what its neighbour says, and for one
    that claims to be later than the message's deletion.
    """
    original = Version(message.sent_at or message.created_at, "", message.content)
    known = sorted(versions or [original])
    new = Version(max(edit.at, known[0].since), edit.edit_id, edit.content)
    if message.revoked_at is not None and new.since > message.revoked_at:
        return None
    if any(version.edit_id == new.edit_id for version in known):
        return None
    place = sum(version < new for version in known)
    if new.content in (version.content for version in known[max(place - 1, 0) : place + 1]):
        return None
    newest = max(*known, new)
    changes = {
        "content": newest.content,
        "edited_at": newest.since,
        "version": message.version + 1,
        "updated_at": datetime.now(UTC),
    }
    added = (new,) if versions else (original, new)
    return Edited(message.model_copy(update=changes), added)


def is_by_author(message: Message, chat_id: str, edit: Edit, contact_id: UUID) -> bool:
    """Whether who wrote an edit wrote the message, which was said in this chat.

    `contact_id` is whose the author's WhatsApp ids are: a person may be shown by phone at one time
    and by hidden id at another.
    """
    if edit.from_us or message.direction == "outbound":
        return edit.from_us and message.direction == "outbound"
    shown = {identity.key for identity in edit.author}
    return contact_id == message.contact_id or not shown.isdisjoint(_authors(message, chat_id))


def _authors(message: Message, chat_id: str) -> set[IdentityKey]:
    if message.metadata.get("is_group"):
        participants = message.metadata.get("participant", [])
        return {WhatsAppId(one["kind"], one["value"]).key for one in participants}
    them = parse_whatsapp_id(chat_id)
    return {them.key} if them else set()
