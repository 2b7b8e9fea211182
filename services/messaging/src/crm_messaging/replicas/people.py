"""Whose message this is (docs/architecture.md, "Identity"): the rule contacts applies as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import cast
from uuid import UUID

from service_kit import forgotten
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.search import searchable
from service_kit.text import without_nul
from shared_events.contacts.contact import ContactIdentity
from shared_events.identity import (
    IdentityKind,
    Owned,
    TenantIdentity,
    WhatsAppId,
    display_name,
    is_past,
    owners,
)

from crm_messaging.replicas import merged, repository
from crm_messaging.replicas.models import ContactRef, IdentityRef
from crm_messaging.replicas.repository import ContactKey

_KNOWN = """
SELECT i.* FROM unnest($1::text[], $2::text[], $3::text[]) AS k(tenant_id, kind, canonical)
CROSS JOIN LATERAL (SELECT * FROM identity_refs
    WHERE tenant_id = k.tenant_id AND kind = k.kind AND canonical = k.canonical LIMIT 1) AS i
"""
_TAKE_OFF = """
WITH ours AS (
    SELECT r.tenant_id, r.kind, r.canonical, n.canonical AS current FROM identity_refs r
    JOIN unnest($1::text[], $2::uuid[], $3::text[]) AS n(tenant_id, contact_id, canonical)
        ON r.tenant_id = n.tenant_id AND r.contact_id = n.contact_id
    WHERE r.kind = 'phone' ORDER BY r.tenant_id, r.kind, r.canonical FOR UPDATE OF r)
UPDATE identity_refs r SET taken_off = r.canonical IS DISTINCT FROM ours.current
FROM ours WHERE r.tenant_id = ours.tenant_id AND r.kind = ours.kind
    AND r.canonical = ours.canonical
"""


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody a tenant's message shows: WhatsApp ids, strongest first, and the name they chose.

    `told_at` is when that was told.
    """

    tenant_id: str
    identities: tuple[WhatsAppId, ...]
    told_at: datetime
    push_name: str | None = None

    @property
    def seen(self) -> tuple[str, tuple[WhatsAppId, ...]]:
        """Whose message shows whom, as the rule of identity takes it."""
        return self.tenant_id, self.identities

    @property
    def phone(self) -> str | None:
        """E.164, when one of the ids is a phone."""
        return next((i.phone for i in self.identities if i.phone), None)


async def resolve(tx: Transaction, people: Sequence[Sender]) -> list[ContactRef | None]:
    """The contact of each person, in order; people and identities not known yet are recorded.

    None for somebody who was erased since it was told: nothing is recorded of them. Nobody merges
    the others until the transaction ends.
    """
    keys = {(person.tenant_id, i.key) for person in people for i in person.identities}
    while True:
        known = await on_record(tx, sorted(keys))
        erased = await forgotten.find(tx, keys - known.keys())
        there = [p for p in people if not is_past(p.seen, p.told_at, known, erased)]
        found = owners([p.seen for p in there], known, erased)
        if not found.new or await _record(tx, found.new) == len(found.new):
            break  # else somebody recorded one meanwhile: look again
    if found.renamed or found.moved:
        await _rename(tx, found.renamed | found.moved)
    contacts = [(p.tenant_id, c) for p, c in zip(there, found.contacts, strict=True)]
    refs = await merged.current(tx, contacts)
    missing = {c: p for c, p in zip(contacts, there, strict=True) if c not in refs}
    if missing:
        await _introduce(tx, missing)
        refs |= await merged.current(tx, missing)
    rows = {id(p): refs[c] for p, c in zip(there, contacts, strict=True)}
    return [rows.get(id(person)) for person in people]


async def get_contact(tx: Transaction, contact_id: UUID) -> ContactRef:
    """A contact to write to, or whom it was merged into; NotFoundError when missing or deleted.

    Nobody merges it until the transaction ends.
    """
    key = tx.tenant_id, contact_id
    row = (await merged.current(tx, [key])).get(key)
    if row is None or row.deleted:
        raise NotFoundError("contact", may_come=row is None)
    return row


async def whose(tx: Transaction, people: Sequence[Sender]) -> list[UUID]:
    """The contact's id of each person, in order; nothing is recorded of strangers."""
    seen = [(person.tenant_id, person.identities) for person in people]
    keys = {(tenant_id, identity.key) for tenant_id, shown in seen for identity in shown}
    return list(owners(seen, await on_record(tx, sorted(keys))).contacts)


@dataclass(frozen=True, slots=True)
class Found:
    """Whom somebody is known as; None for a stranger, of whom there is no contact."""

    contact: ContactRef | None


