"""What messages and calls tell about people: they make and complete contacts.

A batch is applied as sets, over all companies in it. Each message's person is somebody known or
somebody new to its company (identity rule, docs/architecture.md, "Identity"); who is only known to
write again costs one row in one UPDATE.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar
from uuid import UUID

from asyncpg import SerializationError
from service_kit import forgotten
from service_kit.database import Transaction
from service_kit.incoming import Event
from service_kit.text import without_nul
from shared_events.channels.history import ChannelHistoryRead, as_received
from shared_events.channels.traffic import ChannelCallReported, ChannelMessageReceived
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactCreated, ContactIdentityLinked
from shared_events.envelope import EventData
from shared_events.identity import (
    Owners,
    TenantIdentity,
    WhatsAppId,
    display_name,
    is_past,
    owners,
    visible,
)

from crm_contacts.contacts import identities, repository
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.repository import Known, Ref
from crm_contacts.contacts.telling import told_of
from crm_contacts.merging import linked
from crm_contacts.merging.linked import Same
from crm_contacts.opt_outs import words
from crm_contacts.trackings import referrals

Received = Event[ChannelMessageReceived]
Called = Event[ChannelCallReported]
Heard = Received | Called
H = TypeVar("H", bound=Heard)


@dataclass(frozen=True, slots=True)
class _Learning:
    """How messages are learned from: as they come, or (not `live`) from the history of chats."""

    live: bool = True
    quiet: bool = False


@dataclass(slots=True)
class _Person:
    """A contact as the batch finds it and what the batch makes of it.

    `first` is the message that brought it into the batch; `quiet`: found in history, and nobody
    asked to be told.
    """

    known: Known
    first: Heard
    is_new: bool
    quiet: bool = False
    linked: list[WhatsAppId] = field(default_factory=list)
    changed: set[str] = field(default_factory=set)


_People = dict[Ref, _Person]


@dataclass(frozen=True, slots=True)
class _Batch(Generic[H]):
    """Messages or calls and whose they are; `stored` are the contacts on record, locked."""

    events: Sequence[H]
    seen: Sequence[tuple[str, list[WhatsAppId]]]
    found: Owners
    same: Sequence[Same]
    stored: dict[Ref, Known]


async def on_message_received(tx: Transaction, events: Sequence[Received]) -> None:
    """Create and complete the contacts of these messages, each company's in their order.

    Raises SerializationError, which all of it is repeated for, where one is erased or removed
    meanwhile.
    """
    events, contacts = await _apply(tx, events, _Learning())
    arrivals = list(zip(contacts, events, strict=True))
    await referrals.note(tx, arrivals)
    await words.heed(tx, arrivals)


async def on_call_reported(tx: Transaction, events: Sequence[Called]) -> None:
    """Create and complete the contacts of who calls, as if they had written.

    Raises as `on_message_received`.
    """
    await _apply(tx, events, _Learning())


async def on_history_read(tx: Transaction, events: Sequence[Event[ChannelHistoryRead]]) -> None:
    """Create the contacts of what was said before; who is known only gets earlier and later.

    What was missed is as if it had come live. Raises as `on_message_received`.
    """
    for notify in (False, True):
        told = _told(e for e in events if e.data.notify is notify and not e.data.recovered)
        if told:
            await _apply(tx, told, _Learning(live=False, quiet=not notify))
    missed = _told(event for event in events if event.data.recovered)
    if missed:
        await on_message_received(tx, missed)


def _told(pages: Iterable[Event[ChannelHistoryRead]]) -> list[Received]:
    return [
        Event(page.id, page.tenant_id, envelope, page.headers, page.cause)
        for page in pages
        for envelope in as_received(page.body)
    ]


async def _apply(
    tx: Transaction, events: Sequence[H], learning: _Learning
) -> tuple[Sequence[H], Sequence[UUID]]:
    """The messages or calls that are somebody's, and whose."""
    events = [event for event in events if not _shows_a_group(event)]
    if not events:
        return [], []
    batch = await _locked(tx, events)
    if any(known.merged_into for known in batch.stored.values()):
        batch = await _locked(tx, events)  # merged while its lock was waited for
    if any(known.erased_at for known in batch.stored.values()):
        raise SerializationError("a contact was erased meanwhile")
    events, seen, found, stored = batch.events, batch.seen, batch.found, batch.stored
    refs = [(e.tenant_id, contact_id) for e, contact_id in zip(events, found.contacts, strict=True)]
    losers = {key: (key[0], contact_id) for key, contact_id in found.lost.items()}

    people: _People = {}
    told: set[TenantIdentity] = set()
    for event, ref, (tenant_id, shown) in zip(events, refs, seen, strict=True):
        person = people.get(ref)
        if person is None:
            on_record = stored.get(ref)
            nobody = Known(*ref, display_name(None, None))
            person = _Person(
                on_record or nobody, event, is_new=on_record is None, quiet=learning.quiet
            )
            people[ref] = person
        for identity in shown:
            key = tenant_id, identity.key
            if key in losers and key not in told:
                _yield(people, stored.get(losers[key]), identity, event)
            recorded = found.recorded(key)
            news = person.is_new or key not in found.renamed
            if recorded == ref[1] and news and key not in told:
                person.linked.append(identity)
            told.add(key)
        _learn(person, event, learning)
    written = await _write(tx, people)
    await identities.save(tx, found.new | found.moved)
    await identities.prove(tx, found.renamed)
    await _tell(tx, people, written)
    await linked.merge(tx, batch.same, [event.cause for event in events])
    return events, found.contacts


