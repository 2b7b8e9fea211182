"""What messaging keeps about a person, file by file and a page at a time."""

import mimetypes
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.messaging.conversation import ListConversations
from shared_events.messaging.message import ListMessages, Message
from shared_events.messaging.scheduled import ListScheduledMessages
from shared_events.messaging.session import ListSessions
from shared_events.messaging.subject_export import SubjectMessagesFile
from shared_events.requests import Page, Principal

from crm_messaging.conversations import listing as conversations
from crm_messaging.labels import repository as labels
from crm_messaging.messages import listing as messages
from crm_messaging.messages.changes.repository import versions_of
from crm_messaging.messages.members import MEMBERS
from crm_messaging.messages.scheduled import requests as scheduled
from crm_messaging.replicas import merged
from crm_messaging.sessions import requests as sessions

Entry = dict[str, Any]

_AT_ONCE = 100
_COUNT = """
SELECT (SELECT count(*) FROM messages WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[]))
    + (SELECT count(*) FROM sessions WHERE tenant_id = $1 AND contact_id = $3)
    + (SELECT count(*) FROM conversations WHERE tenant_id = $1 AND contact_id = $3)
    + (SELECT count(*) FROM scheduled_messages
        WHERE tenant_id = $1 AND contact_id = $3 AND status = 'scheduled')
"""
# One look into the index for each message (docs/adr/0017).
_RECEIPTS = """
SELECT r.* FROM unnest($2::uuid[]) AS k(id)
CROSS JOIN LATERAL (SELECT * FROM message_receipts
    WHERE message_id = k.id AND tenant_id = $1 ORDER BY participant LIMIT 2000) AS r
"""


@dataclass(frozen=True, slots=True)
class Read:
    """Entries of a file, where it goes on, and the files that the entries name."""

    entries: Sequence[Entry]
    cursor: str | None
    media: Sequence[Entry] = field(default_factory=list)


async def count(tx: Transaction, contact_id: UUID) -> int:
    """How many entries there are about a contact."""
    everybody = await merged.everybody(tx, contact_id)
    found: int = await tx.fetchval(_COUNT, tx.tenant_id, everybody, contact_id)
    return found + len(await labels.of_contact(tx, contact_id))


async def read(
    tx: Transaction, file: SubjectMessagesFile, contact_id: UUID, cursor: str | None
) -> Read:
    """The entries of a file behind this cursor, as the routes that show them find them."""
    given = {"contact_id": contact_id, "limit": _AT_ONCE, "cursor": cursor}
    return await _SECTIONS[file](tx, given)


async def _conversations(tx: Transaction, given: dict[str, Any]) -> Read:
    return _as_shown(await conversations.page(tx, ListConversations(**given), _call(tx)))


async def _labels(tx: Transaction, given: dict[str, Any]) -> Read:
    """All at once: WhatsApp has twenty of a number's."""
    found = await labels.of_contact(tx, given["contact_id"])
    entries = [
        {
            "channel_id": str(one.channel_id),
            **one.label.model_dump(mode="json"),
            "since": one.changed_at.isoformat(),
        }
        for one in found
    ]
    return Read(entries, None)


async def _sessions(tx: Transaction, given: dict[str, Any]) -> Read:
    return _as_shown(await sessions.list_sessions(tx, ListSessions(**given), _call(tx)))


async def _scheduled(tx: Transaction, given: dict[str, Any]) -> Read:
    page = await scheduled.list_scheduled(tx, ListScheduledMessages(**given), _call(tx))
    return _with_media(page, [_shown(message) for message in page.data])


async def _messages(tx: Transaction, given: dict[str, Any]) -> Read:
    """Messages with what they said before, and with whom of a group they got how far."""
    page = await messages.list_messages(tx, ListMessages(**given), _call(tx))
    ids = [message.id for message in page.data]
    versions = await versions_of(tx, [(tx.tenant_id, message_id) for message_id in ids])
    members: dict[UUID, list[Entry]] = {}
    for row in await MEMBERS.find(tx, _RECEIPTS, tx.tenant_id, ids):
        said = row.model_dump(mode="json", exclude={"message_id", "tenant_id"})
        members.setdefault(row.message_id, []).append(said)
    entries = [
        {
            **_shown(message),
            "versions": [
                {"content": one.content, "since": one.since.isoformat()}
                for one in versions.get(message.id, ())
            ],
            "member_receipts": members.get(message.id, []),
        }
        for message in page.data
    ]
    return _with_media(page, entries)


_SECTIONS: dict[str, Callable[[Transaction, dict[str, Any]], Awaitable[Read]]] = {
    "conversations": _conversations,
    "labels": _labels,
    "sessions": _sessions,
    "scheduled": _scheduled,
    "messages": _messages,
}

FILES: tuple[SubjectMessagesFile, ...] = tuple(
    file for file in get_args(SubjectMessagesFile) if file in _SECTIONS
)
"""In the order they are gathered; the list of media grows with those that name some."""


def _as_shown(page: Page[Any]) -> Read:
    return Read([entry.model_dump(mode="json") for entry in page.data], page.next_cursor)


def _with_media(page: Page[Message], entries: Sequence[Entry]) -> Read:
    return Read(entries, page.next_cursor, list(_media(page.data)))


def _media(found: Iterable[Message]) -> Iterable[Entry]:
    for message in found:
        if message.media_id is not None:
            yield {"media_id": str(message.media_id), "path": _path(message)}


def _shown(message: Message) -> Entry:
    shown = message.model_dump(mode="json")
    return shown if message.media_id is None else {**shown, "media_url": _path(message)}


def _path(message: Message) -> str:
    """Where a message's file lies in the archive."""
    kind = (message.media_mime_type or "").partition(";")[0]
    return f"media/{message.media_id}{mimetypes.guess_extension(kind) or ''}"


def _call(tx: Transaction) -> Call:
    return Call(Principal(tenant_id=tx.tenant_id), "")
