"""A batch of rows becomes contacts, as sets: what it costs does not grow with its rows.

A row is about the contact its key leads to, or about a new one, and says something of it only
where it has something to say: tags are added, custom fields merged, an empty cell clears nothing.
Several rows about one contact are applied in their order, and told of once. A phone is never taken
off a contact, nor from one for another: such a row is left out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import InvalidError
from service_kit.ids import uuid7
from service_kit.jobs import pace
from shared_events import identity
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import (
    ContactCreated,
    ContactIdentityLinked,
)
from shared_events.identity import IdentityKey, Owned, WhatsAppId, display_name

from crm_contacts.contacts import identities, repository
from crm_contacts.contacts.documents import check_custom_fields, distinct_tags
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.telling import told_of
from crm_contacts.custom_fields import values
from crm_contacts.imports import lookups
from crm_contacts.imports.wanted import Reader, RowError, Wanted

SOURCE = "import"
MAX_TAGS = 50


@dataclass(slots=True)
class Person:
    """A contact as the batch finds it, and what the batch makes of it."""

    contact: Contact
    is_new: bool
    changed: set[str] = field(default_factory=set)
    typed: list[WhatsAppId] = field(default_factory=list)


@dataclass(slots=True)
class Outcome:
    """What became of a batch: rows by what they did, and what was wrong with the others."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    errors: list[RowError] = field(default_factory=list)


class _RefusedError(Exception):
    """A row that is left out."""

    def __init__(self, target: str, code: str, message: str) -> None:
        self.target, self.code, self.message = target, code, message


async def apply(
    tx: Transaction, rows: Sequence[Wanted], reader: Reader, upsert_key: str, *, dry_run: bool
) -> Outcome:
    """Create and change the contacts these rows are about, or only say what would become of them.

    The caller sees to it that no other import of the company's does so at the same time.
    """
    phones = {row.phone.key for row in rows if row.phone}
    emails = {row.fields["email"] for row in rows if "email" in row.fields}
    recorded = await identities.find_locked(tx, {(tx.tenant_id, key) for key in phones})
    by_email = await lookups.by_email(tx, emails) if upsert_key == "email" else {}
    owners = {key: owned.contact_id for (_, key), owned in recorded.items()}
    ids = {*owners.values(), *(one for found in by_email.values() for one in found)}
    stored = await repository.find_for_update(tx, {(tx.tenant_id, one) for one in ids})
    batch = _Batch(tx.tenant_id, reader, upsert_key, owners, by_email)
    batch.people = {ref[1]: Person(contact, is_new=False) for ref, contact in stored.items()}
    outcome = Outcome()
    async for some in pace.slices(rows):
        batch.take(some, outcome)
    if not dry_run:
        await write(tx, batch.people.values())
    return outcome


