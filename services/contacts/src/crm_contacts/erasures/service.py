"""From the wish to be forgotten to its approval (docs/adr/0022).

Contacts erases its own data in the transaction of the approval; `reports` has the others follow.
"""

from datetime import UTC, datetime
from typing import cast
from uuid import UUID

from asyncpg import SerializationError
from service_kit import forgotten
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, ForbiddenError, PreconditionFailedError
from service_kit.ids import uuid7
from shared_events.contacts.erasure import ContactErased, ForgottenIdentity
from shared_events.identity import Forgotten, IdentityKind, WhatsAppId, contact_id, released
from shared_events.services import CONTACTS

from crm_contacts.contacts import repository as contacts
from crm_contacts.erasures import repository, stages
from crm_contacts.erasures.models import Erasure
from crm_contacts.merging import repository as merging


async def request(tx: Transaction, contact_id: UUID, by: UUID | None) -> Erasure:
    """Note that a contact, deleted or not, is to be erased.

    Raises NotFoundError, GoneError, and ConflictError `contact_merged`, `legal_hold` and
    `erasure_exists`.
    """
    await _erasable(tx, contact_id)
    before = await repository.of_contact(tx, contact_id)
    if before is not None:
        raise ConflictError(
            "erasure_exists", "Its erasure was asked for already.", existing_id=str(before.id)
        )
    row = Erasure(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        contact_id=contact_id,
        state="requested",
        requested_by=by,
        requested_at=datetime.now(UTC),
    )
    await repository.ERASURES.insert(tx, [row])
    return row


async def approve(tx: Transaction, erasure_id: UUID, call: Call) -> Erasure:
    """Erase the contact here, and have it erased everywhere; what is approved already stays so.

    Raises NotFoundError, PreconditionFailedError, ForbiddenError `person_required` for an API key,
    and ConflictError: as `request`, or `second_admin_required` for who asked for it, unless the
    company has no other admin.
    """
    if call.user_id is None:
        raise ForbiddenError("person_required", "Log in for this; an API key is not enough.")
    asked = await repository.get(tx, erasure_id)
    if asked.state != "requested":
        PreconditionFailedError.check(call.expected_version, asked.version)
        return asked
    everybody = await _erasable(tx, asked.contact_id)
    erasure = await repository.get(tx, erasure_id, lock=True)
    PreconditionFailedError.check(call.expected_version, erasure.version)
    if erasure.requested_by == call.user_id and not call.principal.sole_admin:
        raise ConflictError("second_admin_required", "Another admin has to approve it.")
    return await _erase(tx, erasure, everybody, call.user_id)


async def _erasable(tx: Transaction, asked: UUID) -> list[UUID]:
    """The contact, deleted or not, and then all that were merged into it, locked.

    Raises as `request` does, and SerializationError, which all of it is repeated for, where
    somebody was merged into it meanwhile.
    """
    everybody = await merging.everybody(tx, asked)
    refs = [(tx.tenant_id, one) for one in everybody]
    contacts.kept((await contacts.find_for_update(tx, refs)).get(refs[0]))
    if set(await merging.everybody(tx, asked)) != set(everybody):
        raise SerializationError("somebody was merged into it meanwhile")
    if await repository.hold(tx, *everybody) is not None:
        raise ConflictError("legal_hold", "A legal hold keeps this contact from being erased.")
    return [asked, *(one for one in everybody if one != asked)]


async def _erase(tx: Transaction, erasure: Erasure, everybody: list[UUID], by: UUID) -> Erasure:
    now = datetime.now(UTC)
    known = [
        WhatsAppId(cast(IdentityKind, i.kind), i.value)
        for one in everybody
        for i in await repository.identities_of(tx, one)
    ]
    after = {one: Forgotten(released(erasure.contact_id, one), now) for one in known}
    await forgotten.add(tx, [((tx.tenant_id, one.key), then) for one, then in after.items()])
    # Others may know a number's owner by an id of which nobody has been made here.
    ghosts = await repository.strangers(tx, {contact_id(tx.tenant_id, one) for one in known})
    erased = await repository.empty(tx, everybody, now)
    identities = [
        ForgottenIdentity(kind=one.kind, value=one.value, next_contact_id=then.next_contact_id)
        for one, then in after.items()
    ]
    running = erasure.model_copy(
        update={
            "state": "running",
            "approved_by": by,
            "approved_at": now,
            "traces": {
                "identities": [i.model_dump(mode="json") for i in identities],
                "merged": [str(one) for one in (*everybody[1:], *ghosts)],
            },
            "services": {CONTACTS.name: {"erased": erased}},
            "version": erasure.version + 1,
        }
    )
    tx.outbox.add(
        ContactErased(contact_id=erasure.contact_id, erasure_id=erasure.id), erasure.contact_id
    )
    running = stages.begin(tx, running)
    await repository.ERASURES.update(tx, [running])
    return running
