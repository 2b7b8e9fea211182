"""The requests about lists themselves (`shared_events.contacts.contact_list`)."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
)
from service_kit.ids import uuid7
from shared_events.contacts import contact_list as contract
from shared_events.contacts.contact_list import (
    MAX_LISTS,
    CreateContactList,
    DeleteContactList,
    GetContactList,
    ListContactLists,
    PatchContactList,
    ReplaceContactList,
)
from shared_events.requests import Nothing, Page

from crm_contacts.contact_lists import repository
from crm_contacts.contact_lists.models import ContactList


async def create(tx: Transaction, request: CreateContactList, call: Call) -> contract.ContactList:
    """Make a list.

    Raises ConflictError `too_many_contact_lists`, and InvalidError for a filter that is missing
    or has no place.
    """
    del call
    if await repository.count(tx) >= MAX_LISTS:
        raise ConflictError(
            "too_many_contact_lists", f"A company has at most {MAX_LISTS}.", limit=MAX_LISTS
        )
    now = datetime.now(UTC)
    row = ContactList(
        **_fields(request), id=uuid7(), tenant_id=tx.tenant_id, created_at=now, updated_at=now
    )
    _check(row)
    await repository.insert(tx, row)
    return repository.to_resource(row)


async def get(tx: Transaction, request: GetContactList, call: Call) -> contract.ContactList:
    """One list; raises NotFoundError."""
    del call
    return repository.to_resource(await found(tx, request.list_id))


async def list_lists(
    tx: Transaction, request: ListContactLists, call: Call
) -> Page[contract.ContactList]:
    """All lists, page by page; raises MalformedError."""
    del call
    return await repository.page(tx, request)


async def change(
    tx: Transaction, request: ReplaceContactList | PatchContactList, call: Call
) -> contract.ContactList:
    """Change a list; raises NotFoundError, PreconditionFailedError and InvalidError."""
    row = await locked(tx, request.list_id, call)
    changed = row.model_copy(update=_fields(request))
    if changed == row:
        return repository.to_resource(row)
    _check(changed)
    changed = changed.model_copy(
        update={"version": row.version + 1, "updated_at": datetime.now(UTC)}
    )
    await repository.update(tx, changed)
    return repository.to_resource(changed)


async def delete(tx: Transaction, request: DeleteContactList, call: Call) -> Nothing:
    """Remove a list; raises NotFoundError and PreconditionFailedError."""
    row = await locked(tx, request.list_id, call)
    await repository.delete(tx, row.id)
    return Nothing()


async def found(tx: Transaction, list_id: UUID) -> ContactList:
    """The list; raises NotFoundError."""
    return _there(await repository.find(tx, list_id))


async def locked(tx: Transaction, list_id: UUID, call: Call) -> ContactList:
    """The list, locked; raises NotFoundError and PreconditionFailedError."""
    row = _there(await repository.lock(tx, list_id))
    PreconditionFailedError.check(call.expected_version, row.version)
    return row


def _there(row: ContactList | None) -> ContactList:
    if row is None:
        raise NotFoundError("contact_list")
    return row


def _fields(
    request: CreateContactList | ReplaceContactList | PatchContactList,
) -> dict[str, Any]:
    """The columns a request speaks of; in a patch, null clears a description and nothing else."""
    if not isinstance(request, PatchContactList):
        return request.model_dump(mode="json", by_alias=True, exclude={"list_id"})
    given = request.model_dump(mode="json", exclude={"list_id"}, exclude_unset=True)
    return {k: v for k, v in given.items() if v is not None or k == "description"}


def _check(row: ContactList) -> None:
    """A filter is what makes a list dynamic."""
    if row.kind == "dynamic" and row.filter is None:
        raise InvalidError.field("filter", "required", "A dynamic list needs a filter.")
    if row.kind == "static" and row.filter is not None:
        raise InvalidError.field("filter", "static_list", "A static list has no filter.")
