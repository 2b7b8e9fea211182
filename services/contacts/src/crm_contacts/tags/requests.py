"""The requests about tags (`shared_events.contacts.tag`).

An edit is made of the tags a contact has under its lock, so that two at once lose none.
"""

from typing import Any

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import InvalidError
from service_kit.rows import Shape
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import MAX_TAGS
from shared_events.contacts.tag import MAX_COUNTED, AddTags, ListTags, RemoveTag, TagCount
from shared_events.requests import Nothing, Page

from crm_contacts.contacts import service as contacts
from crm_contacts.contacts.documents import distinct_tags
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import tag_key
from crm_contacts.pipelines.moves import Move

_COUNTS = Shape(TagCount)
_COUNT = """
SELECT tag, count(*) AS contacts FROM (
    SELECT tag_keys FROM contacts WHERE tenant_id = $1 AND deleted_at IS NULL
    ORDER BY created_at DESC, id DESC LIMIT $2) AS newest
CROSS JOIN LATERAL unnest(newest.tag_keys) AS tag
GROUP BY tag ORDER BY contacts DESC, tag LIMIT $3 OFFSET $4
"""


async def add(tx: Transaction, request: AddTags, call: Call) -> contract.Contact:
    """Put tags on a contact; raises NotFoundError, PreconditionFailedError, InvalidError."""

    def edit(contact: Contact) -> dict[str, Any]:
        tags = distinct_tags([*contact.tags, *request.tags])
        if len(tags) > MAX_TAGS:
            raise InvalidError.field(
                "tags", "too_long", f"A contact has at most {MAX_TAGS} tags.", max_length=MAX_TAGS
            )
        return {"tags": tags}

    move = Move(None, call.user_id)
    return await contacts.change(tx, request.contact_id, edit, None, call.expected_version, move)


async def remove(tx: Transaction, request: RemoveTag, call: Call) -> Nothing:
    """Take a tag off a contact; raises NotFoundError and PreconditionFailedError."""
    gone = tag_key(request.tag)

    def edit(contact: Contact) -> dict[str, Any]:
        return {"tags": [tag for tag in contact.tags if tag_key(tag) != gone]}

    move = Move(None, call.user_id)
    await contacts.change(tx, request.contact_id, edit, None, call.expected_version, move)
    return Nothing()


async def list_tags(tx: Transaction, request: ListTags, call: Call) -> Page[TagCount]:
    """The tags of the newest contacts, the most frequent first."""
    del call
    found = await _COUNTS.find(
        tx, _COUNT, tx.tenant_id, MAX_COUNTED, request.limit + 1, request.offset
    )
    return Page(data=found[: request.limit], has_more=len(found) > request.limit)
