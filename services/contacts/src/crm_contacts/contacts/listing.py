"""Finding contacts: filters, search, order and pages (`GET /contacts` of the REST API)."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args
from uuid import UUID

from pydantic import AwareDatetime
from service_kit.database import Transaction
from service_kit.paging import Order
from service_kit.rows import Shape
from service_kit.search import patterns
from shared_events.contacts import contact as contract
from shared_events.contacts.contact import ContactSort, ListContacts
from shared_events.requests import Page
from sqlalchemy import Column, Label, Select, Uuid, any_, false, func, literal, select
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


@dataclass(frozen=True, slots=True)
class _Found:
    id: UUID


_FOUND = Shape(_Found)
_FEW = 2000
_IDS = ARRAY(Uuid)

# No plan is kept for later: it would not know the word. Bitmap scans are all the first look has.
_BY_TRIGRAM = """
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off
"""
_BY_ANY = "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on"


async def list_contacts(tx: Transaction, request: ListContacts) -> Page[contract.Contact]:
    """One page, in a stable order with the id as tie-break."""
    statement = _matching(request).where(_C.tenant_id == tx.tenant_id)
    if request.search:
        statement = await _narrowed(tx, statement)
    found, next_cursor = await _ORDERS[request.sort].found(
        tx, statement.add_columns(_WROTE), request, repository.CONTACTS
    )
    return Page(
        data=await repository.to_resources(tx, found),
        has_more=next_cursor is not None,
        next_cursor=next_cursor,
    )


async def _narrowed(tx: Transaction, statement: Select[Any]) -> Select[Any]:
    """The same contacts, by their ids when they are few.

    The planner cannot know whether a word is rare, and a wrong guess walks the whole tenant in the
    list's order. So the trigram index says it first: few are sorted, and among many the order's
    own index soon has a page full.
    """
    await tx.execute(_BY_TRIGRAM)
    found = await _FOUND.find(tx, statement.with_only_columns(_C.id).limit(_FEW + 1))
    await tx.execute(_BY_ANY)
    if len(found) > _FEW:
        return statement
    return select(Contact).where(_C.id == any_(literal([one.id for one in found], _IDS)))


def _matching(request: ListContacts) -> Select[Any]:
    statement = select(Contact).where(_C.deleted_at.is_(None))
    if request.pipeline_id is not None:
        statement = statement.where(_C.pipeline_id == request.pipeline_id)
    if request.pipeline_status_id is not None:
        statement = statement.where(_C.pipeline_status_id == request.pipeline_status_id)
    if request.created_at_gte is not None:
        statement = statement.where(_C.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        statement = statement.where(_C.created_at < request.created_at_lt)
    if request.tags:
        wanted = [tag_key(tag) for tag in request.tags]
        statement = statement.where(_C.tag_keys.overlap(wanted))
    if request.search is not None:
        found = [_C.search_text.like(p, escape="\\") for p in patterns(request.search)]
        statement = statement.where(*found) if found else statement.where(false())
    return statement
