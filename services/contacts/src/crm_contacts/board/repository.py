"""Contacts by their pipelines and statuses, in the database."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import list_of
from shared_events.contacts.contact import ListContacts
from shared_events.contacts.pipeline import MAX_COUNTED

from crm_contacts.contacts.listing import NEWEST_FIRST
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.repository import CONTACTS

_AT_STATUS = """
SELECT * FROM contacts WHERE tenant_id = $1 AND pipeline_status_id = $2 AND deleted_at IS NULL
ORDER BY id LIMIT $3 FOR UPDATE
"""
_IN_PIPELINE = """
SELECT * FROM contacts WHERE tenant_id = $1 AND pipeline_id = $2 AND deleted_at IS NULL
ORDER BY id LIMIT $3 FOR UPDATE
"""
# Each status by itself: the first page of a large one reads no more than that of a small one. To
# say `deleted_at IS NULL` as the list's index does would let the planner walk that one, through all
# contacts of the company where a status is empty.
_NEWEST = """
SELECT c.* FROM unnest($2::uuid[]) AS k(status_id)
CROSS JOIN LATERAL (
    SELECT * FROM contacts
    WHERE tenant_id = $1 AND pipeline_status_id = k.status_id AND (deleted_at IS NULL) IS TRUE
    ORDER BY created_at DESC, id DESC LIMIT $3) AS c
"""
_COUNT = """
SELECT k.status_id, n.count FROM unnest($2::uuid[]) AS k(status_id)
CROSS JOIN LATERAL (
    SELECT count(*) FROM (
        SELECT FROM contacts
        WHERE tenant_id = $1 AND pipeline_status_id = k.status_id AND (deleted_at IS NULL) IS TRUE
        LIMIT $3) AS there) AS n
"""


@dataclass(slots=True)
class Newest:
    """The newest contacts at a status, and the cursor of what follows them in the list."""

    contacts: list[Contact] = field(default_factory=list)
    next_cursor: str | None = None


async def newest(tx: Transaction, status_ids: Sequence[UUID], limit: int) -> dict[UUID, Newest]:
    """The newest contacts at each status, by one statement."""
    found = {status_id: Newest() for status_id in status_ids}
    last = None
    for record in await tx.fetch(_NEWEST, tx.tenant_id, status_ids, limit + 1):
        column = found[record["pipeline_status_id"]]
        if len(column.contacts) < limit:
            column.contacts.append(CONTACTS.value(record))
            last = record
        elif last is not None:
            of = list_of(tx.tenant_id, ListContacts(pipeline_status_id=last["pipeline_status_id"]))
            column.next_cursor = NEWEST_FIRST.cursor(last, of)
    return found


async def counts(tx: Transaction, status_ids: Sequence[UUID]) -> dict[UUID, int]:
    """How many contacts are at each status, as far as a board counts."""
    found = await tx.fetch(_COUNT, tx.tenant_id, status_ids, MAX_COUNTED)
    return {row["status_id"]: row["count"] for row in found}


async def lock_at_status(tx: Transaction, status_id: UUID, most: int) -> list[Contact]:
    """The contacts at a status, locked in the order of their ids; no more than `most`."""
    return await CONTACTS.find(tx, _AT_STATUS, tx.tenant_id, status_id, most)


async def lock_in_pipeline(tx: Transaction, pipeline_id: UUID, most: int) -> list[Contact]:
    """The contacts in a pipeline, locked in the order of their ids; no more than `most`."""
    return await CONTACTS.find(tx, _IN_PIPELINE, tx.tenant_id, pipeline_id, most)
