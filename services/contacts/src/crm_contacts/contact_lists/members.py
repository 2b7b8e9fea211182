"""The requests about contacts on lists (`shared_events.contacts.contact_list`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from pydantic import AwareDatetime
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from service_kit.paging import Order
from service_kit.rows import AnySelect, Shape
from shared_events.contacts import contact as contract
from shared_events.contacts.contact_filter import Filter
from shared_events.contacts.contact_list import (
    MAX_COUNTED,
    ContactCount,
    ContactPreview,
    CountListed,
    ListListed,
    PreviewContacts,
    Put,
    PutOnList,
    TakeOffList,
)
from shared_events.requests import FieldError, Nothing, Page
from sqlalchemy import func, literal, select

from crm_contacts.contact_lists import filters, repository
from crm_contacts.contact_lists.models import ContactList, ContactListMember
from crm_contacts.contact_lists.requests import found, locked
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.repository import CONTACTS, to_resources

EVALUATION_MS = 5000
"""How long a filter may look for contacts."""

_C = CONTACTS.table.c
_NEWEST_FIRST = Order(
    "filtered",
    [(_C.created_at, AwareDatetime), (_C.id, UUID)],
    tenant=_C.tenant_id,
    descending=True,
)

_IDS_AND_KEYS = {"id", "contact_id", "created_at"}


@dataclass(frozen=True, slots=True)
class _OnList:
    id: UUID


_ON_LIST = Shape(_OnList)


async def preview(tx: Transaction, request: PreviewContacts, call: Call) -> ContactPreview:
    """Whom a filter finds; raises InvalidError `filter_too_slow`."""
    del call
    statement = _found_by(tx, request.filter)
    newest = statement.order_by(_C.created_at.desc(), _C.id.desc()).limit(request.limit)
    async with _bounded(tx):
        counted = await _count(tx, statement)
        rows = await CONTACTS.find(tx, newest)
    shown = await to_resources(tx, rows)
    return ContactPreview(count=counted.count, has_more=counted.has_more, data=shown)


async def count(tx: Transaction, request: CountListed, call: Call) -> ContactCount:
    """How many contacts are on a list; raises NotFoundError and InvalidError `filter_too_slow`."""
    del call
    statement, _ = _contacts_of(tx, await found(tx, request.list_id))
    async with _bounded(tx):
        return await _count(tx, statement)


async def list_contacts(tx: Transaction, request: ListListed, call: Call) -> Page[contract.Contact]:
    """Who is on a list; raises NotFoundError, MalformedError and InvalidError `filter_too_slow`."""
    del call
    statement, order = _contacts_of(tx, await found(tx, request.list_id))
    async with _bounded(tx):
        rows, next_cursor = await order.found(tx, statement, request, CONTACTS)
    return Page(
        data=await to_resources(tx, rows),
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def read_ids(tx: Transaction, request: ListListed) -> tuple[list[UUID], str | None]:
    """Their ids alone, and where the list goes on; raises as `list_contacts`."""
    statement, order = _contacts_of(tx, await found(tx, request.list_id))
    needed = [each for each in statement.selected_columns if each.name in _IDS_AND_KEYS]
    async with _bounded(tx):
        rows, next_cursor = await order.found(
            tx, statement.with_only_columns(*needed), request, _ON_LIST
        )
    return [row.id for row in rows], next_cursor


async def put(tx: Transaction, request: PutOnList, call: Call) -> Put:
    """Put contacts on a static list, all or none.

    Raises NotFoundError, PreconditionFailedError, ConflictError `dynamic_list`, and InvalidError
    that names the ids that are no contacts of the company's.
    """
    row = _static(await locked(tx, request.list_id, call))
    live = await repository.live(tx, request.contact_ids)
    unknown = [
        FieldError(
            pointer=f"/contact_ids/{n}", code="unknown_contact", message="There is no such contact."
        )
        for n, contact_id in enumerate(request.contact_ids)
        if contact_id not in live
    ]
    if unknown:
        raise InvalidError("validation_failed", "Some are no contacts.", errors=unknown)
    now = datetime.now(UTC)
    members = [
        ContactListMember(
            tenant_id=tx.tenant_id,
            list_id=row.id,
            contact_id=contact_id,
            added_by=call.user_id,
            added_at=now,
        )
        for contact_id in sorted(live)  # their rows are locked in the order of their ids
    ]
    return Put(added=await repository.put(tx, members))


async def take(tx: Transaction, request: TakeOffList, call: Call) -> Nothing:
    """Take contacts off a static list.

    Raises NotFoundError, PreconditionFailedError and ConflictError `dynamic_list`.
    """
    row = _static(await locked(tx, request.list_id, call))
    await repository.take(tx, row.id, request.contact_ids)
    return Nothing()


def _static(row: ContactList) -> ContactList:
    if row.kind != "static":
        raise ConflictError("dynamic_list", "The filter of this list says who is on it.")
    return row


def _contacts_of(tx: Transaction, row: ContactList) -> tuple[AnySelect, Order]:
    if row.filter is None:
        return repository.members_of(tx, row.id), repository.BY_CONTACT
    return _found_by(tx, Filter.model_validate(row.filter)), _NEWEST_FIRST


def _found_by(tx: Transaction, filter_: Filter) -> AnySelect:
    wanted = filters.condition(filter_, datetime.now(UTC))
    return select(Contact).where(_C.tenant_id == tx.tenant_id, _C.deleted_at.is_(None), wanted)


async def _count(tx: Transaction, statement: AnySelect) -> ContactCount:
    """Count as far as it goes: nobody needs to know by how many a million is more."""
    some = statement.with_only_columns(literal(1)).limit(MAX_COUNTED + 1).subquery()
    counted: int = await tx.fetchval(select(func.count()).select_from(some))
    return ContactCount(count=min(counted, MAX_COUNTED), has_more=counted > MAX_COUNTED)


@asynccontextmanager
async def _bounded(tx: Transaction) -> AsyncIterator[None]:
    """Let statements take only so long, each planned for the values it has."""
    await tx.execute(
        "SET LOCAL plan_cache_mode = force_custom_plan;"
        f" SET LOCAL statement_timeout = {EVALUATION_MS:d}"
    )
    try:
        yield
    except asyncpg.QueryCanceledError:
        raise InvalidError(
            "filter_too_slow", "The filter takes too long; begin with what few contacts have."
        ) from None
