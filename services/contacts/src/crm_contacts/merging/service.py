"""Merging contacts: of one company by request, of many as messages show who is one person.

Locks are taken in the order of all of contacts: lists, contacts by their ids, identities. Two
merges of a pair, whichever way round, meet at the first of the two contacts, and the second of
them finds it merged.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from pydantic_core import to_jsonable_python
from service_kit.cause import Cause
from service_kit.database import Transaction
from service_kit.errors import ConflictError, ExpectedVersion, InvalidError, PreconditionFailedError
from shared_events import identity
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactIdentity, ContactIdentityReleased
from shared_events.contacts.merge import ContactMerged
from shared_events.contacts.opt_out import ContactOptedOut
from shared_events.identity import Owned, TenantIdentity, WhatsAppId

from crm_contacts.contacts import identities
from crm_contacts.contacts import repository as contacts
from crm_contacts.contacts.models import Contact
from crm_contacts.merging import repository
from crm_contacts.merging.fields import taken_over, written_down
from crm_contacts.merging.models import ContactMerge
from crm_contacts.merging.repository import Gone, Moved
from crm_contacts.opt_outs import repository as opt_outs


@dataclass(frozen=True, slots=True)
class Merge:
    """Two contacts of a company that are one person, as they are; who asks holds their locks.

    `cause`: what showed it; None where it is the transaction's.
    """

    winner: Contact
    loser: Contact
    cause: Cause | None = None


async def merge(
    tx: Transaction, winner_id: UUID, loser_id: UUID, expected_version: ExpectedVersion
) -> contract.Contact:
    """Merge a contact into another one of the caller's company, and tell of it.

    Raises InvalidError `same_contact`; NotFoundError where either is missing or deleted, and
    ConflictError `contact_merged` where it was merged; ConflictError `not_one_person` for a person
    and a group; PreconditionFailedError where the winner is at another version.
    """
    if winner_id == loser_id:
        raise InvalidError.field("loser_id", "same_contact", "It is the contact itself.")
    pair = tx.tenant_id, winner_id, loser_id
    await repository.lock_lists(tx, [pair])
    refs = [(tx.tenant_id, winner_id), (tx.tenant_id, loser_id)]
    found = await contacts.find_for_update(tx, refs)
    winner, loser = (contacts.live(found.get(ref)) for ref in refs)
    PreconditionFailedError.check(expected_version, winner.version)
    shown = await contacts.identities_of(tx, refs)
    kinds = [{one.kind == "group" for one in shown[ref]} for ref in refs]
    if kinds[0] and kinds[1] and kinds[0] != kinds[1]:
        raise ConflictError("not_one_person", "One of them is a group.")
    (merged,) = await merge_all(tx, [Merge(winner, loser)])
    return merged


async def merge_all(tx: Transaction, merges: Sequence[Merge]) -> list[contract.Contact]:
    """Merge pairs of contacts, of whatever companies, and tell of each; the winners by now.

    Nobody is in two of the pairs, and their locks are held.
    """
    now = datetime.now(UTC)
    losers = [m.loser for m in merges]
    were = await contacts.to_resources(tx, losers)
    await contacts.update(tx, [_gone(m, now) for m in merges])
    winners = [_richer(m, now) for m in merges]
    await contacts.update(tx, winners)
    pairs = [(m.winner.tenant_id, m.winner.id, m.loser.id) for m in merges]
    gone = await repository.move(tx, pairs)
    opted_out = await opt_outs.take_over(tx, pairs)
    kept = await _release(tx, merges, winners, [i for one in gone.values() for i in one.identities])
    records = [
        _record(merge, winner, gone[merge.loser.tenant_id, merge.loser.id], now)
        for merge, winner in zip(merges, winners, strict=True)
    ]
    await repository.MERGES.insert(tx, records)
    shown = await contacts.to_resources(tx, winners)
    for pair, winner, loser in zip(merges, shown, were, strict=True):
        over = kept[pair.loser.tenant_id, pair.loser.id]
        tx.outbox.add(
            ContactMerged(winner=winner, loser=loser, identities=over),
            winner.id,
            tenant_id=pair.winner.tenant_id,
            cause=pair.cause,
        )
    causes = {(m.winner.tenant_id, m.winner.id): m.cause for m in merges}
    for row in opted_out:
        tx.outbox.add(
            ContactOptedOut(opt_out=opt_outs.to_resource(row)),
            row.contact_id,
            tenant_id=row.tenant_id,
            cause=causes[row.tenant_id, row.contact_id],
        )
    return shown


def _richer(merge: Merge, now: datetime) -> Contact:
    """The winner from now on."""
    fields = taken_over(merge.winner, merge.loser)
    counted = {"version": merge.winner.version + 1, "updated_at": now}
    return merge.winner.model_copy(update=fields | counted)


def _gone(merge: Merge, now: datetime) -> Contact:
    """The loser from now on: out of lists, searches and pipelines, and leading to the winner."""
    return merge.loser.model_copy(
        update={
            "merged_into": merge.winner.id,
            "deleted_at": merge.loser.deleted_at or now,
            "pipeline_id": None,
            "pipeline_status_id": None,
            "version": merge.loser.version + 1,
            "updated_at": now,
        }
    )


def _record(merge: Merge, winner: Contact, gone: Gone, now: datetime) -> ContactMerge:
    """What the merge is undone by (`merging.parting`)."""
    identities = [[one.kind, one.value] for one in gone.identities]
    stood = {name: getattr(merge.loser, name) for name in ("pipeline_id", "pipeline_status_id")}
    return ContactMerge(
        id=uuid4(),
        tenant_id=winner.tenant_id,
        winner_id=winner.id,
        loser_id=merge.loser.id,
        taken=written_down(merge.winner, winner),
        stood=to_jsonable_python(stood | {"open_stay": gone.open_stay}),
        moved=to_jsonable_python({**gone.rows, "contact_identities": identities}),
        merged_at=now,
    )


async def _release(
    tx: Transaction, merges: Sequence[Merge], winners: Sequence[Contact], moved: Sequence[Moved]
) -> dict[contacts.Ref, list[ContactIdentity]]:
    """Let go of numbers that were typed for losers and are not their winners' phones.

    Such a number would be the winner's without being shown: nobody could correct it
    (docs/architecture.md, "Identity"). Returns the identities that stay, by the loser.
    """
    by_loser = {
        (m.loser.tenant_id, m.loser.id): (m, w) for m, w in zip(merges, winners, strict=True)
    }
    kept: dict[contacts.Ref, list[ContactIdentity]] = defaultdict(list)
    released: dict[TenantIdentity, Owned] = {}
    for one in moved:
        ref = one.tenant_id, one.loser_id
        (merge, winner), shown = by_loser[ref], WhatsAppId(one.kind, one.value)
        known = ContactIdentity(kind=one.kind, value=one.value, proved=one.proved)
        if one.proved or shown.phone in (None, winner.phone):
            kept[ref].append(known)
            continue
        next_id = identity.released(one.loser_id, shown)
        released[one.tenant_id, shown.key] = Owned(next_id, one.value, proved=False)
        told = ContactIdentityReleased(
            contact_id=one.loser_id, identity=known, next_contact_id=next_id
        )
        tx.outbox.add(told, one.loser_id, tenant_id=one.tenant_id, cause=merge.cause)
    if released:
        await identities.save(tx, released)
    return kept
