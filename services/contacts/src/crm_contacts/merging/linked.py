"""Contacts that a message shows to be one person: a phone's, and a hidden id's.

The message is the phone's contact's by the rule (docs/architecture.md, "Identity"), and so the
winner is the same wherever and whenever this is decided. Numbers get new owners: who is known by
another number is left apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from service_kit.cause import Cause
from service_kit.database import Transaction
from shared_events.identity import Owned, Owners, TenantIdentity, WhatsAppId

from crm_contacts.contacts import repository as contacts
from crm_contacts.contacts.repository import Ref
from crm_contacts.merging import repository, service
from crm_contacts.merging.service import Merge


@dataclass(frozen=True, slots=True)
class Same:
    """Two contacts that are one person, by the message with this place in its batch."""

    winner: Ref
    loser: Ref
    place: int


def shown(
    seen: Sequence[tuple[str, list[WhatsAppId]]],
    found: Owners,
    known: Mapping[TenantIdentity, Owned],
) -> list[Same]:
    """Who turns out to be the same, nobody twice: another message will tell of the rest.

    An identity that stays somebody else's although a message shows it is proved to be theirs.
    """
    same: list[Same] = []
    busy: set[Ref] = set()
    for place, ((tenant_id, person), writer) in enumerate(zip(seen, found.contacts, strict=True)):
        for identity in person:
            key = tenant_id, identity.key
            owner = found.recorded(key) or known[key].contact_id
            pair = {(tenant_id, writer), (tenant_id, owner)}
            if owner != writer and not busy & pair:
                same.append(Same((tenant_id, writer), (tenant_id, owner), place))
                busy |= pair
    return same


async def prepare(tx: Transaction, same: Sequence[Same]) -> None:
    """Take the locks that come before those of contacts."""
    if same:
        await repository.lock_lists(tx, [(*one.winner, one.loser[1]) for one in same])


async def merge(tx: Transaction, same: Sequence[Same], causes: Sequence[Cause]) -> None:
    """Merge those who are the same, whose locks are held, each because of its message."""
    if not same:
        return
    rows = await contacts.find_for_update(tx, [ref for o in same for ref in (o.winner, o.loser)])
    merges = [
        Merge(winner, loser, causes[one.place])
        for one in same
        if (winner := rows.get(one.winner)) is not None
        and (loser := rows.get(one.loser)) is not None
        and loser.phone in (None, winner.phone)
    ]
    if merges:
        await service.merge_all(tx, merges)
