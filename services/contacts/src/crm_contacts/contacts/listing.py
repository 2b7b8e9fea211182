"""Finding contacts: filters, search, order and pages (`GET /contacts` of the REST API)."""

from datetime import UTC, date, datetime, time
from typing import Any, get_args
from uuid import UUID

from pydantic import AwareDatetime
from service_kit.database import Transaction
from service_kit.paging import Order, Search
from service_kit.search import patterns
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactSort, ListContacts
from shared_events.requests import Page
from sqlalchemy import BindParameter, ColumnElement, Select, Text, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

from crm_contacts.contacts import repository
from crm_contacts.contacts.models import NEVER, Contact
from crm_contacts.contacts.search import tag_key

_C = repository.LISTED.c

LOOKS = 50
"""Contacts of the list to look through for each that is asked for, before an index is."""

_NEVER = datetime.combine(NEVER, time(), UTC)
_WROTE_AT = func.coalesce(_C.last_interaction_at, _NEVER).label("wrote_at")
"""Whoever never wrote is sorted before everybody who did."""
_KEYS: dict[str, list[tuple[ColumnElement[Any], Any]]] = {
    "created_at": [(_C.created_at, AwareDatetime)],
    "name": [(_C.sort_name, str)],
    # By the day there is an index, and a day's are sorted.
    "last_interaction_at": [(_C.interacted_on, date), (_WROTE_AT, AwareDatetime)],
}
_ORDERS = {
    sort: Order(
        sort,
        [*_KEYS[sort.removeprefix("-")], (_C.id, UUID)],
        tenant=_C.tenant_id,
        descending=sort.startswith("-"),
    )
    for sort in get_args(ContactSort)
}
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
    search = None
    if request.search is not None or request.tags:
        words = patterns(request.search) if request.search is not None else []
        if request.search is not None and not words:
            return [], None
        search = _search(words, [tag_key(tag) for tag in request.tags])
    order = _ORDERS[request.sort]
    return await order.found(tx, _filtered(request), request, repository.CONTACTS, search)


def _search(words: list[str], keys: list[str]) -> Search:
    matching = [_C.search_text.like(word, escape="\\") for word in words]
    if keys:
        matching.append(_C.tag_keys.overlap(keys))
    index = func.contacts_found(_texts(words), _texts(keys))
    return Search(among=repository.LISTED, matching=matching, index=index, looks=LOOKS)


def _texts(texts: list[str]) -> BindParameter[list[str] | None]:
    return literal(texts or None, ARRAY(Text))


def _filtered(request: ListContacts) -> Select[Any]:
    statement = select(repository.LISTED, _WROTE_AT).where(_C.deleted_at.is_(None))
    if request.pipeline_id is not None:
        statement = statement.where(_C.pipeline_id == request.pipeline_id)
    if request.pipeline_status_id is not None:
        statement = statement.where(_C.pipeline_status_id == request.pipeline_status_id)
    if request.created_at_gte is not None:
        statement = statement.where(_C.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        statement = statement.where(_C.created_at < request.created_at_lt)
    return statement
