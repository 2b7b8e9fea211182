"""The request about many contacts (`shared_events.contacts.bulk`).

What it needs of the database is looked up and locked once for all operations; they are applied one
after the other without I/O; and what became of the contacts is written once. So what it costs grows
little with their number.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from service_kit import forgotten
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ForbiddenError, InvalidError, ProblemError
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
from crm_contacts.contacts import identities, repository, service
from crm_contacts.contacts.phone import parse_phone
from crm_contacts.custom_fields import repository as definitions
from crm_contacts.imports.upsert import Person, write
from crm_contacts.pipelines import moves
from crm_contacts.pipelines import service as pipelines
from crm_contacts.pipelines.moves import Move

_NEEDS = {"create": "contacts.create", "delete": "contacts.delete"}
_Pair = tuple[UUID | None, UUID | None]


class BulkRequests:
    """Answers it; phones without country code are of `region`."""

    def __init__(self, region: str) -> None:
        self._region = region

    async def apply(self, tx: Transaction, request: BulkContacts, call: Call) -> BulkOutcome:
        """Apply the operations; what one of them raises is its own."""
        phones: dict[int, WhatsAppId] = {}
        refused: dict[int, ProblemError] = {}
        places: dict[_Pair, Place | ProblemError | None] = {}
        for number, operation in enumerate(request.operations):
            try:
                _check_may(operation, call)
                if isinstance(operation, CreateOne) and operation.phone is not None:
                    phones[number] = parse_phone(operation.phone, self._region)
                if isinstance(operation, CreateOne | UpdateOne):
                    await _find_place(tx, operation, places)
            except ProblemError as error:
                refused[number] = error
        batch = await self._batch(tx, request.operations, phones)
        done: dict[int, tuple[str, UUID]] = {}
        for number, operation in enumerate(request.operations):
            if number in refused:
                continue
            try:
                to = places.get(_pair(operation))
                if isinstance(to, ProblemError):
                    raise to
                done[number] = batch.apply(operation, phones.get(number), to)
            except ProblemError as error:
                refused[number] = error
        await _write(tx, batch, call)
        gone = batch.deleted
        left = [p.contact for p in batch.people.values() if p.contact.id not in gone]
        shown = {contact.id: contact for contact in await repository.to_resources(tx, left)}
        items = [
            BulkItem(outcome="refused", problem=refused[number].problem)
            if number in refused
            else BulkItem(outcome=done[number][0], contact=shown.get(done[number][1]))
            for number in range(len(request.operations))
        ]
        return BulkOutcome(data=items, errors=len(refused))

    async def _batch(
        self, tx: Transaction, operations: Sequence[Operation], phones: dict[int, WhatsAppId]
    ) -> Batch:
        """What is known of all they are about, locked: first phones, then contacts."""
        keys = {(tx.tenant_id, phone.key) for phone in phones.values()}
        recorded = await identities.find_locked(tx, keys)
        erased = await forgotten.find(tx, keys - recorded.keys())
        owners = {key: owned.contact_id for (_, key), owned in recorded.items()}
        named = {o.contact_id for o in operations if not isinstance(o, CreateOne)}
        refs = {(tx.tenant_id, one) for one in (*owners.values(), *named)}
        stored = await repository.find_for_update(tx, refs)
        return Batch(
            tenant_id=tx.tenant_id,
            definitions=await definitions.all_of(tx),
            read_phone=lambda typed: parse_phone(typed, self._region),
            owners=owners,
            next_ids={key: after.next_contact_id for (_, key), after in erased.items()},
            people={ref[1]: Person(contact, is_new=False) for ref, contact in stored.items()},
        )


def _check_may(operation: Operation, call: Call) -> None:
    needed = _NEEDS.get(operation.op, "contacts.update")
    if not permits(call.principal.permissions, needed):
        raise ForbiddenError("permission_missing", f"This needs {needed}.")


def _pair(operation: Operation) -> _Pair:
    if isinstance(operation, CreateOne | UpdateOne):
        return operation.pipeline_id, operation.pipeline_status_id
    return None, None


async def _find_place(
    tx: Transaction,
    operation: CreateOne | UpdateOne,
    places: dict[_Pair, Place | ProblemError | None],
) -> None:
    pair = _pair(operation)
    if pair not in places:
        try:
            places[pair] = await pipelines.place(tx, *pair)
        except InvalidError as error:
            places[pair] = error


async def _write(tx: Transaction, batch: Batch, call: Call) -> None:
    """Write down and tell what became of them: changes, then moves, then deletions."""
    await write(tx, batch.people.values())
    shown = await repository.to_resources(tx, [batch.people[id_].contact for id_ in batch.moved])
    by_place: dict[str, tuple[Place | None, list[Any]]] = {}
    for contact in shown:
        to = batch.moved[contact.id]
        by_place.setdefault(repr(to), (to, []))[1].append(contact)
    for to, contacts in by_place.values():
        await moves.record(tx, contacts, Move(to, call.user_id))
    await _delete(tx, batch, call)


async def _delete(tx: Transaction, batch: Batch, call: Call) -> None:
    going = [batch.people[one].contact for one in sorted(batch.deleted)]
    placed = [contact for contact in going if contact.pipeline_id is not None]
    if placed:
        await service.move_all(tx, placed, Move(None, call.user_id))
        found = await repository.find_for_update(tx, [(c.tenant_id, c.id) for c in going])
        going = list(found.values())
    now = datetime.now(UTC)
    await repository.update(
        tx,
        [
            contact.model_copy(
                update={"deleted_at": now, "updated_at": now, "version": contact.version + 1}
            )
            for contact in going
        ],
    )
    for contact in going:
        tx.outbox.add(ContactDeleted(contact_id=contact.id), contact.id)
