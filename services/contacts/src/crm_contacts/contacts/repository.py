"""Reading and writing contacts, a set of rows at a time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

import asyncpg
from service_kit.database import Transaction
from service_kit.rows import Rows
from shared_events.contacts import contact as contract

from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import derive

CONTACTS = Rows(Contact)
_COLUMNS = tuple(Contact.model_fields)
_CHANGEABLE = ", ".join(c for c in _COLUMNS if c not in {"id", "tenant_id", "created_at", "source"})
_NEW = ", ".join(f"r.{c}" for c in _CHANGEABLE.split(", "))

# Rows travel as one JSON document: PostgreSQL reads it by the table's own row type.
_INSERT = "INSERT INTO contacts SELECT * FROM jsonb_populate_recordset(NULL::contacts, $1)"
_UPDATE = f"""
UPDATE contacts c SET ({_CHANGEABLE}) = ROW({_NEW})
FROM jsonb_populate_recordset(NULL::contacts, $1) AS r
WHERE c.id = r.id
"""  # noqa: S608 - column names of our own table
# Touches no indexed column, so PostgreSQL keeps the new row on its page and leaves every index be.
_TOUCH = """
UPDATE contacts c SET
    first_interaction_at = t.first_at, last_interaction_at = t.last_at, push_name = t.push_name
FROM unnest($1::uuid[], $2::timestamptz[], $3::timestamptz[], $4::text[])
    AS t(id, first_at, last_at, push_name)
WHERE c.id = t.id
"""
_IDENTITIES = """
SELECT contact_id, kind, value FROM contact_identities
WHERE contact_id = ANY($1::uuid[])
ORDER BY CASE kind WHEN 'phone' THEN 0 WHEN 'lid' THEN 1 ELSE 2 END, created_at, canonical
"""


@dataclass(slots=True)
class Known:
    """What a message may teach of a contact; far cheaper to carry than the whole row."""

    id: UUID
    name: str
    phone: str | None = None
    push_name: str | None = None
    first_interaction_at: datetime | None = None
    last_interaction_at: datetime | None = None
    deleted_at: datetime | None = None

    def teach(self, contact: Contact) -> Contact:
        """Give the contact's row these values; returns it."""
        for column in fields(self):
            setattr(contact, column.name, getattr(self, column.name))
        return contact


_KNOWN = ", ".join(column.name for column in fields(Known))
_FIND_KNOWN = f"SELECT {_KNOWN} FROM contacts WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"  # noqa: S608


async def find_known_for_update(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, Known]:
    """As `find_for_update`, with only what messages may change."""
    return {row["id"]: Known(*row) for row in await tx.fetch(_FIND_KNOWN, list(ids))}


async def find_for_update(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, Contact]:
    """These contacts, deleted ones too, locked in the order of their ids."""
    if not ids:
        return {}
    rows = await tx.fetch(
        "SELECT * FROM contacts WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE", list(ids)
    )
    return {row["id"]: from_row(row) for row in rows}


async def find_live(tx: Transaction, contact_id: UUID) -> Contact | None:
    """The contact, unless it is missing, deleted or another tenant's."""
    row = await tx.fetchrow(
        "SELECT * FROM contacts WHERE id = $1 AND deleted_at IS NULL", contact_id
    )
    return from_row(row) if row else None


async def insert(tx: Transaction, contacts: Iterable[Contact]) -> None:
    """Add new contacts."""
    await _write(tx, _INSERT, contacts)


async def update(tx: Transaction, contacts: Iterable[Contact]) -> None:
    """Write contacts back; the caller holds their locks."""
    await _write(tx, _UPDATE, contacts)


async def _write(tx: Transaction, statement: str, contacts: Iterable[Contact]) -> None:
    rows = [derive(contact).model_dump(mode="json") for contact in contacts]
    if rows:
        await tx.execute(statement, rows)


async def touch(tx: Transaction, contacts: Sequence[Known]) -> None:
    """Note that these, whose locks the caller holds, wrote again; their versions stay."""
    if contacts:
        await tx.execute(
            _TOUCH,
            [c.id for c in contacts],
            [c.first_interaction_at for c in contacts],
            [c.last_interaction_at for c in contacts],
            [c.push_name for c in contacts],
        )


async def identities_of(
    tx: Transaction, ids: Collection[UUID]
) -> dict[UUID, list[contract.Identity]]:
    """The identities of each contact, strongest first (a phone before a LID)."""
    found: dict[UUID, list[contract.Identity]] = {contact_id: [] for contact_id in ids}
    for row in await tx.fetch(_IDENTITIES, list(ids)):
        identity = contract.Identity(kind=row["kind"], value=row["value"])
        found[row["contact_id"]].append(identity)
    return found


async def to_resources(tx: Transaction, contacts: Sequence[Contact]) -> list[contract.Contact]:
    """The contacts as customers see them, in the same order."""
    identities = await identities_of(tx, [c.id for c in contacts]) if contacts else {}
    return [to_resource(c, identities[c.id]) for c in contacts]


def to_resource(contact: Contact, identities: list[contract.Identity]) -> contract.Contact:
    """A contact as customers see it, in replies and in events."""
    shown = {name: getattr(contact, name) for name in _SHOWN}
    return contract.Contact(**shown, identities=identities)


_SHOWN = tuple(name for name in contract.Contact.model_fields if name != "identities")


def from_row(row: asyncpg.Record) -> Contact:
    """A table row as a value."""
    return Contact(**dict(row.items()))
