"""Contacts by their pipelines and statuses, in the database."""

from uuid import UUID

from service_kit.database import Transaction

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


async def lock_at_status(tx: Transaction, status_id: UUID, most: int) -> list[Contact]:
    """The contacts at a status, locked in the order of their ids; no more than `most`."""
    return await CONTACTS.find(tx, _AT_STATUS, tx.tenant_id, status_id, most)


async def lock_in_pipeline(tx: Transaction, pipeline_id: UUID, most: int) -> list[Contact]:
    """The contacts in a pipeline, locked in the order of their ids; no more than `most`."""
    return await CONTACTS.find(tx, _IN_PIPELINE, tx.tenant_id, pipeline_id, most)
