"""Finding contacts: filters, search, order and pages (`GET /contacts` of the REST API)."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from service_kit.database import Transaction
from service_kit.errors import MalformedError
from shared_events import resources
from shared_events.requests.base import Page
from shared_events.requests.contacts import ContactSort, ListContacts
from sqlalchemy import ColumnElement, Select, Uuid, any_, func, literal, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from crm_contacts.contacts import repository
from crm_contacts.contacts.documents import without_nul
from crm_contacts.contacts.models import Contact
from crm_contacts.contacts.search import patterns, tag_key
from crm_contacts.tables import SCHEMA, Base

_TABLE = Base.metadata.tables[f"{SCHEMA}.contacts"]
_C = _TABLE.c
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""Where whoever never wrote is sorted: before everybody who did."""

_ORDER: dict[str, ColumnElement[Any]] = {
    "created_at": _C.created_at,
    "name": _C.sort_name,
    "last_interaction_at": func.coalesce(_C.last_interaction_at, _NEVER),
}

_FEW = 2000
_IDS = ARRAY(Uuid)

# No plan is kept for later: it would not know the word. Bitmap scans are all the first look has.
_BY_TRIGRAM = """
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off
"""
_BY_ANY = "SET LOCAL enable_seqscan = on; SET LOCAL enable_indexscan = on"


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page ends: the last contact's place in one particular order."""

    sort: ContactSort
    value: str | datetime
    id: UUID

    def encode(self) -> str:
        """The opaque text a caller hands back."""
        place = orjson.dumps([self.sort, self.value, str(self.id)])
        return base64.urlsafe_b64encode(place).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str, sort: ContactSort) -> "Cursor":
        """Read it; MalformedError when it is damaged or of a list in another order."""
        try:
            padded = text + "=" * (-len(text) % 4)
            found, value, contact_id = orjson.loads(base64.urlsafe_b64decode(padded))
            if found != sort:
                raise ValueError("another order")
            if sort.removeprefix("-") != "name":
                value = datetime.fromisoformat(value)
            elif not isinstance(value, str) or "\x00" in value:
                raise ValueError("not a name")
            return cls(sort, value, UUID(contact_id))
        except (ValueError, TypeError, AttributeError, binascii.Error):
            raise MalformedError(
                "invalid_cursor", "The cursor is damaged or belongs to another list."
            ) from None


async def list_contacts(tx: Transaction, request: ListContacts) -> Page[resources.Contact]:
    """One page, in a stable order with the id as tie-break."""
    statement = _matching(request)
    if request.search:
        statement = await _narrowed(tx, statement)
    rows = await tx.fetch(_page(statement, request))
    contacts = [repository.from_row(row) for row in rows[: request.limit]]
    more = len(rows) > request.limit
    return Page(
        data=await repository.to_resources(tx, contacts),
        has_more=more,
        next_cursor=_place(contacts[-1], request.sort).encode() if more else None,
    )


async def _narrowed(tx: Transaction, statement: Select[Any]) -> Select[Any]:
    """The same contacts, by their ids when they are few.

    The planner cannot know whether a word is rare, and a wrong guess walks the whole tenant in the
    list's order. So the trigram index says it first: few are sorted, and among many the order's
    own index soon has a page full.
    """
    await tx.execute(_BY_TRIGRAM)
    found = await tx.fetch(statement.with_only_columns(_C.id).limit(_FEW + 1))
    await tx.execute(_BY_ANY)
    if len(found) > _FEW:
        return statement
    return select(_TABLE).where(_C.id == any_(literal([row["id"] for row in found], _IDS)))


def _matching(request: ListContacts) -> Select[Any]:
    statement = select(_TABLE).where(_C.deleted_at.is_(None))
    if request.pipeline_id is not None:
        statement = statement.where(_C.pipeline_id == request.pipeline_id)
    if request.pipeline_status_id is not None:
        statement = statement.where(_C.pipeline_status_id == request.pipeline_status_id)
    if request.created_at_gte is not None:
        statement = statement.where(_C.created_at >= request.created_at_gte)
    if request.created_at_lt is not None:
        statement = statement.where(_C.created_at < request.created_at_lt)
    if request.tags:
        wanted = [tag_key(without_nul(tag)) for tag in request.tags]
        statement = statement.where(_C.tag_keys.overlap(wanted))
    for pattern in patterns(without_nul(request.search or "")):
        statement = statement.where(_C.search_text.like(pattern, escape="\\"))
    return statement


def _page(statement: Select[Any], request: ListContacts) -> Select[Any]:
    """One row more than the page holds: it tells whether there is another page."""
    order = _ORDER[request.sort.removeprefix("-")]
    descending = request.sort.startswith("-")
    if request.cursor is not None:
        cursor = Cursor.decode(request.cursor, request.sort)
        place, end = tuple_(order, _C.id), tuple_(cursor.value, cursor.id)
        statement = statement.where(place < end if descending else place > end)
    if descending:
        statement = statement.order_by(order.desc(), _C.id.desc())
    else:
        statement = statement.order_by(order, _C.id)
    return statement.limit(request.limit + 1).offset(request.offset)


def _place(contact: Contact, sort: ContactSort) -> Cursor:
    match sort.removeprefix("-"):
        case "name":
            value: str | datetime = contact.sort_name
        case "created_at":
            value = contact.created_at
        case _:
            value = contact.last_interaction_at or _NEVER
    return Cursor(sort, value, contact.id)
