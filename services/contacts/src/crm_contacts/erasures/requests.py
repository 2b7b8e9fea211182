"""The requests about erasures and legal holds (`shared_events.contacts.erasure`)."""

from datetime import UTC, datetime

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from shared_events.contacts import erasure as contract
from shared_events.contacts.erasure import (
    ApproveErasure,
    GetErasure,
    GetLegalHold,
    LiftLegalHold,
    PlaceLegalHold,
    RequestErasure,
)
from shared_events.requests import Nothing

from crm_contacts.contacts import repository as contacts
from crm_contacts.erasures import repository, service
from crm_contacts.erasures.models import LegalHold


async def request(tx: Transaction, request: RequestErasure, call: Call) -> contract.Erasure:
    """Ask for an erasure; raises as `service.request` does."""
    return repository.to_resource(await service.request(tx, request.contact_id, call.user_id))


async def approve(tx: Transaction, request: ApproveErasure, call: Call) -> contract.Erasure:
    """Have it done; raises as `service.approve` does."""
    return repository.to_resource(await service.approve(tx, request.erasure_id, call))


async def get(tx: Transaction, request: GetErasure, call: Call) -> contract.Erasure:
    """How far it is, and what was erased where; raises NotFoundError."""
    del call
    return repository.to_resource(await repository.get(tx, request.erasure_id))


async def place_hold(tx: Transaction, request: PlaceLegalHold, call: Call) -> contract.LegalHold:
    """Keep a contact from being erased; raises as `contacts.kept` does."""
    ref = tx.tenant_id, request.contact_id
    # Its lock is what an approval takes: of the two, one sees the other.
    contacts.kept((await contacts.find_for_update(tx, [ref])).get(ref))
    hold = LegalHold(
        tenant_id=tx.tenant_id,
        contact_id=request.contact_id,
        reason=request.reason,
        placed_by=call.user_id,
        placed_at=datetime.now(UTC),
    )
    await repository.HOLDS.upsert(tx, [hold])
    return _to_resource(hold)


async def get_hold(tx: Transaction, request: GetLegalHold, call: Call) -> contract.LegalHold:
    """Why a contact must not be erased; raises NotFoundError where nothing says so."""
    del call
    hold = await repository.hold(tx, request.contact_id)
    if hold is None:
        raise NotFoundError("legal_hold")
    return _to_resource(hold)


async def lift_hold(tx: Transaction, request: LiftLegalHold, call: Call) -> Nothing:
    """Let the contact be erased again; raises NotFoundError."""
    del call
    if not await repository.lift(tx, request.contact_id):
        raise NotFoundError("legal_hold")
    return Nothing()


def _to_resource(hold: LegalHold) -> contract.LegalHold:
    return contract.LegalHold.model_validate(hold.model_dump(exclude={"tenant_id"}))
