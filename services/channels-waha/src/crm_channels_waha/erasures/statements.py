"""What a person leaves in channels-waha, and how it is emptied.

Entries of the ledger stay as husks: an echo that comes again is known by them.
"""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.erasing import Pass
from shared_events.identity import conversation_id

from crm_channels_waha.outbound import ledger

# What is under way is left to the next pass: its sender still needs to know it.
_LEDGER = """
UPDATE outbound_messages SET chat_id = '', address = NULL, content = NULL, media_url = NULL,
    media_id = NULL, media_mime_type = NULL, details = '{}', target_participant = NULL,
    reason = NULL, updated_at = now()
WHERE tenant_id = $1 AND seq > $2 AND seq <= $3 AND chat_id = ANY($4::text[])
    AND state IN ('sent', 'failed')
"""
_RAW = """
DELETE FROM raw_events WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM raw_events WHERE tenant_id = $1
        AND EXISTS (SELECT 1 FROM unnest($3::bytea[]) AS t WHERE position(t IN body) > 0)
    LIMIT $2))
"""
_HISTORY = """
DELETE FROM history_chats WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM history_chats WHERE tenant_id = $1 AND chat_id = ANY($3::text[]) LIMIT $2))
"""
PICTURES = """
DELETE FROM profile_pictures WHERE tenant_id = $1 AND chat_id = ANY(ARRAY(
    SELECT chat_id FROM profile_pictures
    WHERE tenant_id = $1 AND chat_id = ANY($3::text[]) LIMIT $2))
"""
_LIDS = """
DELETE FROM lid_refs WHERE tenant_id = $1 AND lid = ANY(ARRAY(
    SELECT lid FROM lid_refs
    WHERE tenant_id = $1 AND (lid = ANY($3::text[]) OR phone = ANY($3::text[])) LIMIT $2))
"""
_NUMBERS = """
DELETE FROM number_checks WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM number_checks WHERE tenant_id = $1 AND phone = ANY($3::text[]) LIMIT $2))
"""


async def erase(one: Pass) -> None:
    """Look through all tables of channels-waha once."""
    async with one.transaction() as tx:
        cancelled = await ledger.cancel(tx, one.tenant_id, one.chats)
        await one.note(tx, "outbound_messages_cancelled", cancelled)
    await one.walk("outbound_messages", "seq", _LEDGER, one.chats)
    await one.erase("raw_events", _RAW, [number.encode() for number in one.numbers])
    await one.erase("history_chats", _HISTORY, one.chats)
    digits = [chat.partition("@")[0] for chat in one.chats]
    await one.erase("lid_refs", _LIDS, digits)
    await one.erase("number_checks", _NUMBERS, digits)


async def conversations(tx: Transaction, one: Pass) -> Sequence[UUID]:
    """The aggregates of what was told of the person's chats: some of it names nobody."""
    rows = await tx.fetch("SELECT id FROM channels WHERE tenant_id = $1", one.tenant_id)
    return [conversation_id(row["id"], chat) for row in rows for chat in one.chats]
