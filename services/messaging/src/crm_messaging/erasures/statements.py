"""What a person leaves in messaging, and how it is emptied.

Messages, sessions and conversations stay as husks: their numbers have no gaps, and a message that
WhatsApp tells again is known by its id and not stored anew.
"""

from service_kit.erasing import Pass

_MESSAGES = """
UPDATE messages SET content = NULL, media_url = NULL, media_mime_type = NULL, metadata = '{}',
    chat_id = '', failure_reason = NULL, version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM messages WHERE tenant_id = $1 AND contact_id = $3
        AND (content IS NOT NULL OR media_url IS NOT NULL OR media_mime_type IS NOT NULL
            OR metadata <> '{}' OR chat_id <> '' OR failure_reason IS NOT NULL) LIMIT $2))
"""
_BESIDE_MESSAGES = """
DELETE FROM {table} WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT b.ctid FROM messages m CROSS JOIN LATERAL (
        SELECT ctid FROM {table} WHERE message_id = m.id AND tenant_id = $1 LIMIT 1000) AS b
    WHERE m.tenant_id = $1 AND m.contact_id = $3 LIMIT $2))
"""
# To others' messages, in groups.
_REACTIONS = """
DELETE FROM message_reactions WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM message_reactions WHERE tenant_id = $1
        AND (sender = ANY($3::text[]) OR participant = ANY($3::text[])) LIMIT $2))
"""
_SESSIONS = """
UPDATE sessions SET chat_id = NULL, custom_fields = '{}', version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM sessions WHERE tenant_id = $1 AND contact_id = $3
        AND (chat_id IS NOT NULL OR custom_fields <> '{}') LIMIT $2))
"""
_CONVERSATIONS = """
UPDATE conversations SET chat_id = NULL, subject = NULL, updated_at = now()
WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM conversations WHERE tenant_id = $1 AND contact_id = $3
        AND (chat_id IS NOT NULL OR subject IS NOT NULL) LIMIT $2))
"""
_PARKED_RECEIPTS = """
DELETE FROM parked_receipts WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM parked_receipts WHERE tenant_id = $1 AND participant LIKE ANY($3::text[])
    LIMIT $2))
"""
_PARKED_CHANGES = """
DELETE FROM parked_changes WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM parked_changes WHERE tenant_id = $1
        AND (author::text LIKE ANY($3::text[]) OR change_id LIKE ANY($3::text[])) LIMIT $2))
"""
_IDENTITIES = """
DELETE FROM identity_refs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM identity_refs WHERE tenant_id = $1 AND contact_id = $3 LIMIT $2))
"""


async def erase(one: Pass) -> None:
    """Look through all tables of messaging once."""
    for table in ("message_versions", "message_reactions"):
        await one.erase(table, _BESIDE_MESSAGES.format(table=table), one.contact_id)
    await one.erase("message_reactions", _REACTIONS, one.chats)
    await one.erase("messages", _MESSAGES, one.contact_id)
    await one.erase("sessions", _SESSIONS, one.contact_id)
    await one.erase("conversations", _CONVERSATIONS, one.contact_id)
    await one.erase("parked_receipts", _PARKED_RECEIPTS, one.patterns)
    await one.erase("parked_changes", _PARKED_CHANGES, one.patterns)
    await one.erase("identity_refs", _IDENTITIES, one.contact_id)
