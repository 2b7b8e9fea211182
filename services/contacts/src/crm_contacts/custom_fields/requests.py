"""The requests about definitions of custom fields (`shared_events.contacts.custom_field`).

No contact is read or written here: a definition is a rule for what is written from then on.
"""

from datetime import UTC, datetime
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
from shared_events.contacts import custom_field as contract
from shared_events.contacts.custom_field import (
    MAX_CUSTOM_FIELDS,
    CreateCustomField,
    DeleteCustomField,
    GetCustomField,
    ListCustomFields,
    PatchCustomField,
    ReplaceCustomField,
)
from shared_events.requests import Nothing, Page

from crm_contacts.custom_fields import repository
from crm_contacts.custom_fields.models import CustomField

_SELECTS = ("select", "multi_select")


async def create(tx: Transaction, request: CreateCustomField, call: Call) -> contract.CustomField:
    """Define a field.

    Raises InvalidError for options that do not fit the type, and ConflictError
    `custom_field_exists` and `too_many_custom_fields`.
    """
    del call
    defined = await repository.all_of(tx)
    if len(defined) >= MAX_CUSTOM_FIELDS:
        raise ConflictError(
            "too_many_custom_fields",
            f"A company has at most {MAX_CUSTOM_FIELDS}.",
            limit=MAX_CUSTOM_FIELDS,
        )
    now = datetime.now(UTC)
    field = CustomField(
        **request.model_dump(by_alias=True),
        id=uuid7(),
        tenant_id=tx.tenant_id,
        created_at=now,
        updated_at=now,
    )
    _check_options(field)
    if not await repository.insert(tx, field):
        known = {one.key: one for one in await repository.all_of(tx)}.get(field.key)
        known_id = str(known.id) if known else None
        raise ConflictError("custom_field_exists", "This key is defined.", existing_id=known_id)
    return repository.to_resource(field)


async def get(tx: Transaction, request: GetCustomField, call: Call) -> contract.CustomField:
    """One definition; raises NotFoundError."""
    del call
    return repository.to_resource(_found(await repository.find(tx, request.field_id)))


async def list_fields(
    tx: Transaction, request: ListCustomFields, call: Call
) -> Page[contract.CustomField]:
    """All definitions, page by page; raises MalformedError."""
    del call
    return await repository.page(tx, request)


async def change(
    tx: Transaction, request: ReplaceCustomField | PatchCustomField, call: Call
) -> contract.CustomField:
    """Change what is said of a field; null leaves it as it is.

    Raises NotFoundError, PreconditionFailedError, and InvalidError for options that do not fit.
    """
    field = await _locked(tx, request.field_id, call)
    partial = isinstance(request, PatchCustomField)
    given = request.model_dump(exclude={"field_id"}, exclude_unset=partial, exclude_none=True)
    changed = field.model_copy(update=given)
    if changed == field:
        return repository.to_resource(field)
    _check_options(changed)
    changed = changed.model_copy(
        update={"version": field.version + 1, "updated_at": datetime.now(UTC)}
    )
    await repository.update(tx, changed)
    return repository.to_resource(changed)


async def delete(tx: Transaction, request: DeleteCustomField, call: Call) -> Nothing:
    """Remove a definition; raises NotFoundError and PreconditionFailedError."""
    field = await _locked(tx, request.field_id, call)
    await repository.delete(tx, field.id)
    return Nothing()


async def _locked(tx: Transaction, field_id: UUID, call: Call) -> CustomField:
    field = _found(await repository.lock(tx, field_id))
    PreconditionFailedError.check(call.expected_version, field.version)
    return field


def _found(field: CustomField | None) -> CustomField:
    if field is None:
        raise NotFoundError("custom_field")
    return field


def _check_options(field: CustomField) -> None:
    """A select offers something, each once; other types take what they take."""
    if field.type in _SELECTS and not field.options:
        raise InvalidError.field("options", "too_short", "A select needs options.", min_length=1)
    if field.type not in _SELECTS and field.options:
        raise InvalidError.field("options", "not_a_select", "Only a select has options.")
    if len(set(field.options)) < len(field.options):
        raise InvalidError.field("options", "repeated_option", "An option is given twice.")
