"""Whose message this is (docs/architecture.md, "Identity"): the rule contacts applies as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.text import without_nul
from shared_events.identity import WhatsAppId, contact_id, display_name
from shared_events.messaging.summaries import ContactSummary

IdentityKey = tuple[str, str]
"""Kind and canonical value."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody a message shows: WhatsApp ids, strongest first, and the name they chose."""

    identities: tuple[WhatsAppId, ...]
    push_name: str | None = None

    @property
    def phone(self) -> str | None:
        """E.164, when one of the ids is a phone."""
        return next((i.phone for i in self.identities if i.phone), None)


@dataclass(frozen=True, slots=True)
class Known:
    """An identity on record: whose it is, and the value WhatsApp last reported."""

    contact_id: UUID
    value: str


def key(identity: WhatsAppId) -> IdentityKey:
    """What two aliases of one identity share."""
    return identity.kind, identity.canonical


def owners(
    tenant_id: str, people: Sequence[Person], known: Mapping[IdentityKey, Known]
) -> tuple[list[UUID], dict[IdentityKey, Known], dict[IdentityKey, Known]]:
    """The contact of each person, in order; what to record; what WhatsApp now writes otherwise.

    The strongest identity on record decides; with none, the strongest one names a new contact.
    Every other identity then belongs to that contact too.
    """
    seen = dict(known)
    new: dict[IdentityKey, Known] = {}
    renamed: dict[IdentityKey, Known] = {}
    result = []
    for person in people:
        found = next((seen[key(i)] for i in person.identities if key(i) in seen), None)
        owner = found.contact_id if found else contact_id(tenant_id, person.identities[0])
        for identity in person.identities:
            at = key(identity)
            if at not in seen:
                seen[at] = new[at] = Known(owner, identity.value)
            elif seen[at].value != identity.value:
                seen[at] = Known(seen[at].contact_id, identity.value)
                (new if at in new else renamed)[at] = seen[at]
        result.append(owner)
    return result, new, renamed


async def resolve(tx: Transaction, people: Sequence[Person]) -> list[ContactSummary]:
    """The contact of each person, in order; people and identities not known yet are recorded."""
    keys = sorted({key(i) for person in people for i in person.identities})
    while True:
        contacts, new, renamed = owners(tx.tenant_id, people, await _known(tx, keys))
        if not new or await _record(tx, new) == len(new):
            break  # else somebody recorded one meanwhile: look again
    if renamed:
        await _rename(tx, renamed)
    summaries = await _summaries(tx, contacts)
    missing = {c: p for c, p in zip(contacts, people, strict=True) if c not in summaries}
    if missing:
        await _introduce(tx, missing)
        summaries = await _summaries(tx, contacts)
    return [summaries[contact] for contact in contacts]


async def _known(tx: Transaction, keys: Sequence[IdentityKey]) -> dict[IdentityKey, Known]:
    rows = await tx.fetch(
        "SELECT kind, canonical, value, contact_id FROM identity_refs"
        " WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND canonical = ANY($3::text[])",
        tx.tenant_id,
        [kind for kind, _ in keys],
        [canonical for _, canonical in keys],
    )
    return {(r["kind"], r["canonical"]): Known(r["contact_id"], r["value"]) for r in rows}


def _columns(tx: Transaction, identities: Mapping[IdentityKey, Known]) -> list[object]:
    # Sorted, so that two transactions never wait for each other in a circle.
    ordered = sorted(identities.items(), key=lambda item: item[0])
    return [
        tx.tenant_id,
        [kind for (kind, _), _ in ordered],
        [canonical for (_, canonical), _ in ordered],
        [known.value for _, known in ordered],
        [known.contact_id for _, known in ordered],
    ]


async def _record(tx: Transaction, identities: Mapping[IdentityKey, Known]) -> int:
    return await tx.execute(
        "INSERT INTO identity_refs (tenant_id, kind, canonical, value, contact_id)"
        " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[])"
        " ON CONFLICT DO NOTHING",
        *_columns(tx, identities),
    )


async def _rename(tx: Transaction, identities: Mapping[IdentityKey, Known]) -> None:
    await tx.execute(
        "UPDATE identity_refs r SET value = n.value"
        " FROM unnest($2::text[], $3::text[], $4::text[]) AS n(kind, canonical, value)"
        " WHERE r.tenant_id = $1 AND r.kind = n.kind AND r.canonical = n.canonical",
        *_columns(tx, identities)[:4],
    )


async def link(tx: Transaction, identities: Mapping[WhatsAppId, UUID]) -> None:
    """Contacts says whose these identities are; a value WhatsApp reported to us stays."""
    if identities:
        await tx.execute(
            "INSERT INTO identity_refs (tenant_id, kind, canonical, value, contact_id)"
            " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[])"
            " ON CONFLICT (tenant_id, kind, canonical) DO UPDATE"
            " SET contact_id = excluded.contact_id"
            " WHERE identity_refs.contact_id <> excluded.contact_id",
            *_columns(tx, {key(i): Known(owner, i.value) for i, owner in identities.items()}),
        )


async def _summaries(tx: Transaction, contacts: Sequence[UUID]) -> dict[UUID, ContactSummary]:
    rows = await tx.fetch(
        "SELECT contact_id AS id, name, phone FROM contact_refs"
        " WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[])",
        tx.tenant_id,
        list(set(contacts)),
    )
    return {row["id"]: ContactSummary.model_validate(dict(row)) for row in rows}


async def _introduce(tx: Transaction, people: Mapping[UUID, Person]) -> None:
    ordered = sorted(people.items())
    await tx.execute(
        "INSERT INTO contact_refs (tenant_id, contact_id, name, phone)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING",
        tx.tenant_id,
        [contact for contact, _ in ordered],
        [display_name(without_nul(p.push_name), p.phone) for _, p in ordered],
        [person.phone for _, person in ordered],
    )
