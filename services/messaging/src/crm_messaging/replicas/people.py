"""Whose message this is (docs/architecture.md, "Identity"): the rule contacts applies as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

from service_kit.database import Transaction
from service_kit.text import without_nul
from shared_events.identity import (
    IdentityKey,
    IdentityKind,
    Owned,
    WhatsAppId,
    display_name,
    owners,
)
from shared_events.messaging.summaries import ContactSummary

from crm_messaging.replicas import repository
from crm_messaging.replicas.models import ContactRef, IdentityRef


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody a message shows: WhatsApp ids, strongest first, and the name they chose."""

    identities: tuple[WhatsAppId, ...]
    push_name: str | None = None

    @property
    def phone(self) -> str | None:
        """E.164, when one of the ids is a phone."""
        return next((i.phone for i in self.identities if i.phone), None)


async def resolve(tx: Transaction, people: Sequence[Sender]) -> list[ContactSummary]:
    """The contact of each person, in order; people and identities not known yet are recorded."""
    seen = [person.identities for person in people]
    keys = sorted({identity.key for identities in seen for identity in identities})
    while True:
        found = owners(tx.tenant_id, seen, await _known(tx, keys))
        if not found.new or await _record(tx, found.new) == len(found.new):
            break  # else somebody recorded one meanwhile: look again
    if found.renamed:
        await _rename(tx, found.renamed)
    summaries = await _summaries(tx, found.contacts)
    missing = {c: p for c, p in zip(found.contacts, people, strict=True) if c not in summaries}
    if missing:
        await _introduce(tx, missing)
        summaries = await _summaries(tx, found.contacts)
    return [summaries[contact] for contact in found.contacts]


async def _known(tx: Transaction, keys: Sequence[IdentityKey]) -> dict[IdentityKey, Owned]:
    rows = await repository.IDENTITIES.find(
        tx,
        "SELECT * FROM identity_refs"
        " WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND canonical = ANY($3::text[])",
        tx.tenant_id,
        [kind for kind, _ in keys],
        [canonical for _, canonical in keys],
    )
    # One that was taken off and is shown again counts as renamed: its alias is learned anew.
    return {
        (cast(IdentityKind, row.kind), row.canonical): Owned(
            row.contact_id, "" if row.taken_off else row.value
        )
        for row in rows
    }


def _rows(tx: Transaction, identities: Mapping[IdentityKey, Owned]) -> list[IdentityRef]:
    # Sorted, so that two transactions never wait for each other in a circle.
    return [
        IdentityRef(
            tenant_id=tx.tenant_id,
            kind=kind,
            canonical=canonical,
            value=owned.value,
            contact_id=owned.contact_id,
            taken_off=False,
        )
        for (kind, canonical), owned in sorted(identities.items(), key=lambda item: item[0])
    ]


async def _record(tx: Transaction, identities: Mapping[IdentityKey, Owned]) -> int:
    rows = _rows(tx, identities)
    return await repository.IDENTITIES.insert(tx, rows, unless="(tenant_id, kind, canonical)")


async def _rename(tx: Transaction, identities: Mapping[IdentityKey, Owned]) -> None:
    await repository.IDENTITIES.update(tx, _rows(tx, identities), "value", "taken_off")


async def link(tx: Transaction, identities: Mapping[WhatsAppId, UUID]) -> None:
    """Contacts says whose these identities are; a value WhatsApp reported to us stays."""
    owned = {i.key: Owned(owner, i.value) for i, owner in identities.items()}
    await repository.IDENTITIES.upsert(
        tx, _rows(tx, owned), "contact_id", "taken_off", differs="contact_id"
    )


async def take_off(tx: Transaction, phones: Mapping[UUID, str | None]) -> None:
    """These contacts have another phone now (E.164), or none: their older ones lead elsewhere.

    Should a message show one of those again, it is the contact's after all.
    """
    ordered = sorted(phones.items())
    await tx.execute(
        "WITH ours AS (SELECT r.kind, r.canonical, n.canonical AS current FROM identity_refs r"
        " JOIN unnest($2::uuid[], $3::text[]) AS n(contact_id, canonical)"
        " ON r.contact_id = n.contact_id WHERE r.tenant_id = $1 AND r.kind = 'phone'"
        " ORDER BY r.kind, r.canonical FOR UPDATE OF r)"
        " UPDATE identity_refs r SET taken_off = r.canonical IS DISTINCT FROM ours.current"
        " FROM ours WHERE r.tenant_id = $1 AND r.kind = ours.kind"
        " AND r.canonical = ours.canonical",
        tx.tenant_id,
        [contact_id for contact_id, _ in ordered],
        [phone and WhatsAppId("phone", phone.lstrip("+")).canonical for _, phone in ordered],
    )


async def _summaries(tx: Transaction, contacts: Sequence[UUID]) -> dict[UUID, ContactSummary]:
    rows = await repository.CONTACTS.find(
        tx,
        "SELECT * FROM contact_refs WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[])",
        tx.tenant_id,
        list(set(contacts)),
    )
    return {
        row.contact_id: ContactSummary(id=row.contact_id, name=row.name, phone=row.phone)
        for row in rows
    }


async def _introduce(tx: Transaction, people: Mapping[UUID, Sender]) -> None:
    rows = [
        ContactRef(
            tenant_id=tx.tenant_id,
            contact_id=contact_id,
            name=display_name(without_nul(person.push_name), person.phone),
            phone=person.phone,
        )
        for contact_id, person in sorted(people.items())
    ]
    await repository.CONTACTS.insert(tx, rows, unless="(tenant_id, contact_id)")
