"""Undoing a merge, for 30 days: the loser is a contact of its own again.

What the winner took over of opt-outs it keeps: nobody is written to because of an undoing.

Locks are taken in the order of all of contacts: identities nobody has on record, contacts by their
ids, identities.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ExpectedVersion,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactIdentity
from shared_events.contacts.merge import ContactUnmerged
from shared_events.identity import IdentityKind, Owned, TenantIdentity, WhatsAppId

from crm_contacts.contacts import identities
from crm_contacts.contacts import repository as contacts
from crm_contacts.contacts.models import Contact
from crm_contacts.merging import handing_back
from crm_contacts.merging.fields import given_back
from crm_contacts.merging.handing_back import UNDO_DAYS
from crm_contacts.merging.models import ContactMerge


async def unmerge(
    tx: Transaction, winner_id: UUID, loser_id: UUID, expected_version: ExpectedVersion
) -> contract.Contact:
    """Part a contact from one that was merged into it, and tell of it; the loser, as it is now.

    Raises NotFoundError, GoneError and ConflictError `contact_merged` as for any contact;
    ConflictError `not_merged` where the loser is not in this one, `not_undoable` where the merge is
    too old; PreconditionFailedError where the winner is at another version.
    """
    refs = [(tx.tenant_id, winner_id), (tx.tenant_id, loser_id)]
    merge = await handing_back.record(tx, winner_id, loser_id)
    was = await contacts.CONTACTS.first(
        tx, "SELECT * FROM contacts WHERE tenant_id = $1 AND id = $2", *refs[1]
    )
    shown = _shown(was.phone) if was else None
    keys: list[TenantIdentity] = [(tx.tenant_id, shown.key)] if shown else []
    known = await identities.find_locked(tx, keys)
    found = await contacts.find_for_update(tx, refs)
    winner, loser = contacts.live(found.get(refs[0])), found.get(refs[1])
    PreconditionFailedError.check(expected_version, winner.version)
    if loser is None:
        raise NotFoundError("contact")
    if loser.merged_into != winner_id:
        raise ConflictError("not_merged", "That contact is not merged into this one.")
    if merge is None:
        raise ConflictError(
            "not_undoable", f"It was merged over {UNDO_DAYS} days ago.", days=UNDO_DAYS
        )
    return await _part(tx, merge, winner, loser, known)


async def _part(
    tx: Transaction,
    merge: ContactMerge,
    winner: Contact,
    loser: Contact,
    known: Mapping[TenantIdentity, Owned],
) -> contract.Contact:
    now = datetime.now(UTC)
    back = given_back(winner, merge.taken)
    if "pipeline_id" in back and await handing_back.has_place_of_its_own(tx, merge):
        del back["pipeline_id"], back["pipeline_status_id"]
    winner = _changed(winner, back, now)
    returning = await _returning(tx, merge, winner)
    phone = await _phone(tx, winner, loser, known, returning)
    place = await _place(tx, merge)
    loser = _changed(
        loser,
        {
            "merged_into": None,
            "deleted_at": None,
            "phone": phone,
            "pipeline_id": place and place[0],
            "pipeline_status_id": place and place[1],
        },
        now,
    )
    await contacts.update(tx, [winner])  # first, for a number is one contact's only
    await contacts.update(tx, [loser])
    await handing_back.rows(tx, merge, reopen=place is not None)
    if returning:
        await identities.save(tx, returning)
    await handing_back.forget(tx, merge)
    both = await contacts.to_resources(tx, [winner, loser])
    told = ContactUnmerged(
        winner=both[0],
        loser=both[1],
        identities=[
            ContactIdentity(kind=kind, value=one.value, proved=one.proved)
            for (_, (kind, _)), one in returning.items()
        ],
        merged_at=merge.merged_at,
    )
    tx.outbox.add(told, winner.id)
    return both[1]


async def _returning(
    tx: Transaction, merge: ContactMerge, winner: Contact
) -> dict[TenantIdentity, Owned]:
    """The identities that went over, are still the winner's and not its phone: the loser's."""
    moved = [
        WhatsAppId(cast(IdentityKind, kind), value)
        for kind, value in merge.moved["contact_identities"]
    ]
    keys = [(merge.tenant_id, one.key) for one in moved if one.phone != (winner.phone or "")]
    on_record = await identities.find(tx, keys)
    return {
        key: Owned(merge.loser_id, one.value, one.proved)
        for key, one in on_record.items()
        if one.contact_id == winner.id
    }


async def _phone(
    tx: Transaction,
    winner: Contact,
    loser: Contact,
    known: Mapping[TenantIdentity, Owned],
    returning: dict[TenantIdentity, Owned],
) -> str | None:
    """The loser's phone, unless it is somebody else's by now; one that was let go of comes back."""
    shown = _shown(loser.phone)
    if shown is None or loser.phone == winner.phone:
        return None
    key = tx.tenant_id, shown.key
    owner = known.get(key)
    if key in returning or (owner and owner.contact_id == loser.id):
        return loser.phone
    if owner is not None:
        other = (tx.tenant_id, owner.contact_id)
        if await contacts.find_for_update(tx, [other]):
            return None
    returning[key] = Owned(loser.id, shown.value, proved=owner is not None and owner.proved)
    return loser.phone


async def _place(tx: Transaction, merge: ContactMerge) -> tuple[UUID, UUID] | None:
    """Where the loser was in a pipeline, if that is still there."""
    pipeline_id, status_id = merge.stood["pipeline_id"], merge.stood["pipeline_status_id"]
    if pipeline_id is None or status_id is None:
        return None
    place = UUID(pipeline_id), UUID(status_id)
    return place if await handing_back.place_exists(tx, *place) else None


def _changed(contact: Contact, fields: Mapping[str, Any], now: datetime) -> Contact:
    counted = {"version": contact.version + 1, "updated_at": now}
    return contact.model_copy(update={**fields, **counted})


def _shown(phone: str | None) -> WhatsAppId | None:
    return WhatsAppId("phone", phone.lstrip("+")) if phone else None
