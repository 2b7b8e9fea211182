"""Definitions of custom fields in the database."""

from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Rows
from shared_events.contacts import custom_field as contract
from shared_events.contacts.custom_field import ListCustomFields
from shared_events.requests import Page
from sqlalchemy import select

from crm_contacts.custom_fields.models import CustomField

_FIELDS = Rows(CustomField)
_C = _FIELDS.table.c
_BY_POSITION = Order("custom_fields", [(_C.position, int), (_C.id, UUID)], tenant=_C.tenant_id)

_FIND = "SELECT * FROM custom_fields WHERE tenant_id = $1 AND id = $2"
_LOCK = f"{_FIND} FOR UPDATE"
_ALL = "SELECT * FROM custom_fields WHERE tenant_id = $1 ORDER BY position, id"


async def all_of(tx: Transaction) -> list[CustomField]:
    """Every definition of the company, by position: there are never many."""
    return await _FIELDS.find(tx, _ALL, tx.tenant_id)


async def find(tx: Transaction, field_id: UUID) -> CustomField | None:
    """The definition, unless it is missing or another tenant's."""
    return await _FIELDS.first(tx, _FIND, tx.tenant_id, field_id)


async def lock(tx: Transaction, field_id: UUID) -> CustomField | None:
    """As `find`, and nobody else changes it until the commit."""
    return await _FIELDS.first(tx, _LOCK, tx.tenant_id, field_id)


async def insert(tx: Transaction, field: CustomField) -> bool:
    """Add a definition; False when its key is defined already."""
    return await _FIELDS.insert(tx, [field], unless="(tenant_id, key)") == 1


async def update(tx: Transaction, field: CustomField) -> None:
    """Write a definition back; the caller holds its lock."""
    await _FIELDS.update(tx, [field])


async def delete(tx: Transaction, field_id: UUID) -> None:
    """Remove a definition."""
    await tx.execute(
        "DELETE FROM custom_fields WHERE tenant_id = $1 AND id = $2", tx.tenant_id, field_id
    )


async def page(tx: Transaction, request: ListCustomFields) -> Page[contract.CustomField]:
    """Definitions by position; raises MalformedError."""
    return await _BY_POSITION.page(tx, select(CustomField), request, _FIELDS, to_resource)


def to_resource(field: CustomField) -> contract.CustomField:
    """A definition as customers see it."""
    return contract.CustomField.model_validate(field.model_dump(exclude={"tenant_id"}))
