"""What messages tell about people: `channel.message_received` makes and completes contacts.

A batch is applied as sets. Each message's person is somebody known or somebody new (identity rule,
docs/architecture.md, "Identity"); who is only known to write again costs one row in one UPDATE.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.text import without_nul
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactCreated, ContactIdentityLinked, ContactUpdated
from shared_events.envelope import EventData
from shared_events.identity import IdentityKey, Owned, WhatsAppId, display_name, owners, visible

from crm_contacts.contacts import identities, repository
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.repository import Known

Received = Event[ChannelMessageReceived]


@dataclass(slots=True)
class _Person:
    """A contact as the batch finds it and what the batch makes of it.

    `first` is the message that brought it into the batch.
    """

    known: Known
    first: Received
    is_new: bool
    linked: list[WhatsAppId] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)


async def on_message_received(tx: Transaction, events: Sequence[Received]) -> None:
    """Create and complete the contacts of these messages, of one tenant and in their order."""
    seen = [[WhatsAppId(i.kind, i.value) for i in e.data.person.identities] for e in events]
    keys = {identity.key: None for identities_seen in seen for identity in identities_seen}
    found = owners(tx.tenant_id, seen, await identities.find_locked(tx, keys))
    stored = await repository.find_known_for_update(tx, set(found.contacts))

    people: dict[UUID, _Person] = {}
    told: set[IdentityKey] = set()
    for event, contact_id, shown in zip(events, found.contacts, seen, strict=True):
        person = people.get(contact_id)
        if person is None:
            on_record = stored.get(contact_id)
            nobody = Known(contact_id, display_name(None, None))
            person = _Person(on_record or nobody, event, is_new=on_record is None)
            people[contact_id] = person
        person.linked += [i for i in shown if i.key in found.new and i.key not in told]
        told |= {identity.key for identity in shown}
        _learn(person, event)
    await _tell(tx, people, await _write(tx, people, found.new | found.renamed))


def _learn(person: _Person, event: Received) -> None:
    """Take over what the message says of its person; what people edited is never overwritten."""
    contact, sent_at = person.known, event.data.sent_at
    contact.first_interaction_at = min(contact.first_interaction_at or sent_at, sent_at)
    contact.last_interaction_at = max(contact.last_interaction_at or sent_at, sent_at)
    if contact.deleted_at is not None:  # who writes again is back
        contact.deleted_at = None
        person.changed.add("deleted_at")

    nameless = contact.name in {display_name(None, None), contact.phone}
    if contact.phone is None:
        contact.phone = next((i.phone for i in person.linked if i.phone), None)
        if contact.phone:
            person.changed.add("phone")
    # The push name of a message from our own phone is our own.
    if event.data.direction == "inbound" and event.data.person.push_name:
        contact.push_name = visible(without_nul(event.data.person.push_name))[:255] or None
    if nameless:
        name = display_name(contact.push_name, contact.phone)
        if name != contact.name:
            contact.name = name
            person.changed.add("name")


async def _write(
    tx: Transaction, people: Mapping[UUID, _Person], recorded: Mapping[IdentityKey, Owned]
) -> list[Contact]:
    """Write everything down; returns the contacts that are new or changed."""
    now = datetime.now(UTC)
    new = [_new_contact(tx.tenant_id, p, now) for p in people.values() if p.is_new]
    known = [p for p in people.values() if not p.is_new]
    rows = await repository.find_for_update(tx, [p.known.id for p in known if p.changed])
    changed = [
        people[contact_id]
        .known.teach(contact)
        .model_copy(update={"version": contact.version + 1, "updated_at": now})
        for contact_id, contact in rows.items()
    ]
    await repository.insert(tx, new)
    await repository.update(tx, changed)
    await repository.touch(tx, [p.known for p in known if not p.changed])
    await identities.save(tx, recorded)
    return [*new, *changed]


def _new_contact(tenant_id: str, person: _Person, now: datetime) -> Contact:
    source = "inbound" if person.first.data.direction == "inbound" else "phone"
    return Contact.model_construct(
        **asdict(person.known), tenant_id=tenant_id, source=source, created_at=now, updated_at=now
    )


async def _tell(
    tx: Transaction, people: Mapping[UUID, _Person], written: Sequence[Contact]
) -> None:
    """One event for who is new, one per newly linked identity, one for what changed."""
    shown = {r.id: r for r in await repository.to_resources(tx, written)}
    for contact_id, person in people.items():
        for event in _events(contact_id, person, shown):
            tx.outbox.add(event, contact_id, cause=person.first.cause)


def _events(
    contact_id: UUID, person: _Person, shown: Mapping[UUID, contract.Contact]
) -> Iterator[EventData]:
    if person.is_new:
        yield ContactCreated(contact=shown[contact_id])
        return
    for linked in person.linked:
        identity = contract.Identity(kind=linked.kind, value=linked.value)
        yield ContactIdentityLinked(contact_id=contact_id, identity=identity)
    if person.changed:
        yield ContactUpdated(contact=shown[contact_id], changed=sorted(person.changed))
