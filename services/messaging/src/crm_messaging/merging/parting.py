"""What becomes of conversations when a merge is undone: each goes back to whom it was begun with.

What was said since the merge stays in the conversation it was said in, and is of whose that is now.
Locks are taken as for a merge: identities, contacts, sessions, conversations.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from shared_events.contacts.contact import ContactIdentity

from crm_messaging.conversations.repository import id_of
from crm_messaging.merging import repository
from crm_messaging.replicas import merged, people
from crm_messaging.replicas import repository as replicas
from crm_messaging.replicas.models import ContactRef

# A session is of the conversation that its first message is in.
_SESSIONS = """
WITH theirs AS MATERIALIZED (
    SELECT s.id FROM sessions s CROSS JOIN LATERAL (
        SELECT conversation_id FROM messages
        WHERE tenant_id = $1 AND session_id = s.id ORDER BY placed_at, seq, id LIMIT 1) AS m
    WHERE s.tenant_id = $1 AND s.contact_id = $2 AND m.conversation_id = ANY($4::uuid[]))
UPDATE sessions s SET contact_id = $3, updated_at = now() FROM theirs
WHERE s.id = theirs.id AND s.tenant_id = $1
"""
_CONVERSATIONS = """
UPDATE conversations SET contact_id = $3, updated_at = now()
WHERE tenant_id = $1 AND contact_id = $2 AND id = ANY($4::uuid[])
"""
_MESSAGES = """
UPDATE messages SET contact_id = $3
WHERE tenant_id = $1 AND contact_id = $2 AND conversation_id = ANY($4::uuid[])
    AND created_at >= $5
"""


async def part(
    tx: Transaction,
    *,
    winner: ContactRef,
    loser: ContactRef,
    identities: Sequence[ContactIdentity],
    merged_at: datetime,
) -> None:
    """Let the loser have what was said with it, and what is said from now on.

    Told twice, or of contacts of whom there is later word, it changes nothing.
    """
    ours, theirs = _key(winner), _key(loser)
    known = (await replicas.known_contacts(tx, [theirs])).get(theirs)
    if known is not None and known.seq > loser.seq:
        return
    await people.assign(tx, [(tx.tenant_id, one, loser.contact_id) for one in identities])
    held = await merged.hold(tx, [ours, theirs])
    await replicas.CONTACTS.upsert(tx, sorted((winner, loser), key=_key), *_TOLD, newest="seq")
    if theirs not in held or held[theirs].merged_into != winner.contact_id:
        return
    pair = (tx.tenant_id, winner.contact_id, loser.contact_id)
    await repository.lock_sessions(tx, [(tx.tenant_id, loser.contact_id, winner.contact_id)])
    back: list[UUID] = [
        each.id
        for each in await repository.conversations(tx, [pair])
        if each.contact_id == winner.contact_id
        and each.id == id_of(each.channel_id, held[theirs], None)
    ]
    threads = {
        channel: thread
        for channel, thread in held[ours].threads.items()
        if UUID(thread) not in back
    }
    await replicas.CONTACTS.update(
        tx, [held[ours].model_copy(update={"threads": threads})], "threads"
    )
    await tx.execute(_SESSIONS, *pair, back)
    await tx.execute(_CONVERSATIONS, *pair, back)
    await tx.execute(_MESSAGES, *pair, back, merged_at)


_TOLD = (
    *("name", "phone", "profile_picture_url", "search_text"),
    *("deleted", "merged_into", "seq"),
)


def _key(contact: ContactRef) -> replicas.ContactKey:
    return contact.tenant_id, contact.contact_id
