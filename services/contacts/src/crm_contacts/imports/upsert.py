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

from asyncpg import SerializationError
from service_kit.database import Transaction
from service_kit.errors import InvalidError
from service_kit.jobs import pace
from shared_events.contacts.contact import MAX_TAGS
from shared_events.identity import WhatsAppId, display_name

from crm_contacts.contacts import many
from crm_contacts.contacts.documents import check_custom_fields, distinct_tags
from crm_contacts.contacts.many import People, Person
from crm_contacts.contacts.models import Contact
from crm_contacts.custom_fields import values
from crm_contacts.imports import lookups
from crm_contacts.imports.wanted import Reader, RowError, Wanted

SOURCE = "import"


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

    The caller sees to it that no other import of the company's does so at the same time. Raises
    SerializationError, which the batch is done again for, where one is erased or merged meanwhile.
    """
    emails = {row.fields["email"] for row in rows if "email" in row.fields}
    by_email = await lookups.by_email(tx, emails) if upsert_key == "email" else {}
    phones = [row.phone for row in rows if row.phone]
    people = await many.locked(tx, phones, {one for found in by_email.values() for one in found})
    found = (person.contact for person in people.by_id.values())
    if any(contact.erased_at or contact.merged_into for contact in found):
        raise SerializationError("a contact was erased or merged meanwhile")
    batch, outcome = _Batch(tx.tenant_id, reader, upsert_key, people, by_email), Outcome()
    async for some in pace.slices(rows):
        batch.take(some, outcome)
    if not dry_run:
        await many.write(tx, people)
    return outcome


@dataclass(slots=True)
class _Batch:
    """Who is who while rows are applied, one after the other and without I/O."""

    tenant_id: str
    reader: Reader
    upsert_key: str
    people: People
    by_email: dict[str, list[UUID]]
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
        self.people.give(person, phone)
        return "updated"

    def _find(self, row: Wanted) -> Person | None:
        """The contact a row is about; None for a new one."""
        owner = self.people.owner_of(row.phone)
        if self.upsert_key == "phone":
            if row.phone is None:
                raise _RefusedError("phone", "key_missing", "The row has no phone.")
            return owner
        if "email" not in row.fields:
            raise _RefusedError("email", "key_missing", "The row has no e-mail.")
        found = self.by_email.get(row.fields["email"], [])
        if len(found) > 1:
            raise _RefusedError("email", "ambiguous_key", "Several contacts have this e-mail.")
        if found:
            return self.people.by_id[found[0]]
        if owner is not None and owner.contact.deleted_at is None:
            raise _RefusedError("phone", "contact_exists", "Another contact has this phone.")
        return owner

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
        # A copy: looking up the defaults of each would take longer than all else here.
        contact = self.nobody.model_copy(
            update={
                **fields,
                "id": self.people.first_id(self.tenant_id, phone),
                "tenant_id": self.tenant_id,
                "source": SOURCE,
                "version": 1,
                "created_at": now,
                "updated_at": now,
            }
        )
        self.people.add(contact, phone)
        self._index(contact)

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
        owner_id = self.people.owners.get(row.phone.key)
        if owner_id not in (None, contact.id):
            raise _RefusedError("phone", "contact_exists", "Another contact has this phone.")
        if self.upsert_key != "phone" and contact.phone not in (None, row.phone.phone):
            raise _RefusedError("phone", "has_another_phone", "The contact has another phone.")
        return row.phone
