"""Finding contacts: filters, search, order and pages (`GET /contacts` of the REST API)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
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
    ColumnClause,
    ColumnElement,
    FromClause,
    Label,
    Select,
    Text,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.dialects.postgresql import ARRAY

from crm_contacts.contacts import repository
from crm_contacts.contacts.models import NEVER, Contact
from crm_contacts.contacts.search import tag_key

_TABLE = repository.CONTACTS.table
_FOUND = table(_TABLE.name, *(column(each.name, each.type) for each in _TABLE.c))
"""The table by its bare name: a query that stands before another by it stands for the table."""

LOOKS = 50
"""Contacts of the list to look through for each that is asked for, before an index is."""


def _wrote(contacts: FromClause) -> Label[datetime]:
    """Whoever never wrote is sorted before everybody who did."""
    never = datetime.combine(NEVER, time(), UTC)
    return func.coalesce(contacts.c.last_interaction_at, never).label("wrote_at")


def _orders(contacts: FromClause) -> dict[str, Order]:
    keys: dict[str, list[tuple[ColumnElement[Any], Any]]] = {
        "created_at": [(contacts.c.created_at, AwareDatetime)],
        "name": [(contacts.c.sort_name, str)],
        # By the day there is an index, and a day's are sorted.
        "last_interaction_at": [
            (contacts.c.interacted_on, date),
            (_wrote(contacts), AwareDatetime),
        ],
    }
    return {
        sort: Order(
            sort,
            [*keys[sort.removeprefix("-")], (contacts.c.id, UUID)],
            tenant=contacts.c.tenant_id,
            descending=sort.startswith("-"),
        )
        for sort in get_args(ContactSort)
    }


_ORDERS, _FOUND_ORDERS = _orders(_TABLE), _orders(_FOUND)
NEWEST_FIRST = _ORDERS["-created_at"]
"""The order of a list that asks for none."""


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
    listed = _filtered(_TABLE, request)
    if request.search is None and not request.tags:
        return await _page(tx, _ORDERS, listed.add_columns(_wrote(_TABLE)), request)
    words = patterns(request.search) if request.search is not None else []
    if request.search is not None and not words:
        return [], None
    keys = [tag_key(tag) for tag in request.tags]
    looks: ColumnClause[int] = literal_column(str(LOOKS * (request.limit + 1)))
    first = _ORDERS[request.sort].behind(tx, listed, request).limit(looks)
    matching = [_FOUND.c.search_text.like(word, escape="\\") for word in words]
    if keys:
        matching.append(_FOUND.c.tag_keys.overlap(keys))
    walked = select(_FOUND, _wrote(_FOUND)).where(*matching).add_cte(first.cte(_FOUND.name))
    found, next_cursor = await _page(tx, _FOUND_ORDERS, walked, request)
    if next_cursor is None:
        by_index: Select[Any] = select(literal_column("*")).select_from(
            func.contacts_found(_texts(words), _texts(keys))
        )
        indexed = _filtered(_FOUND, request).add_columns(_wrote(_FOUND))
        indexed = indexed.add_cte(by_index.cte(_FOUND.name))
        found, next_cursor = await _page(tx, _FOUND_ORDERS, indexed, request)
    return found, next_cursor


async def _page(
    tx: Transaction, orders: Mapping[str, Order], query: Select[Any], request: ListContacts
) -> tuple[list[Contact], str | None]:
    return await orders[request.sort].found(tx, query, request, repository.CONTACTS)


def _texts(texts: list[str]) -> BindParameter[list[str] | None]:
    return literal(texts or None, ARRAY(Text))


def _filtered(contacts: FromClause, request: ListContacts) -> Select[Any]:
    statement = select(contacts).where(contacts.c.deleted_at.is_(None))
    if request.pipeline_id is not None:
        statement = statement.where(contacts.c.pipeline_id == request.pipeline_id)
    if request.pipeline_status_id is not None:
        statement = statement.where(contacts.c.pipeline_status_id == request.pipeline_status_id)
    if request.created_at_gte is not None:
        statement = statement.where(contacts.c.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        statement = statement.where(contacts.c.created_at < request.created_at_lt)
    return statement
