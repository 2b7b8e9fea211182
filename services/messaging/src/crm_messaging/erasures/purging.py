"""Contacts that were removed for good: messaging knows them by nothing but their ids then."""

from collections.abc import Sequence

from service_kit.database import Transaction
from service_kit.incoming import Event
from shared_events.contacts.contact import ContactPurged

from crm_messaging.replicas import repository
from crm_messaging.replicas.models import ContactRef

# Each contact's rows are looked up by themselves, whatever the planner believes of a young table.
_FORGET = """
DELETE FROM {table} WHERE tenant_id = ANY($1::text[]) AND ctid = ANY(ARRAY(
    SELECT r.ctid FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, contact_id)
    CROSS JOIN LATERAL (SELECT ctid FROM {table}
        WHERE tenant_id = k.tenant_id AND contact_id = k.contact_id OFFSET 0) AS r))
"""
# Known by the ids that are forgotten next.
_LABELS = """
DELETE FROM chat_labels WHERE tenant_id = ANY($1::text[]) AND ctid = ANY(ARRAY(
    SELECT l.ctid FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, contact_id)
    CROSS JOIN LATERAL (SELECT kind, canonical FROM identity_refs
        WHERE tenant_id = k.tenant_id AND contact_id = k.contact_id OFFSET 0) AS i
    CROSS JOIN LATERAL (SELECT ctid FROM chat_labels
        WHERE tenant_id = k.tenant_id AND kind = i.kind AND canonical = i.canonical OFFSET 0) AS l))
"""
_NAMELESS = ("name", "phone", "profile_picture_url", "search_text", "deleted", "seq")


async def on_contact_purged(tx: Transaction, events: Sequence[Event[ContactPurged]]) -> None:
    """What was said with them stays readable, without their names and numbers.

    Whoever writes from such a number is known by no identity here, as in contacts. One who came
    back since, as their event says, stays.
    """
    told = {
        (event.tenant_id, one): event.body.aggregate_seq
        for event in events
        for one in (event.data.contact_id, *event.data.merged)
    }
    known = await repository.known_contacts(tx, list(told))
    gone = {
        ref: seq for ref, seq in sorted(told.items()) if ref not in known or known[ref].seq < seq
    }
    keys = [tenant_id for tenant_id, _ in gone], [contact_id for _, contact_id in gone]
    await tx.execute(_LABELS, *keys)
    for table in ("identity_refs", "opt_out_refs"):
        await tx.execute(_FORGET.format(table=table), *keys)
    nameless = [
        ContactRef(
            tenant_id=tenant_id,
            contact_id=contact_id,
            name="",
            phone=None,
            profile_picture_url=None,
            search_text="",
            deleted=True,
            seq=seq,
        )
        for (tenant_id, contact_id), seq in gone.items()
    ]
    await repository.CONTACTS.upsert(tx, nameless, *_NAMELESS, newest="seq")