async def _locked(tx: Transaction, events: Sequence[H]) -> _Batch[H]:
    """Whose these are, who is the same, and the contacts on record of all, locked.

    What was told of somebody before they were erased is left out: it goes with them.
    """
    people = [(event.tenant_id, _shown(event)) for event in events]
    keys = {(tenant_id, identity.key) for tenant_id, shown in people for identity in shown}
    known = await identities.find_locked(tx, keys)
    erased = await forgotten.find(tx, keys - known.keys())
    there = [
        (event, person)
        for event, person in zip(events, people, strict=True)
        if not is_past(person, event.body.occurred_at, known, erased)
    ]
    seen = [person for _, person in there]
    found = owners(seen, known, erased)
    same = linked.shown(seen, found, known)
    await linked.prepare(tx, same)
    refs = [(tenant_id, id_) for (tenant_id, _), id_ in zip(seen, found.contacts, strict=True)]
    refs += [(key[0], contact_id) for key, contact_id in found.lost.items()]
    refs += [one.loser for one in same]
    stored = await repository.find_known_for_update(tx, refs)
    nobody = {k: o for k, o in known.items() if (k[0], o.contact_id) not in stored}
    if nobody and len(await identities.find(tx, nobody)) < len(nobody):
        raise SerializationError("a contact was removed meanwhile")
    return _Batch([event for event, _ in there], seen, found, same, stored)


def _yield(people: _People, loser: Known | None, identity: WhatsAppId, event: Heard) -> None:
    """A number that was typed for a contact turned out to be somebody else's."""
    if loser is None or loser.phone is None or loser.phone != identity.phone:
        return
    ref = loser.tenant_id, loser.id
    person = people.setdefault(ref, _Person(loser, event, is_new=False))
    person.known.phone = None
    person.changed.add("phone")


def _shows_a_group(event: Heard) -> bool:
    """Whether it shows nobody: what the company wrote into a group on its phone, and the like.

    A group is in messaging what it is; a contact only where somebody made it one.
    """
    data = event.data
    is_in_group = isinstance(data, ChannelMessageReceived) and data.is_group
    return is_in_group and data.person.identities[0].kind == "group"