async def look_up(tx: Transaction, people: Sequence[Sender]) -> list[Found | None]:
    """The contact of each person, in order; nothing is recorded of strangers.

    None for somebody who was erased since it was told. Nobody merges the others until the
    transaction ends.
    """
    keys = {(person.tenant_id, i.key) for person in people for i in person.identities}
    known = await on_record(tx, sorted(keys))
    erased = await forgotten.find(tx, keys - known.keys())
    there = [p for p in people if not is_past(p.seen, p.told_at, known, erased)]
    found = owners([p.seen for p in there], known, erased)
    contacts = [(p.tenant_id, c) for p, c in zip(there, found.contacts, strict=True)]
    refs = await merged.current(tx, contacts)
    rows = {id(p): Found(refs.get(c)) for p, c in zip(there, contacts, strict=True)}
    return [rows.get(id(person)) for person in people]


async def on_record(tx: Transaction, keys: Sequence[TenantIdentity]) -> dict[TenantIdentity, Owned]:
    """Those of the identities that are known, and whose they are."""
    rows = await repository.IDENTITIES.find(
        tx,
        _KNOWN,
        [tenant_id for tenant_id, _ in keys],
        [kind for _, (kind, _) in keys],
        [canonical for _, (_, canonical) in keys],
    )
    # One that was taken off and is shown again counts as renamed: its alias is learned anew.
    return {
        (row.tenant_id, (cast(IdentityKind, row.kind), row.canonical)): Owned(
            row.contact_id, "" if row.taken_off else row.value, row.proved
        )
        for row in rows
    }


def _rows(identities: Mapping[TenantIdentity, Owned]) -> list[IdentityRef]:
    # Sorted, so that two transactions never wait for each other in a circle.
    return [
        IdentityRef.model_construct(
            tenant_id=tenant_id,
            kind=kind,
            canonical=canonical,
            value=owned.value,
            contact_id=owned.contact_id,
            taken_off=False,
            proved=owned.proved,
        )
        for (tenant_id, (kind, canonical)), owned in sorted(identities.items(), key=itemgetter(0))
    ]


async def _record(tx: Transaction, identities: Mapping[TenantIdentity, Owned]) -> int:
    rows = _rows(identities)
    return await repository.IDENTITIES.insert(tx, rows, unless="(tenant_id, kind, canonical)")


async def _rename(tx: Transaction, identities: Mapping[TenantIdentity, Owned]) -> None:
    columns = ("value", "contact_id", "taken_off", "proved")
    await repository.IDENTITIES.update(tx, _rows(identities), *columns)


async def link(tx: Transaction, identities: Sequence[tuple[str, ContactIdentity, UUID]]) -> None:
    """Contacts says whose these identities are; a value WhatsApp reported to us stays.

    Each comes with its tenant and the contact it belongs to, or whom that was merged into; the last
    word counts.
    """
    ends = await merged.ends(tx, [(tenant_id, owner) for tenant_id, _, owner in identities])
    await assign(tx, [(t, one, ends.get((t, owner), owner)) for t, one, owner in identities])


async def assign(tx: Transaction, identities: Sequence[tuple[str, ContactIdentity, UUID]]) -> None:
    """As `link`, to these contacts themselves, whoever they were merged into."""
    owned = {
        (tenant_id, WhatsAppId(identity.kind, identity.value).key): Owned(
            owner, identity.value, identity.proved
        )
        for tenant_id, identity, owner in identities
    }
    await repository.IDENTITIES.upsert(
        tx, _rows(owned), "contact_id", "taken_off", "proved", differs="contact_id"
    )


async def take_off(tx: Transaction, phones: Mapping[ContactKey, str | None]) -> None:
    """These contacts have another phone now (E.164), or none: their older ones lead elsewhere.

    Should a message show one of those again, it is the contact's after all.
    """
    if not phones:
        return
    ordered = sorted(phones.items(), key=itemgetter(0))
    await tx.execute(
        _TAKE_OFF,
        [tenant_id for (tenant_id, _), _ in ordered],
        [contact_id for (_, contact_id), _ in ordered],
        [phone and WhatsAppId("phone", phone.lstrip("+")).canonical for _, phone in ordered],
    )


async def _introduce(tx: Transaction, people: Mapping[ContactKey, Sender]) -> None:
    rows = [
        ContactRef(
            tenant_id=tenant_id,
            contact_id=contact_id,
            name=(name := display_name(without_nul(person.push_name), person.phone)),
            phone=person.phone,
            search_text=searchable(name, person.phone),
        )
        for (tenant_id, contact_id), person in sorted(people.items(), key=itemgetter(0))
    ]
    await repository.CONTACTS.insert(tx, rows, unless="(tenant_id, contact_id)")
