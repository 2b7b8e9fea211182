"""Reading and writing contacts, a set of rows at a time, of one company or of many.

Every statement says of each row whose it is: an id alone leads to nobody.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import ConflictError, GoneError, NotFoundError
from service_kit.paging import by_bare_name
from service_kit.rows import Rows, Shape
from shared_events.contacts import contact as contract
from shared_events.identity import IdentityKind

from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import derive

Ref = tuple[str, UUID]
"""Whose contact, and which."""

CONTACTS = Rows(Contact)
LISTED = by_bare_name(CONTACTS.table)
"""Contacts in lists that are searched (`service_kit.paging.Search`)."""
# LATERAL looks each contact up by itself, and locks them in the order of the arrays.
_FIND = """
SELECT c.* FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, id)
CROSS JOIN LATERAL (
    SELECT {columns} FROM contacts
    WHERE tenant_id = k.tenant_id AND id = k.id LIMIT 1 FOR UPDATE) AS c
"""
_FIND_LIVE = """
SELECT c.* FROM unnest($2::uuid[]) AS k(id)
CROSS JOIN LATERAL (SELECT * FROM contacts WHERE tenant_id = $1 AND id = k.id LIMIT 1) AS c
WHERE c.deleted_at IS NULL AND c.erased_at IS NULL AND c.merged_into IS NULL
"""
# Touches no indexed column, so PostgreSQL keeps the new row on its page and leaves every index be.
_TOUCH = """
UPDATE contacts c SET
    first_interaction_at = t.first_at, last_interaction_at = t.last_at, push_name = t.push_name
FROM unnest($1::text[], $2::uuid[], $3::timestamptz[], $4::timestamptz[], $5::text[])
    AS t(tenant_id, id, first_at, last_at, push_name)
WHERE c.tenant_id = t.tenant_id AND c.id = t.id
"""
# The tenant is compared outside: inside, the primary key would do as well for the planner, and that
# reads all identities of the tenant.
_IDENTITIES = """
SELECT i.tenant_id, i.contact_id, i.kind, i.value
FROM unnest($1::text[], $2::uuid[]) AS k(tenant_id, contact_id)
CROSS JOIN LATERAL (
    SELECT * FROM contact_identities WHERE contact_id = k.contact_id OFFSET 0) AS i
WHERE i.tenant_id = k.tenant_id
ORDER BY CASE i.kind WHEN 'phone' THEN 0 WHEN 'lid' THEN 1 ELSE 2 END, i.created_at, i.canonical
"""


@dataclass(slots=True)
class Known:
    """What a message may teach of a contact; far cheaper to carry than the whole row."""

    tenant_id: str
    id: UUID
    name: str
    phone: str | None = None
    push_name: str | None = None
    first_interaction_at: datetime | None = None
    last_interaction_at: datetime | None = None
    deleted_at: datetime | None = None
    erased_at: datetime | None = None
    merged_into: UUID | None = None

    def teach(self, contact: Contact) -> Contact:
        """The contact's row with these values."""
        return contact.model_copy(update=asdict(self))


@dataclass(frozen=True, slots=True)
class _Belongs:
    """An identity of a contact."""

    tenant_id: str
    contact_id: UUID
    kind: IdentityKind
    value: str


_KNOWN = Shape(Known)
_BELONGS = Shape(_Belongs)
_FIND_KNOWN = _FIND.format(columns=", ".join(column.name for column in fields(Known)))
_FIND_ALL = _FIND.format(columns="*")


async def find_known_for_update(tx: Transaction, refs: Iterable[Ref]) -> dict[Ref, Known]:
    """As `find_for_update`, with only what messages may change."""
    found = await _KNOWN.find(tx, _FIND_KNOWN, *_arrays(sorted(set(refs))))
    return {(known.tenant_id, known.id): known for known in found}


async def find_for_update(tx: Transaction, refs: Collection[Ref]) -> dict[Ref, Contact]:
    """These contacts, deleted ones too, locked in the order of their tenants and ids."""
    if not refs:
        return {}
    found = await CONTACTS.find(tx, _FIND_ALL, *_arrays(sorted(set(refs))))
    return {(contact.tenant_id, contact.id): contact for contact in found}


async def get_live(tx: Transaction, contact_id: UUID, *, keep: bool = False) -> Contact:
    """The contact, as `live` has it; `keep` keeps it from being merged until the commit."""
    suffix = " FOR KEY SHARE" if keep else ""
    one = f"SELECT * FROM contacts WHERE id = $1{suffix}"  # noqa: S608
    return live(await CONTACTS.first(tx, one, contact_id))


async def find_live(tx: Transaction, contact_ids: Sequence[UUID]) -> list[Contact]:
    """Those of the contacts that `get_live` would give, in no order."""
    return await CONTACTS.find(tx, _FIND_LIVE, tx.tenant_id, sorted(set(contact_ids)))


def live(contact: Contact | None) -> Contact:
    """The contact, if it is there to be read and written about.

    Raises NotFoundError for one that is missing, deleted or another tenant's, GoneError
    `contact_erased`, and ConflictError `contact_merged` for one that is somebody else by now.
    """
    contact = kept(contact)
    if contact.deleted_at is not None:
        raise NotFoundError("contact")
    return contact


def kept(contact: Contact | None) -> Contact:
    """The contact, deleted or not, as long as it is one of its own; raises as `live` does."""
    if contact is None:
        raise NotFoundError("contact")
    if contact.erased_at is not None:
        raise GoneError("contact_erased", "Everything about this contact was erased.")
    if contact.merged_into is not None:
        raise merged(contact.merged_into)
    return contact


def merged(into: UUID) -> ConflictError:
    """What is answered about a contact that was merged into this one."""
    return ConflictError(
        "contact_merged", "The contact was merged into another one.", merged_into=str(into)
    )


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
            *_arrays([(c.tenant_id, c.id) for c in contacts]),
            [c.first_interaction_at for c in contacts],
            [c.last_interaction_at for c in contacts],
            [c.push_name for c in contacts],
        )


async def identities_of(tx: Transaction, refs: Sequence[Ref]) -> dict[Ref, list[contract.Identity]]:
    """The identities of each contact, strongest first (a phone before a LID)."""
    found: dict[Ref, list[contract.Identity]] = {ref: [] for ref in refs}
    for one in await _BELONGS.find(tx, _IDENTITIES, *_arrays(refs)):
        identity = contract.Identity(kind=one.kind, value=one.value)
        found[one.tenant_id, one.contact_id].append(identity)
    return found


async def to_resources(tx: Transaction, contacts: Sequence[Contact]) -> list[contract.Contact]:
    """The contacts as customers see them, in the same order."""
    refs = [(c.tenant_id, c.id) for c in contacts]
    identities = await identities_of(tx, refs) if refs else {}
    return [to_resource(c, identities[ref]) for c, ref in zip(contacts, refs, strict=True)]


def to_resource(contact: Contact, identities: list[contract.Identity]) -> contract.Contact:
    """A contact as customers see it, in replies and in events."""
    row = vars(contact)  # an import makes thousands: a third of what the descriptors take
    shown = {name: row.get(name) for name in _SHOWN}
    return contract.Contact(**shown, identities=identities)


_SHOWN = tuple(name for name in contract.Contact.model_fields if name != "identities")


def _arrays(refs: Sequence[Ref]) -> tuple[list[str], list[UUID]]:
    """The contacts as a statement takes them: tenants, and ids beside them."""
    return [tenant_id for tenant_id, _ in refs], [contact_id for _, contact_id in refs]
