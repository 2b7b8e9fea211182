"""Imports of history and their chats in the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.jobs.pace import is_behind
from service_kit.jobs.schemas import JobRef
from service_kit.jobs.states import LOOK_AGAIN
from service_kit.rows import Rows, Shape

from crm_channels_waha.history.models import HistoryChat, HistoryImportRow

KIND = "history"
MOST_WAITING = 100
"""Events of a company that may wait for the relay before its imports wait for them."""

_IMPORTS = Rows(HistoryImportRow)
_CHATS = Rows(HistoryChat)

_FIND = "SELECT * FROM history_imports WHERE tenant_id = $1 AND id = $2"
_FIND_LOCKED = f"{_FIND} FOR UPDATE"
# Taken in the order they are due, each by one process; one somebody holds is being worked on.
_DUE = """
UPDATE history_imports SET due_at = now() + $1 WHERE id IN (
    SELECT id FROM history_imports WHERE state IN ('queued', 'running') AND due_at <= now()
    ORDER BY due_at LIMIT 100 FOR UPDATE SKIP LOCKED)
RETURNING tenant_id, id
"""
_NEXT_CHAT = """
SELECT * FROM history_chats WHERE tenant_id = $1 AND import_id = $2 AND NOT finished
ORDER BY place LIMIT 1
"""
_CHAT = """
SELECT * FROM history_chats WHERE tenant_id = $1 AND import_id = $2 AND chat_id = $3
"""
_COUNT = "SELECT count(*) FROM history_chats WHERE tenant_id = $1 AND import_id = $2"
_DROP = "DELETE FROM history_chats WHERE tenant_id = $1 AND import_id = $2"


@dataclass(frozen=True, slots=True)
class _Due:
    tenant_id: str
    id: UUID


_DUES = Shape(_Due)
_ONE_AT_A_TIME = "(tenant_id, channel_id) WHERE state IN ('queued', 'running', 'paused')"


async def insert(tx: Transaction, job: HistoryImportRow) -> bool:
    """Add an import; False while its channel has one that has not ended."""
    return await _IMPORTS.insert(tx, [job], unless=_ONE_AT_A_TIME) == 1


async def find(tx: Transaction, import_id: UUID) -> HistoryImportRow | None:
    """The import, unless it is missing or another tenant's."""
    return await _IMPORTS.first(tx, _FIND, tx.tenant_id, import_id)


async def lock(tx: Transaction, import_id: UUID) -> HistoryImportRow | None:
    """As `find`, and nobody else works on it until the commit. To be taken before other locks."""
    return await _IMPORTS.first(tx, _FIND_LOCKED, tx.tenant_id, import_id)


async def update(tx: Transaction, job: HistoryImportRow) -> None:
    """Write an import back; the caller holds its lock."""
    await _IMPORTS.update(tx, [job])


async def is_ahead(tx: Transaction) -> bool:
    """Whether the company's imports go faster than what they read can be told."""
    return await is_behind(tx, MOST_WAITING)


async def due(tx: Transaction) -> list[JobRef]:
    """Imports of all tenants that somebody has to look after, each given to one caller."""
    found = await _DUES.find(tx, _DUE, LOOK_AGAIN)
    return [JobRef(tenant_id=one.tenant_id, id=one.id, kind=KIND) for one in found]


async def add_chats(tx: Transaction, chats: Sequence[HistoryChat]) -> None:
    """Note chats to be read; one that is known stays as it is."""
    if chats:
        await _CHATS.insert(tx, chats, unless="(tenant_id, import_id, chat_id)")


async def count_chats(tx: Transaction, import_id: UUID) -> int:
    """How many chats the import has."""
    count: int = await tx.fetchval(_COUNT, tx.tenant_id, import_id)
    return count


async def next_chat(tx: Transaction, import_id: UUID) -> HistoryChat | None:
    """The chat to read from; None when all are read."""
    return await _CHATS.first(tx, _NEXT_CHAT, tx.tenant_id, import_id)


async def is_still(tx: Transaction, chat: HistoryChat) -> bool:
    """Whether nobody read on in the chat meanwhile; the import's lock is held."""
    now = await _CHATS.first(tx, _CHAT, chat.tenant_id, chat.import_id, chat.chat_id)
    return now == chat


async def save_chat(tx: Transaction, chat: HistoryChat) -> None:
    """Write where a chat goes on; the caller holds the import's lock."""
    await _CHATS.update(tx, [chat], "position", "empty_pages", "attempts", "finished")


async def drop_chats(tx: Transaction, import_id: UUID) -> None:
    """Forget whose chats an import read."""
    await tx.execute(_DROP, tx.tenant_id, import_id)
