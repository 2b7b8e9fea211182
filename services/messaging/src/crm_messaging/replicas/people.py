"""Whose message this is (docs/architecture.md, "Identity"): the rule contacts applies as well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction
from service_kit.text import without_nul
from shared_events.identity import IdentityKey, Owned, WhatsAppId, display_name, owners
from shared_events.messaging.summaries import ContactSummary


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
    rows = await tx.fetch(
        "SELECT kind, canonical, value, taken_off, contact_id FROM identity_refs"
        " WHERE tenant_id = $1 AND kind = ANY($2::text[]) AND canonical = ANY($3::text[])",
        tx.tenant_id,
        [kind for kind, _ in keys],
        [canonical for _, canonical in keys],
    )
    # One that was taken off and is shown again counts as renamed: its alias is learned anew.
    return {
        (r["kind"], r["canonical"]): Owned(r["contact_id"], "" if r["taken_off"] else r["value"])
        for r in rows
    }


def _columns(tx: Transaction, identities: Mapping[IdentityKey, Owned]) -> list[object]:
    # Sorted, so that two transactions never wait for each other in a circle.
    ordered = sorted(identities.items(), key=lambda item: item[0])
    return [
        tx.tenant_id,
        [kind for (kind, _), _ in ordered],
        [canonical for (_, canonical), _ in ordered],
        [known.value for _, known in ordered],
        [known.contact_id for _, known in ordered],
    ]


async def _record(tx: Transaction, identities: Mapping[IdentityKey, Owned]) -> int:
    return await tx.execute(
        "INSERT INTO identity_refs (tenant_id, kind, canonical, value, contact_id)"
        " SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[])"
        " ON CONFLICT DO NOTHING",
        *_columns(tx, identities),
    )


async def _rename(tx: Transaction, identities: Mapping[IdentityKey, Owned]) -> None:
    await tx.execute(
        "UPDATE identity_refs r SET value = n.value, taken_off = false"
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
            " SET contact_id = excluded.contact_id, taken_off = false"
            " WHERE identity_refs.contact_id <> excluded.contact_id",
            *_columns(tx, {i.key: Owned(owner, i.value) for i, owner in identities.items()}),
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
    rows = await tx.fetch(
        "SELECT contact_id AS id, name, phone FROM contact_refs"
        " WHERE tenant_id = $1 AND contact_id = ANY($2::uuid[])",
        tx.tenant_id,
        list(set(contacts)),
    )
    return {row["id"]: ContactSummary.model_validate(dict(row)) for row in rows}


async def _introduce(tx: Transaction, people: Mapping[UUID, Sender]) -> None:
    ordered = sorted(people.items())
    await tx.execute(
        "INSERT INTO contact_refs (tenant_id, contact_id, name, phone)"
        " SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::text[]) ON CONFLICT DO NOTHING",
        tx.tenant_id,
        [contact for contact, _ in ordered],
        [display_name(without_nul(p.push_name), p.phone) for _, p in ordered],
        [person.phone for _, person in ordered],
    )
