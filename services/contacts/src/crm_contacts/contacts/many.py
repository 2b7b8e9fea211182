"""Many contacts at once, as sets: who is who, looked up and locked; then written down and told.

What becomes of them in between is said without I/O (`imports`, `bulk`).
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from service_kit import forgotten
from service_kit.database import Transaction
from service_kit.ids import uuid7
from shared_events import identity
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactCreated, ContactIdentityLinked
from shared_events.identity import IdentityKey, Owned, WhatsAppId

from crm_contacts.contacts import identities, repository
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.telling import told_of


@dataclass(slots=True)
class Person:
    """A contact as it was found, and what became of it; `typed` are phones it was given."""

    contact: Contact
    is_new: bool
    changed: set[str] = field(default_factory=set)
    typed: list[WhatsAppId] = field(default_factory=list)


@dataclass(slots=True)
class People:
    """Contacts by their ids, whose phones are whose, and who will be of whom was erased."""

    by_id: dict[UUID, Person]
    owners: dict[IdentityKey, UUID]
    next_ids: dict[IdentityKey, UUID]

    def owner_of(self, phone: WhatsAppId | None) -> Person | None:
        """Who has the phone; None for nobody who is a contact."""
        owner_id = self.owners.get(phone.key) if phone else None
        return self.by_id.get(owner_id) if owner_id else None

    def first_id(self, tenant_id: str, phone: WhatsAppId | None) -> UUID:
        """The id of somebody new: with a phone that which a message would give who has it."""
        if phone is None:
            return uuid7()
        known = self.owners.get(phone.key) or self.next_ids.get(phone.key)
        return known or identity.contact_id(tenant_id, phone)

    def add(self, contact: Contact, phone: WhatsAppId | None) -> None:
        """Somebody new."""
        person = self.by_id[contact.id] = Person(contact, is_new=True)
        self.give(person, phone)

    def give(self, person: Person, phone: WhatsAppId | None) -> None:
        """The phone is this person's from here on, if it is anybody's first."""
        if phone is not None and phone.key not in self.owners:
            self.owners[phone.key] = person.contact.id
            person.typed.append(phone)


async def locked(
    tx: Transaction, phones: Collection[WhatsAppId], contact_ids: Collection[UUID]
) -> People:
    """Who has these phones, and these contacts, deleted ones too: first phones, then contacts."""
    keys = {(tx.tenant_id, phone.key) for phone in phones}
    recorded = await identities.find_locked(tx, keys)
    erased = await forgotten.find(tx, keys - recorded.keys())
    owners = {key: owned.contact_id for (_, key), owned in recorded.items()}
    refs = {(tx.tenant_id, one) for one in (*owners.values(), *contact_ids)}
    stored = await repository.find_for_update(tx, refs)
    return People(
        by_id={ref[1]: Person(contact, is_new=False) for ref, contact in stored.items()},
        owners=owners,
        next_ids={key: after.next_contact_id for (_, key), after in erased.items()},
    )


async def write(tx: Transaction, people: People) -> None:
    """Write down who is new or changed, and tell of each."""
    now = datetime.now(UTC)
    new = [person for person in people.by_id.values() if person.is_new]
    changed = [person for person in people.by_id.values() if person.changed and not person.is_new]
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
    await _tell(tx, [*new, *changed])


async def _tell(tx: Transaction, written: Collection[Person]) -> None:
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
