"""The request about many contacts (`shared_events.contacts.bulk`).

What it needs of the database is looked up and locked once for all operations; they are applied one
after the other without I/O; and what became of the contacts is written once. So what it costs grows
little with their number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ForbiddenError, InvalidError, ProblemError
from shared_events.contacts import contact as contract
from shared_events.contacts.bulk import (
    BulkContacts,
    BulkItem,
    BulkOutcome,
    CreateOne,
    Operation,
    UpdateOne,
)
from shared_events.contacts.contact import ContactDeleted
from shared_events.contacts.pipeline import Place
from shared_events.identity import WhatsAppId
from shared_events.permissions import permits

from crm_contacts.bulk.applying import Batch
from crm_contacts.contacts import many, repository, service
from crm_contacts.contacts.phone import parse_phone
from crm_contacts.custom_fields import repository as definitions
from crm_contacts.pipelines import moves
from crm_contacts.pipelines import service as pipelines
from crm_contacts.pipelines.moves import Move

_NEEDS = {"create": "contacts.create", "delete": "contacts.delete"}
_Places = dict[tuple[UUID | None, UUID | None], Place | InvalidError | None]


@dataclass(frozen=True, slots=True)
class _Asked:
    """An operation, with what it names; or why it is refused."""

    operation: Operation
    phone: WhatsAppId | None = None
    to: Place | None = None
    refused: ProblemError | None = None


class BulkRequests:
    """Answers it; phones without country code are of `region`."""

    def __init__(self, region: str) -> None:
        self._region = region

    async def apply(self, tx: Transaction, request: BulkContacts, call: Call) -> BulkOutcome:
        """Apply the operations; what one of them raises is its own."""
        places: _Places = {}
        asked = [await self._asked(tx, one, call, places) for one in request.operations]
        batch = await self._batch(tx, asked)
        done = [_applied(batch, one) for one in asked]
        await _write(tx, batch, call)
        left = [p.contact for p in batch.people.by_id.values() if p.contact.id not in batch.deleted]
        shown = {contact.id: contact for contact in await repository.to_resources(tx, left)}
        items = [
            BulkItem(outcome="refused", problem=one.problem)
            if isinstance(one, ProblemError)
            else BulkItem(outcome=one[0], contact=shown.get(one[1]))
            for one in done
        ]
        return BulkOutcome(data=items, errors=sum(item.problem is not None for item in items))

    async def _asked(
        self, tx: Transaction, operation: Operation, call: Call, places: _Places
    ) -> _Asked:
        """What an operation names is looked up before contacts are locked."""
        phone = to = None
        try:
            _check_may(operation, call)
            if isinstance(operation, CreateOne) and operation.phone is not None:
                phone = parse_phone(operation.phone, self._region)
            if isinstance(operation, CreateOne | UpdateOne):
                to = await _place(tx, operation, places)
        except ProblemError as error:
            return _Asked(operation, refused=error)
        return _Asked(operation, phone, to)

    async def _batch(self, tx: Transaction, asked: Sequence[_Asked]) -> Batch:
        """What is known of all they are about, locked."""
        operations = (one.operation for one in asked)
        named = {o.contact_id for o in operations if not isinstance(o, CreateOne)}
        return Batch(
            tenant_id=tx.tenant_id,
            definitions=await definitions.all_of(tx),
            read_phone=lambda typed: parse_phone(typed, self._region),
            people=await many.locked(tx, [one.phone for one in asked if one.phone], named),
        )


def _check_may(operation: Operation, call: Call) -> None:
    needed = _NEEDS.get(operation.op, "contacts.update")
    if not permits(call.principal.permissions, needed):
        raise ForbiddenError(
            "permission_missing", f"This needs the permission {needed}.", permission=needed
        )


async def _place(
    tx: Transaction, operation: CreateOne | UpdateOne, places: _Places
) -> Place | None:
    """Where it sends the contact, each place being looked up once; raises InvalidError."""
    pair = operation.pipeline_id, operation.pipeline_status_id
    if pair not in places:
        try:
            places[pair] = await pipelines.place(tx, *pair)
        except InvalidError as error:
            places[pair] = error
    found = places[pair]
    if isinstance(found, InvalidError):
        raise found
    return found


def _applied(batch: Batch, one: _Asked) -> tuple[str, UUID] | ProblemError:
    if one.refused is not None:
        return one.refused
    try:
        return batch.apply(one.operation, one.phone, one.to)
    except ProblemError as error:
        return error


async def _write(tx: Transaction, batch: Batch, call: Call) -> None:
    """Write down and tell what became of them: changes, then moves, then deletions."""
    await many.write(tx, batch.people)
    moved = [batch.people.by_id[contact_id].contact for contact_id in batch.moved]
    by_place: dict[Place | None, list[contract.Contact]] = {}
    for contact in await repository.to_resources(tx, moved):
        by_place.setdefault(batch.moved[contact.id], []).append(contact)
    for to, contacts in by_place.items():
        await moves.record(tx, contacts, Move(to, call.user_id))
    if batch.deleted:
        await _delete(tx, batch, call)


async def _delete(tx: Transaction, batch: Batch, call: Call) -> None:
    """Whoever is to be deleted leaves its pipeline first."""
    going = [batch.people.by_id[contact_id].contact for contact_id in sorted(batch.deleted)]
    if placed := [contact for contact in going if contact.pipeline_id is not None]:
        await service.move_all(tx, placed, Move(None, call.user_id))
        found = await repository.find_for_update(tx, [(c.tenant_id, c.id) for c in going])
        going = list(found.values())
    now = datetime.now(UTC)
    gone = [
        contact.model_copy(
            update={"deleted_at": now, "updated_at": now, "version": contact.version + 1}
        )
        for contact in going
    ]
    await repository.update(tx, gone)
    for contact in gone:
        tx.outbox.add(ContactDeleted(contact_id=contact.id), contact.id)
