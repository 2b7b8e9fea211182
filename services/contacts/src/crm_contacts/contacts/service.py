"""What can be done to a contact, and what is told about it afterwards.

Every change counts `version` up by one and is told as one event; a change that changes nothing
does neither. The caller commits.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from service_kit import forgotten
from service_kit.database import Transaction
from service_kit.errors import ConflictError, ExpectedVersion, PreconditionFailedError
from service_kit.ids import uuid7
from shared_events import identity
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import (
    ContactCreated,
    ContactDeleted,
    ContactIdentityLinked,
    ContactIdentityReleased,
)
from shared_events.identity import Owned, WhatsAppId

from crm_contacts.contacts import identities, repository
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.telling import told_of
from crm_contacts.pipelines import moves
from crm_contacts.pipelines.moves import Move

SOURCE_REST = "api"
_WHERE_IT_IS = {"pipeline_id", "pipeline_status_id"}

Edit = Callable[[Contact], dict[str, Any]]
"""From a contact as it is to the columns it should have."""


async def get(tx: Transaction, contact_id: UUID) -> contract.Contact:
    """The contact; NotFoundError when missing, deleted or another tenant's, GoneError if erased.

    ConflictError `contact_merged`, here and below, for one that was merged into another one.
    """
    contact = await repository.get_live(tx, contact_id)
    return (await repository.to_resources(tx, [contact]))[0]


async def get_many(tx: Transaction, contact_ids: Sequence[UUID]) -> list[contract.Contact]:
    """Those of the contacts that `get` would give, in no order."""
    return await repository.to_resources(tx, await repository.find_live(tx, contact_ids))


async def create(
    tx: Transaction, fields: dict[str, Any], phone: WhatsAppId | None, move: Move
) -> contract.Contact:
    """Add a contact with these columns; `move` says who puts it into a pipeline.

    One with a phone, or another identity in its place, gets the id its first message would give
    it. A phone on record is a ConflictError `contact_exists`, unless its contact was deleted: that
    one is restored with the new fields, because its id, messages and identities are this person's.
    """
    owner_id = await _owner_id(tx, phone) if phone else None
    if owner_id is not None and (owner := (await _locked(tx, owner_id)).get(owner_id)):
        if owner.erased_at is not None:  # just now: the next look finds nobody
            raise ConflictError("contact_changed", "It was erased meanwhile; try again.")
        if owner.merged_into is not None:  # while we waited for its lock
            raise _exists(owner.merged_into)
        if owner.deleted_at is None:
            raise _exists(owner.id)
        back, changed = _edited(owner, {**fields, "deleted_at": None})
        return await _changed(tx, back, changed, move)
    now = datetime.now(UTC)
    contact = Contact(
        **fields,
        id=owner_id or (await _first_id(tx, phone) if phone else uuid7()),
        tenant_id=tx.tenant_id,
        source=SOURCE_REST,
        created_at=now,
        updated_at=now,
    )
    await repository.insert(tx, [contact])
    if phone:
        await _type(tx, phone, contact.id)
    created = (await repository.to_resources(tx, [contact]))[0]
    tx.outbox.add(ContactCreated(contact=created), contact.id)
    if contact.pipeline_id is not None:
        await moves.record(tx, [created], move)
    return created


async def change(
    tx: Transaction,
    contact_id: UUID,
    edit: Edit,
    phone: WhatsAppId | None,
    expected_version: ExpectedVersion,
    move: Move,
) -> contract.Contact:
    """Give a contact the columns that `edit` makes of it; `move` says who does it.

    `phone` is the identity of a phone among them: it becomes one more identity of this contact.
    Raises NotFoundError, GoneError, PreconditionFailedError `stale_version` and ConflictError
    `contact_exists` when another contact has the phone.
    """
    owner_id = await _owner_id(tx, phone) if phone else None
    found = await _locked(tx, contact_id, owner_id or contact_id)
    contact = _expected(found.get(contact_id), expected_version)
    if phone and owner_id != contact_id:
        await _take(tx, phone, contact_id, found.get(owner_id) if owner_id else None)
    before = contact.phone
    contact, changed = _edited(contact, edit(contact))
    if not changed:
        return (await repository.to_resources(tx, [contact]))[0]
    if "phone" in changed and before is not None:
        old = WhatsAppId("phone", before.removeprefix("+"))
        if phone is None or phone.key != old.key:
            await _release(tx, old, contact)
    return await _changed(tx, contact, changed, move)


async def upsert(
    tx: Transaction,
    shown: WhatsAppId,
    fields: dict[str, Any],
    expected_version: ExpectedVersion,
    move: Move,
) -> contract.Contact:
    """Give the contact that has this identity these columns; nobody's becomes a new contact's.

    Its phone stays. Raises PreconditionFailedError `stale_version`, also where a version is
    expected of a contact that is not there.
    """
    owner_id = await _owner_id(tx, shown)
    owner = (await _locked(tx, owner_id)).get(owner_id) if owner_id else None
    fields = {**fields, "phone": (owner and owner.phone) or shown.phone}
    if owner is not None and owner.deleted_at is None:
        return await change(tx, owner.id, lambda _: fields, None, expected_version, move)
    PreconditionFailedError.check(expected_version, 0)
    return await create(tx, fields, shown, move)


async def restore(
    tx: Transaction,
    contact_id: UUID,
    within: timedelta,
    expected_version: ExpectedVersion,
    move: Move,
) -> contract.Contact:
    """Take a deletion back that is not older than this; who was not deleted stays as it is.

    A phone that somebody else was given meanwhile stays theirs. Raises NotFoundError, GoneError,
    PreconditionFailedError, and ConflictError `restore_too_late`.
    """
    contact = repository.kept((await _locked(tx, contact_id)).get(contact_id))
    PreconditionFailedError.check(expected_version, contact.version)
    if contact.deleted_at is None:
        return (await repository.to_resources(tx, [contact]))[0]
    if contact.deleted_at < datetime.now(UTC) - within:
        raise ConflictError(
            "restore_too_late", f"It was deleted over {within.days} days ago.", days=within.days
        )
    back, changed = _edited(contact, {"deleted_at": None})
    return await _changed(tx, back, changed, move)


async def move_all(tx: Transaction, contacts: Sequence[Contact], move: Move) -> None:
    """Send contacts, whose locks the caller holds, to another place, or out of their pipeline."""
    to = move.to
    where = {
        "pipeline_id": to and to.pipeline_id,
        "pipeline_status_id": to and to.status_id,
    }
    edits = [(contact.model_copy(update=where), _WHERE_IT_IS) for contact in contacts]
    await _changed_all(tx, edits, move)


async def delete(
    tx: Transaction, contact_id: UUID, expected_version: ExpectedVersion, move: Move
) -> None:
    """Remove the contact softly; its identities stay its own, so a new message brings it back.

    It leaves its pipeline: nobody who is not shown keeps a status from being deleted.
    """
    found = await _locked(tx, contact_id)
    contact = _expected(found.get(contact_id), expected_version)
    if contact.pipeline_id is not None:
        await move_all(tx, [contact], move)
        contact = (await _locked(tx, contact_id))[contact_id]
    now = datetime.now(UTC)
    gone = {"deleted_at": now, "updated_at": now, "version": contact.version + 1}
    await repository.update(tx, [contact.model_copy(update=gone)])
    tx.outbox.add(ContactDeleted(contact_id=contact_id), contact_id)


async def _locked(tx: Transaction, *ids: UUID) -> dict[UUID, Contact]:
    """Those of the ids that are contacts of the caller's, locked."""
    found = await repository.find_for_update(tx, {(tx.tenant_id, one) for one in ids})
    return {contact.id: contact for contact in found.values()}