@dataclass(slots=True)
class _Batch:
    """Who is who while rows are applied, one after the other and without I/O."""

    tenant_id: str
    reader: Reader
    upsert_key: str
    owners: dict[IdentityKey, UUID]
    by_email: dict[str, list[UUID]]
    people: dict[UUID, Person] = field(default_factory=dict)
    nobody: Contact = field(default_factory=Contact.model_construct)

    def take(self, rows: Iterable[Wanted], outcome: Outcome) -> None:
        """Apply the rows, and count what became of them."""
        for row in rows:
            try:
                became = self._take(row)
            except _RefusedError as refused:
                column = self.reader.column(refused.target)
                outcome.errors.append(RowError(row.line, column, refused.code, refused.message))
            except InvalidError as error:  # custom fields: an error each
                for one in error.problem.errors:
                    column = self.reader.column(one.pointer.removeprefix("/").replace("/", "."))
                    outcome.errors.append(RowError(row.line, column, one.code, one.message))
            else:
                setattr(outcome, became, getattr(outcome, became) + 1)

    def _take(self, row: Wanted) -> str:
        person = self._find(row)
        if person is None or person.contact.deleted_at is not None:
            self._create(row, person)
            return "created" if person is None else "updated"
        fields = self._fields(row, person.contact)
        phone = self._phone_for(row, person)
        changed = {name for name, value in fields.items() if getattr(person.contact, name) != value}
        if not changed:
            return "unchanged"
        person.contact = person.contact.model_copy(update=fields)
        person.changed |= changed
        self._record(person, phone)
        return "updated"

    def _find(self, row: Wanted) -> Person | None:
        """The contact a row is about; None for a new one."""
        owner_id = self.owners.get(row.phone.key) if row.phone else None
        if self.upsert_key == "phone":
            if row.phone is None:
                raise _RefusedError("phone", "key_missing", "The row has no phone.")
            return self.people.get(owner_id) if owner_id else None
        if "email" not in row.fields:
            raise _RefusedError("email", "key_missing", "The row has no e-mail.")
        found = self.by_email.get(row.fields["email"], [])
        if len(found) > 1:
            raise _RefusedError("email", "ambiguous_key", "Several contacts have this e-mail.")
        if found:
            return self.people[found[0]]
        if owner_id in self.people and self.people[owner_id].contact.deleted_at is None:
            raise _RefusedError("phone", "contact_exists", "Another contact has this phone.")
        return self.people.get(owner_id) if owner_id else None

    def _create(self, row: Wanted, deleted: Person | None) -> None:
        """Somebody new, or who was deleted and comes back: with the fields of the row alone."""
        values.check(row.custom_fields, self.reader.definitions.values(), self.reader.read_phone)
        phone = row.phone
        fields = {
            "email": None,
            "language": None,
            "timezone": None,
            **row.fields,
            "name": row.fields.get("name")
            or display_name(row.fields.get("email"), phone.phone if phone else None),
            "phone": phone.phone if phone else None,
            "tags": row.tags,
            "custom_fields": check_custom_fields(row.custom_fields),
            "deleted_at": None,
        }
        if deleted is not None:
            before = deleted.contact
            deleted.contact = before.model_copy(update=fields)
            deleted.changed |= {n for n, value in fields.items() if getattr(before, n) != value}
            self._index(deleted.contact)
            return
        now = datetime.now(UTC)
        owner_id = self.owners.get(phone.key) if phone else None
        contact_id = owner_id or (identity.contact_id(self.tenant_id, phone) if phone else uuid7())
        # A copy: looking up the defaults of each would take longer than all else here.
        contact = self.nobody.model_copy(
            update={
                **fields,
                "id": contact_id,
                "tenant_id": self.tenant_id,
                "source": SOURCE,
                "version": 1,
                "created_at": now,
                "updated_at": now,
            }
        )
        person = Person(contact, is_new=True)
        self.people[contact.id] = person
        self._index(contact)
        self._record(person, phone)

    def _index(self, contact: Contact) -> None:
        if self.upsert_key == "email" and contact.email:
            self.by_email.setdefault(contact.email, []).append(contact.id)

    def _fields(self, row: Wanted, contact: Contact) -> dict[str, Any]:
        """The columns a row gives to a contact that is there."""
        fields = dict(row.fields)
        if row.tags:
            fields["tags"] = distinct_tags([*contact.tags, *row.tags])
            if len(fields["tags"]) > MAX_TAGS:
                raise _RefusedError("tags", "too_long", f"A contact has at most {MAX_TAGS} tags.")
        if row.custom_fields:
            merged = {**contact.custom_fields, **row.custom_fields}
            defined = self.reader.definitions.values()
            values.check(merged, defined, self.reader.read_phone, only=row.custom_fields)
            fields["custom_fields"] = check_custom_fields(merged)
        if row.phone and (contact.phone is None or self.upsert_key != "phone"):
            fields["phone"] = row.phone.phone
        return fields

    def _phone_for(self, row: Wanted, person: Person) -> WhatsAppId | None:
        """The phone a row gives to a contact that is known by something else."""
        if row.phone is None:
            return None
        contact = person.contact
        owner_id = self.owners.get(row.phone.key)
        if owner_id not in (None, contact.id):
            raise _RefusedError("phone", "contact_exists", "Another contact has this phone.")
        if self.upsert_key != "phone" and contact.phone not in (None, row.phone.phone):
            raise _RefusedError("phone", "has_another_phone", "The contact has another phone.")
        return row.phone

    def _record(self, person: Person, phone: WhatsAppId | None) -> None:
        """The phone is this contact's from here on, if it is anybody's first."""
        if phone is not None and phone.key not in self.owners:
            self.owners[phone.key] = person.contact.id
            person.typed.append(phone)


async def write(tx: Transaction, people: Iterable[Person]) -> None:
    """Write down who is new or changed, and tell of each."""
    now = datetime.now(UTC)
    new = [person for person in people if person.is_new]
    changed = [person for person in people if person.changed and not person.is_new]
    for person in changed:
        version = {"version": person.contact.version + 1, "updated_at": now}
        person.contact = person.contact.model_copy(update=version)
    await repository.insert(tx, [person.contact for person in new])
    await repository.update(tx, [person.contact for person in changed])
    await identities.save(
        tx,
        {
            (tx.tenant_id, phone.key): Owned(person.contact.id, phone.value, proved=False)
            for person in (*new, *changed)
            for phone in person.typed
        },
    )
    written = [*new, *changed]
    shown = await repository.to_resources(tx, [person.contact for person in written])
    for person, resource in zip(written, shown, strict=True):
        if person.is_new:
            tx.outbox.add(ContactCreated(contact=resource), resource.id)
            continue
        for phone in person.typed:
            linked = contract.ContactIdentity(kind=phone.kind, value=phone.value, proved=False)
            tx.outbox.add(
                ContactIdentityLinked(contact_id=resource.id, identity=linked), resource.id
            )
        for told in told_of(resource, person.changed):
            tx.outbox.add(told, resource.id)
