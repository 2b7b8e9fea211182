"""The requests about contacts on lists (`shared_events.contacts.contact_list`)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import ConflictError, InvalidError
from service_kit.paging import Order, Search
from service_kit.rows import AnySelect, Shape
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ListContacts
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

from crm_contacts.contact_lists import filters, narrowing, repository
from crm_contacts.contact_lists.models import ContactList, ContactListMember
from crm_contacts.contact_lists.requests import found, locked
from crm_contacts.contacts.listing import LOOKS, NEWEST_FIRST
from crm_contacts.contacts.repository import CONTACTS, LISTED, to_resources

EVALUATION_MS = 5000
"""How long a filter may look for contacts."""

_C = LISTED.c

_SAMPLE, _COMMON = 50, 0.05
"""Of so many times `LOOKS` of the newest, what a list is common by."""

_IDS_AND_KEYS = {"id", "contact_id", "created_at"}


@dataclass(frozen=True, slots=True)
class _OnList:
    id: UUID


_ON_LIST = Shape(_OnList)


@dataclass(frozen=True, slots=True)
class _Listed:
    """Who is on a list, in its order; with a search, that says who among all contacts."""

    statement: AnySelect
    order: Order
    search: Search | None = None


async def preview(tx: Transaction, request: PreviewContacts, call: Call) -> ContactPreview:
    """Whom a filter finds; raises InvalidError `filter_too_slow`."""
    del call
    listed = _found_by(request.filter)
    first = ListContacts(limit=request.limit)
    async with _bounded(tx):
        counted = await _count(tx, listed)
        rows, _ = await listed.order.found(tx, listed.statement, first, CONTACTS, listed.search)
    shown = await to_resources(tx, rows)
    return ContactPreview(count=counted.count, has_more=counted.has_more, data=shown)


async def count(tx: Transaction, request: CountListed, call: Call) -> ContactCount:
    """How many contacts are on a list; raises NotFoundError and InvalidError `filter_too_slow`."""
    del call
    listed = _contacts_of(tx, await found(tx, request.list_id))
    async with _bounded(tx):
        return await _count(tx, listed)


async def list_contacts(tx: Transaction, request: ListListed, call: Call) -> Page[contract.Contact]:
    """Who is on a list; raises NotFoundError, MalformedError and InvalidError `filter_too_slow`."""
    del call
    return await page_of(tx, await found(tx, request.list_id), request)


async def page_of(tx: Transaction, row: ContactList, request: ListListed) -> Page[contract.Contact]:
    """Who is on this list; raises as `list_contacts`."""
    listed = _contacts_of(tx, row)
    async with _bounded(tx):
        rows, next_cursor = await listed.order.found(
            tx, listed.statement, request, CONTACTS, listed.search
        )
    return Page(
        data=await to_resources(tx, rows),
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def read_ids(tx: Transaction, request: ListListed) -> tuple[list[UUID], str | None]:
    """Their ids alone, and where the list goes on; raises as `list_contacts`."""
    listed = _contacts_of(tx, await found(tx, request.list_id))
    statement = listed.statement
    if listed.search is None:  # else it is judged by all that a contact has
        needed = [each for each in statement.selected_columns if each.name in _IDS_AND_KEYS]
        statement = statement.with_only_columns(*needed)
    async with _bounded(tx):
        rows, next_cursor = await listed.order.found(
            tx, statement, request, _ON_LIST, listed.search
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


def _contacts_of(tx: Transaction, row: ContactList) -> _Listed:
    if row.filter is None:
        return _Listed(repository.members_of(tx, row.id), repository.BY_CONTACT)
    return _found_by(Filter.model_validate(row.filter))


def _found_by(filter_: Filter) -> _Listed:
    wanted = filters.condition(filter_, datetime.now(UTC))
    everybody = select(LISTED).where(_C.deleted_at.is_(None))
    has = narrowing.having(filter_)
    if has is None:
        return _Listed(everybody.where(wanted), NEWEST_FIRST)
    search = Search(LISTED, matching=[], index=has.contacts, looks=LOOKS, exactly=[wanted])
    return _Listed(everybody, NEWEST_FIRST, search)


async def _count(tx: Transaction, listed: _Listed) -> ContactCount:
    """Count as far as it goes: nobody needs to know by how many a million is more.

    What is common is soon counted along the list, and the index has the rest.
    """
    statement = listed.statement.where(listed.order.tenant == tx.tenant_id)
    if listed.search is not None:
        newest = listed.order.sorted(statement)
        among = listed.search.walking(statement, newest, _SAMPLE)
        share = await _counted(tx, among, _SAMPLE * LOOKS) / (_SAMPLE * LOOKS)
        if share < _COMMON:
            statement = listed.search.by_index(statement)
        else:
            statement = statement.where(*listed.search.exactly)
    counted = await _counted(tx, statement, MAX_COUNTED + 1)
    return ContactCount(count=min(counted, MAX_COUNTED), has_more=counted > MAX_COUNTED)


async def _counted(tx: Transaction, statement: AnySelect, at_most: int) -> int:
    some = statement.with_only_columns(literal(1)).limit(at_most).subquery()
    counted: int = await tx.fetchval(select(func.count()).select_from(some))
    return counted


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
