"""Finding contacts: filters, search, order and pages (`GET /contacts` of the REST API)."""

from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

from pydantic import AwareDatetime
from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.search import patterns
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactSort, ListContacts
from shared_events.requests import Page
from sqlalchemy import (
    BindParameter,
    Column,
    ColumnClause,
    Label,
    Select,
    Text,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY

from crm_contacts.contacts import repository
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import tag_key

_C = repository.CONTACTS.table.c
# Whoever never wrote is sorted before everybody who did.
_WROTE = func.coalesce(_C.last_interaction_at, datetime(1970, 1, 1, tzinfo=UTC)).label("wrote_at")

_KEYS: dict[str, tuple[Column[Any] | Label[Any], Any]] = {
    "created_at": (_C.created_at, AwareDatetime),
    "name": (_C.sort_name, str),
    "last_interaction_at": (_WROTE, AwareDatetime),
}
_ORDERS = {
    sort: Order(
        sort,
        [_KEYS[sort.removeprefix("-")], (_C.id, UUID)],
        tenant=_C.tenant_id,
        descending=sort.startswith("-"),
    )
    for sort in get_args(ContactSort)
}
NEWEST_FIRST = _ORDERS["-created_at"]
"""The order of a list that asks for none."""


LOOKS = 50
"""Contacts of the list to look through for each that is asked for, before an index is."""

_TABLE = repository.CONTACTS.table.name
"""What stands before a query by this name stands for the table in it."""


async def list_contacts(tx: Transaction, request: ListContacts) -> Page[contract.Contact]:
    """One page, in a stable order with the id as tie-break."""
    found, next_cursor = await _found(tx, request)
    return Page(
        data=await repository.to_resources(tx, found),
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def _found(tx: Transaction, request: ListContacts) -> tuple[list[Contact], str | None]:
    """Nobody can know whether a word is rare, and a wrong guess reads all of a large company.

    So the list itself is walked a little first: of a common word that has a page full. Else there
    are few, and the search's own index has them all (docs/adr/0025).
    """
    order = _ORDERS[request.sort]
    listed = _filtered(tx, request).add_columns(_WROTE)
    if request.search is None and not request.tags:
        return await order.found(tx, listed, request, repository.CONTACTS)
    words = patterns(request.search) if request.search is not None else []
    if request.search is not None and not words:
        return [], None
    keys = [tag_key(tag) for tag in request.tags]
    looks: ColumnClause[int] = literal_column(str(LOOKS * (request.limit + 1)))
    first = order.behind(tx, _filtered(tx, request), request).limit(looks)
    matching = [_C.search_text.like(word, escape="\\") for word in words]
    if keys:
        matching.append(_C.tag_keys.overlap(keys))
    walked = select(Contact, _WROTE).where(*matching).add_cte(first.cte(_TABLE))
    found, next_cursor = await order.found(tx, walked, request, repository.CONTACTS)
    if next_cursor is None:
        by_index = func.contacts_found(_texts(words), _texts(keys))
        indexed = listed.add_cte(select(literal_column("*")).select_from(by_index).cte(_TABLE))
        found, next_cursor = await order.found(tx, indexed, request, repository.CONTACTS)
    return found, next_cursor


def _texts(texts: list[str]) -> BindParameter[list[str] | None]:
    return literal(texts or None, ARRAY(Text))


def _filtered(tx: Transaction, request: ListContacts) -> Select[Any]:
    statement = select(Contact).where(_C.tenant_id == tx.tenant_id, _C.deleted_at.is_(None))
    if request.pipeline_id is not None:
        statement = statement.where(_C.pipeline_id == request.pipeline_id)
    if request.pipeline_status_id is not None:
        statement = statement.where(_C.pipeline_status_id == request.pipeline_status_id)
    if request.created_at_gte is not None:
        statement = statement.where(_C.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        statement = statement.where(_C.created_at < request.created_at_lt)
    return statement
