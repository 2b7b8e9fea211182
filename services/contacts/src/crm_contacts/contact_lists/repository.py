"""Contact lists and their members in the database."""

from collections.abc import Sequence
from uuid import UUID

from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import AnySelect, Rows
from shared_events.contacts import contact_list as contract
from shared_events.contacts.contact_list import ListContactLists
from shared_events.requests import Page
from sqlalchemy import select, true

from crm_contacts.contact_lists.models import ContactList, ContactListMember
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.repository import CONTACTS

_LISTS = Rows(ContactList)
_MEMBERS = Rows(ContactListMember)
_L = _LISTS.table.c
_M = _MEMBERS.table.c
_C = CONTACTS.table.c
_NEWEST_FIRST = Order("contact_lists", [(_L.id, UUID)], tenant=_L.tenant_id, descending=True)

_FIND = "SELECT * FROM contact_lists WHERE tenant_id = $1 AND id = $2"
_LOCK = f"{_FIND} FOR UPDATE"
# LATERAL looks each contact up by itself, whatever is believed of a young table.
_LIVE = """
SELECT k.id FROM unnest($2::uuid[]) AS k(id)
CROSS JOIN LATERAL (
    SELECT FROM contacts
    WHERE tenant_id = $1 AND id = k.id AND deleted_at IS NULL LIMIT 1) AS c
"""
_TAKE = """
DELETE FROM contact_list_members WHERE tenant_id = $1 AND list_id = $2 AND contact_id = ANY($3)
"""

_OF_CONTACT = """
SELECT l.* FROM (SELECT list_id FROM contact_list_members
    WHERE tenant_id = $1 AND contact_id = $2 OFFSET 0) AS m
CROSS JOIN LATERAL (
    SELECT * FROM contact_lists WHERE tenant_id = $1 AND id = m.list_id LIMIT 1) AS l
ORDER BY l.id
"""

BY_CONTACT = Order("listed", [(_M.contact_id, UUID)], tenant=_M.tenant_id)
"""The order of a static list."""


async def count(tx: Transaction) -> int:
    """How many lists the company has."""
    found: int = await tx.fetchval(
        "SELECT count(*) FROM contact_lists WHERE tenant_id = $1", tx.tenant_id
    )
    return found


async def find(tx: Transaction, list_id: UUID) -> ContactList | None:
    """The list, unless it is missing or another tenant's."""
    return await _LISTS.first(tx, _FIND, tx.tenant_id, list_id)


async def lock(tx: Transaction, list_id: UUID) -> ContactList | None:
    """As `find`, and the list and who is on it are the caller's until the commit.

    To be taken before any contact is locked.
    """
    return await _LISTS.first(tx, _LOCK, tx.tenant_id, list_id)


async def insert(tx: Transaction, row: ContactList) -> None:
    """Add a list."""
    await _LISTS.insert(tx, [row])


async def update(tx: Transaction, row: ContactList) -> None:
    """Write a list back; the caller holds its lock."""
    await _LISTS.update(tx, [row])


async def delete(tx: Transaction, list_id: UUID) -> None:
    """Remove a list and who is on it; the caller holds its lock."""
    for table, column in (("contact_list_members", "list_id"), ("contact_lists", "id")):
        await tx.execute(
            f"DELETE FROM {table} WHERE tenant_id = $1 AND {column} = $2",  # noqa: S608 - ours
            tx.tenant_id,
            list_id,
        )


async def live(tx: Transaction, contact_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that are contacts of the company's."""
    return {record["id"] for record in await tx.fetch(_LIVE, tx.tenant_id, contact_ids)}


async def put(tx: Transaction, members: Sequence[ContactListMember]) -> int:
    """Put contacts on a list whose lock the caller holds; returns how many were not on it."""
    return await _MEMBERS.insert(tx, members, unless="(tenant_id, list_id, contact_id)")


async def take(tx: Transaction, list_id: UUID, contact_ids: Sequence[UUID]) -> None:
    """Take contacts off a list."""
    await tx.execute(_TAKE, tx.tenant_id, list_id, contact_ids)


async def of_contact(tx: Transaction, contact_id: UUID) -> list[contract.ContactList]:
    """The static lists a contact was put on."""
    found = await _LISTS.find(tx, _OF_CONTACT, tx.tenant_id, contact_id)
    return [to_resource(row) for row in found]


def members_of(tx: Transaction, list_id: UUID) -> AnySelect:
    """The contacts on a static list, but for who was deleted."""
    found = (
        select(Contact)
        .where(_C.tenant_id == _M.tenant_id, _C.id == _M.contact_id, _C.deleted_at.is_(None))
        .limit(1)
        .lateral("found")
    )
    return (
        select(*found.c, _M.contact_id)
        .select_from(_MEMBERS.table.join(found, true()))
        .where(_M.tenant_id == tx.tenant_id, _M.list_id == list_id)
    )


async def page(tx: Transaction, request: ListContactLists) -> Page[contract.ContactList]:
    """Lists, newest first; raises MalformedError."""
    return await _NEWEST_FIRST.page(tx, select(ContactList), request, _LISTS, to_resource)


def to_resource(row: ContactList) -> contract.ContactList:
    """A list as customers see it."""
    return contract.ContactList.model_validate(row.model_dump(exclude={"tenant_id"}))
