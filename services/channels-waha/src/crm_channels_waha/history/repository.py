"""Imports of history and their chats in the database."""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.jobs.models import Jobs
from service_kit.jobs.pace import is_behind
from service_kit.rows import Rows

from crm_channels_waha.history.models import HistoryChat, HistoryImportRow

KIND = "history"
MOST_WAITING = 100
"""Events of a company that may wait for the relay before its imports wait for them."""

IMPORTS = Jobs(HistoryImportRow, kind=KIND)
_CHATS = Rows(HistoryChat)

_NEXT_CHAT = """
SELECT * FROM history_chats WHERE tenant_id = $1 AND import_id = $2 AND NOT finished
ORDER BY place LIMIT 1
"""
_CHAT = """
SELECT * FROM history_chats WHERE tenant_id = $1 AND import_id = $2 AND chat_id = $3
"""
_COUNT = "SELECT count(*) FROM history_chats WHERE tenant_id = $1 AND import_id = $2"
_DROP = "DELETE FROM history_chats WHERE tenant_id = $1 AND import_id = $2"


_ONE_AT_A_TIME = "(tenant_id, channel_id) WHERE state IN ('queued', 'running', 'paused')"


async def insert(tx: Transaction, job: HistoryImportRow) -> bool:
    """Add an import; False while its channel has one that has not ended."""
    return await IMPORTS.insert(tx, job, unless=_ONE_AT_A_TIME)


async def is_ahead(tx: Transaction) -> bool:
    """Whether the company's imports go faster than what they read can be told."""
    return await is_behind(tx, MOST_WAITING)


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
