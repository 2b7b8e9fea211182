"""Reading and writing contacts, a set of rows at a time."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.rows import Rows, Shape
from shared_events.contacts import contact as contract
from shared_events.identity import IdentityKind

from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import derive

CONTACTS = Rows(Contact)
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
        """The contact's row with these values."""
        return contact.model_copy(update=asdict(self))


@dataclass(frozen=True, slots=True)
class _Belongs:
    """An identity of a contact."""

    contact_id: UUID
    kind: IdentityKind
    value: str


_KNOWN = Shape(Known)
_BELONGS = Shape(_Belongs)
_COLUMNS = ", ".join(column.name for column in fields(Known))
_FIND_KNOWN = f"SELECT {_COLUMNS} FROM contacts WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE"  # noqa: S608


async def find_known_for_update(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, Known]:
    """As `find_for_update`, with only what messages may change."""
    return {known.id: known for known in await _KNOWN.find(tx, _FIND_KNOWN, list(ids))}


async def find_for_update(tx: Transaction, ids: Collection[UUID]) -> dict[UUID, Contact]:
    """These contacts, deleted ones too, locked in the order of their ids."""
    if not ids:
        return {}
    rows = await CONTACTS.find(
        tx,
        "SELECT * FROM contacts WHERE id = ANY($1::uuid[]) ORDER BY id FOR UPDATE",
        list(ids),
    )
    return {row.id: row for row in rows}


async def find_live(tx: Transaction, contact_id: UUID) -> Contact | None:
    """The contact, unless it is missing, deleted or another tenant's."""
    live = "SELECT * FROM contacts WHERE id = $1 AND deleted_at IS NULL"
    return await CONTACTS.first(tx, live, contact_id)


async def insert(tx: Transaction, contacts: Iterable[Contact]) -> None:
    """Add new contacts."""
    await CONTACTS.insert(tx, map(derive, contacts))


async def update(tx: Transaction, contacts: Iterable[Contact]) -> None:
    """Write contacts back; the caller holds their locks."""
    await CONTACTS.update(tx, map(derive, contacts))


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
    for one in await _BELONGS.find(tx, _IDENTITIES, list(ids)):
        found[one.contact_id].append(contract.Identity(kind=one.kind, value=one.value))
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
