"""What a person leaves in messaging, and how it is emptied.

Messages, sessions and conversations stay as husks: their numbers have no gaps, and a message that
WhatsApp tells again is known by its id and not stored anew. Messages stay those of whoever they
came from, and so those of contacts that were merged into the erased one are looked for as well.
"""

from service_kit.erasing import Pass

from crm_messaging.replicas import merged

_MESSAGES = """
UPDATE messages SET content = NULL, media_url = NULL, media_mime_type = NULL, metadata = '{}',
    media_id = NULL, chat_id = '', failure_reason = NULL, version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM messages WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[])
        AND (content IS NOT NULL OR media_url IS NOT NULL OR media_mime_type IS NOT NULL
            OR media_id IS NOT NULL OR metadata <> '{}' OR chat_id <> ''
            OR failure_reason IS NOT NULL) LIMIT $2))
"""
_BESIDE_MESSAGES = """
DELETE FROM {table} WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT b.ctid FROM messages m CROSS JOIN LATERAL (
        SELECT ctid FROM {table} WHERE message_id = m.id AND tenant_id = $1 LIMIT 1000) AS b
    WHERE m.tenant_id = $1 AND m.contact_id = ANY($3::uuid[]) LIMIT $2))
"""
# To others' messages, in groups.
_ON_OTHERS = """
DELETE FROM {table} WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM {table} WHERE tenant_id = $1
        AND (sender = ANY($3::text[]) OR participant = ANY($3::text[])) LIMIT $2))
"""
# Of others' messages, in groups.
_RECEIPTS = """
DELETE FROM message_receipts WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM message_receipts
    WHERE tenant_id = $1 AND participant = ANY($3::text[]) LIMIT $2))
"""
_SCHEDULED = """
DELETE FROM scheduled_messages WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM scheduled_messages
    WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""
_BULK_RECIPIENTS = """
DELETE FROM bulk_recipients WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM bulk_recipients
    WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""
_CALLS = """
DELETE FROM calls WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM calls WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""
_CHAT_LABELS = """
DELETE FROM chat_labels WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT l.ctid FROM unnest($3::text[], $4::text[]) AS k(kind, canonical)
    CROSS JOIN LATERAL (SELECT ctid FROM chat_labels WHERE tenant_id = $1
        AND kind = k.kind AND canonical = k.canonical LIMIT $2) AS l LIMIT $2))
"""
_SESSIONS = """
UPDATE sessions SET chat_id = NULL, custom_fields = '{}', version = version + 1, updated_at = now()
WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM sessions WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[])
        AND (chat_id IS NOT NULL OR custom_fields <> '{}') LIMIT $2))
"""
_CONVERSATIONS = """
UPDATE conversations SET chat_id = NULL, subject = NULL, updated_at = now()
WHERE tenant_id = $1 AND id = ANY(ARRAY(
    SELECT id FROM conversations WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[])
        AND (chat_id IS NOT NULL OR subject IS NOT NULL) LIMIT $2))
"""
_PARTICIPANTS = """
DELETE FROM conversation_participants WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM conversation_participants
    WHERE tenant_id = $1 AND (participant = ANY($3::text[]) OR lid = ANY($3::text[])) LIMIT $2))
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
_NAMES = """
UPDATE contact_refs SET name = '', phone = NULL, profile_picture_url = NULL, search_text = '',
    deleted = true
WHERE tenant_id = $1 AND contact_id = ANY(ARRAY(
    SELECT contact_id FROM contact_refs WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[])
        AND (name <> '' OR phone IS NOT NULL OR profile_picture_url IS NOT NULL
            OR search_text <> '' OR NOT deleted) LIMIT $2))
"""
_IDENTITIES = """
DELETE FROM identity_refs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM identity_refs WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""
# First nothing more is gathered: what is, after its parts were looked for, nobody would find.
_GATHERED = """
UPDATE subject_exports SET file = NULL WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM subject_exports
    WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) AND file IS NOT NULL LIMIT $2))
"""
_EXPORT_PARTS = """
DELETE FROM subject_export_parts WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT p.ctid FROM subject_exports e CROSS JOIN LATERAL (
        SELECT ctid FROM subject_export_parts
        WHERE tenant_id = $1 AND export_id = e.export_id LIMIT $2) AS p
    WHERE e.tenant_id = $1 AND e.contact_id = ANY($3::uuid[]) LIMIT $2))
"""
_EXPORTS = """
DELETE FROM subject_exports WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM subject_exports
    WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""
_OPT_OUTS = """
DELETE FROM opt_out_refs WHERE tenant_id = $1 AND ctid = ANY(ARRAY(
    SELECT ctid FROM opt_out_refs WHERE tenant_id = $1 AND contact_id = ANY($3::uuid[]) LIMIT $2))
"""


async def erase(one: Pass) -> None:
    """Look through all tables of messaging once."""
    async with one.transaction() as tx:
        found = [await merged.everybody(tx, contact_id) for contact_id in one.contacts]
    everybody = sorted({contact_id for those in found for contact_id in those})
    await one.erase("subject_exports_ended", _GATHERED, everybody)
    await one.erase("subject_export_parts", _EXPORT_PARTS, everybody)
    await one.erase("subject_exports", _EXPORTS, everybody)
    await one.erase("scheduled_messages", _SCHEDULED, everybody)
    await one.erase("bulk_recipients", _BULK_RECIPIENTS, everybody)
    for table in ("message_versions", "message_reactions", "message_votes", "message_receipts"):
        await one.erase(table, _BESIDE_MESSAGES.format(table=table), everybody)
    for table in ("message_reactions", "message_votes"):
        await one.erase(table, _ON_OTHERS.format(table=table), one.chats)
    await one.erase("message_receipts", _RECEIPTS, one.chats)
    await one.erase("conversation_participants", _PARTICIPANTS, one.chats)
    await one.erase("messages", _MESSAGES, everybody)
    await one.erase("calls", _CALLS, everybody)
    kinds, ids = [i.kind for i in one.identities], [i.canonical for i in one.identities]
    await one.erase("chat_labels", _CHAT_LABELS, kinds, ids)
    await one.erase("sessions", _SESSIONS, everybody)
    await one.erase("conversations", _CONVERSATIONS, everybody)
    await one.erase("parked_receipts", _PARKED_RECEIPTS, one.patterns)
    await one.erase("parked_changes", _PARKED_CHANGES, one.patterns)
    await one.erase("contact_refs", _NAMES, everybody)
    await one.erase("identity_refs", _IDENTITIES, everybody)
    await one.erase("opt_out_refs", _OPT_OUTS, everybody)