def _expected(contact: Contact | None, version: ExpectedVersion) -> Contact:
    """The contact, if it is there and at the version the caller saw."""
    contact = repository.live(contact)
    PreconditionFailedError.check(version, contact.version)
    return contact


async def _owner_id(tx: Transaction, phone: WhatsAppId) -> UUID | None:
    """Whose phone this is; when nobody's, it is the caller's to record until the commit."""
    found = await identities.find_locked(tx, [(tx.tenant_id, phone.key)])
    return next((owned.contact_id for owned in found.values()), None)


async def _first_id(tx: Transaction, phone: WhatsAppId) -> UUID:
    """The id of the contact whom a phone of nobody's makes: that which a message would give it."""
    key = tx.tenant_id, phone.key
    after = (await forgotten.find(tx, [key])).get(key)
    return after.next_contact_id if after else identity.contact_id(tx.tenant_id, phone)


async def _take(
    tx: Transaction, phone: WhatsAppId, contact_id: UUID, owner: Contact | None
) -> None:
    """Make the phone this contact's; a deleted contact that had it gives it up."""
    if owner is not None:
        if owner.deleted_at is None or owner.merged_into is not None:
            raise _exists(owner.merged_into or owner.id)
        if owner.phone == phone.phone:
            await repository.update(tx, [owner.model_copy(update={"phone": None})])
    await _type(tx, phone, contact_id)
    linked = contract.ContactIdentity(kind=phone.kind, value=phone.value, proved=False)
    tx.outbox.add(ContactIdentityLinked(contact_id=contact_id, identity=linked), contact_id)