def _shown(event: Heard) -> list[WhatsAppId]:
    return [WhatsAppId(i.kind, i.value) for i in event.data.person.identities]


def _learn(person: _Person, event: Heard, learning: _Learning) -> None:
    """Take over what the event says of its person; what people edited is never overwritten."""
    contact, at = person.known, _at(event)
    contact.first_interaction_at = min(contact.first_interaction_at or at, at)
    contact.last_interaction_at = max(contact.last_interaction_at or at, at)
    if learning.live and contact.deleted_at is not None:  # who writes again is back
        contact.deleted_at = None
        person.changed.add("deleted_at")

    nameless = contact.name in {display_name(None, None), contact.phone}
    if contact.phone is None:
        contact.phone = next((i.phone for i in person.linked if i.phone), None)
        if contact.phone:
            person.changed.add("phone")
    # The push name of a message from our own phone is our own; one of before may be out of date.
    takes_name = _is_theirs(event) and (learning.live or not contact.push_name)
    if takes_name and event.data.person.push_name:
        contact.push_name = visible(without_nul(event.data.person.push_name))[:255] or None
    if nameless:
        name = display_name(contact.push_name, contact.phone)
        if name != contact.name:
            contact.name = name
            person.changed.add("name")


def _at(event: Heard) -> datetime:
    """When it was by WhatsApp's clock; a time to come would hold until then."""
    data = event.data
    at = data.sent_at if isinstance(data, ChannelMessageReceived) else data.happened_at
    return min(at, event.body.occurred_at)


def _is_theirs(event: Heard) -> bool:
    """Whether the person did it, and not the company."""
    data = event.data
    return not isinstance(data, ChannelMessageReceived) or data.direction == "inbound"


async def _write(tx: Transaction, people: _People) -> list[Contact]:
    """Write everything about contacts down; returns those that are new or changed."""
    now = datetime.now(UTC)
    new = [_new_contact(p, now) for p in people.values() if p.is_new]
    known = {ref: p for ref, p in people.items() if not p.is_new}
    rows = await repository.find_for_update(tx, [ref for ref, p in known.items() if p.changed])
    changed = [
        known[ref]
        .known.teach(contact)
        .model_copy(update={"version": contact.version + 1, "updated_at": now})
        for ref, contact in rows.items()
    ]
    # Before anybody can have a phone, whoever had it gives it up.
    await repository.update(tx, [c for c in changed if c.phone is None])
    await repository.insert(tx, new)
    await repository.update(tx, [c for c in changed if c.phone is not None])
    await repository.touch(tx, [p.known for p in known.values() if not p.changed])
    return [*new, *changed]


def _new_contact(person: _Person, now: datetime) -> Contact:
    source = "inbound" if _is_theirs(person.first) else "phone"
    return Contact.model_construct(
        **asdict(person.known), source=source, created_at=now, updated_at=now
    )


async def _tell(tx: Transaction, people: _People, written: Sequence[Contact]) -> None:
    """One event for who is new, one per newly linked identity, one for what changed."""
    resources = await repository.to_resources(tx, written)
    shown = {(c.tenant_id, c.id): r for c, r in zip(written, resources, strict=True)}
    for ref, person in people.items():
        for event in _events(ref, person, shown):
            tenant_id, contact_id = ref
            tx.outbox.add(event, contact_id, tenant_id=tenant_id, cause=person.first.cause)


def _events(
    ref: Ref, person: _Person, shown: Mapping[Ref, contract.Contact]
) -> Iterator[EventData]:
    if person.is_new:
        yield ContactCreated(contact=shown[ref], quiet=person.quiet)
        return
    for shown_as in person.linked:
        identity = contract.ContactIdentity(kind=shown_as.kind, value=shown_as.value)
        yield ContactIdentityLinked(contact_id=person.known.id, identity=identity)
    if person.changed:
        yield from told_of(shown[ref], person.changed)