async def _type(tx: Transaction, phone: WhatsAppId, contact_id: UUID) -> None:
    """Record a phone that nobody but who typed it says is this contact's."""
    typed = Owned(contact_id, phone.value, proved=False)
    await identities.save(tx, {(tx.tenant_id, phone.key): typed})


async def _release(tx: Transaction, phone: WhatsAppId, contact: Contact) -> None:
    """A phone was taken off the contact: unless a message proved it, its owner is to be found."""
    key = tx.tenant_id, phone.key
    owned = (await identities.find(tx, [key])).get(key)
    if owned is None or owned.proved or owned.contact_id != contact.id:
        return
    after = (await forgotten.find(tx, [key])).get(key)
    next_id = after.next_contact_id if after else identity.released(contact.id, phone)
    await identities.save(tx, {key: Owned(next_id, owned.value, proved=False)})
    gone = contract.ContactIdentity(kind=phone.kind, value=owned.value, proved=False)
    tx.outbox.add(
        ContactIdentityReleased(contact_id=contact.id, identity=gone, next_contact_id=next_id),
        contact.id,
    )


def _edited(contact: Contact, fields: dict[str, Any]) -> tuple[Contact, set[str]]:
    """The contact with these columns, and the names of those whose values differ."""
    changed = {name for name, value in fields.items() if getattr(contact, name) != value}
    return contact.model_copy(update=fields), changed


async def _changed(
    tx: Transaction, contact: Contact, changed: set[str], move: Move
) -> contract.Contact:
    (shown,) = await _changed_all(tx, [(contact, changed)], move)
    return shown


async def _changed_all(
    tx: Transaction, edits: Sequence[tuple[Contact, set[str]]], move: Move
) -> list[contract.Contact]:
    now = datetime.now(UTC)
    contacts = [
        contact.model_copy(update={"version": contact.version + 1, "updated_at": now})
        for contact, _ in edits
    ]
    await repository.update(tx, contacts)
    resources = await repository.to_resources(tx, contacts)
    for shown, (_, changed) in zip(resources, edits, strict=True):
        for event in told_of(shown, changed):
            tx.outbox.add(event, shown.id)
    moved = [
        shown
        for shown, (_, changed) in zip(resources, edits, strict=True)
        if changed & _WHERE_IT_IS
    ]
    if moved:
        await moves.record(tx, moved, move)
    return resources


def _exists(existing_id: UUID) -> ConflictError:
    return ConflictError(
        "contact_exists", "Another contact has this phone.", existing_id=str(existing_id)
    )
