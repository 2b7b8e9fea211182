"""Keyset paging: a cursor names the last row of a page, so that inserts shift nothing.

It is of one list only: of a tenant, an order and the filters it was given with.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from asyncpg import Record
from pydantic import TypeAdapter, ValidationError
from shared_events.requests import Item, ListQuery, Page
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    FromClause,
    Table,
    TableClause,
    column,
    literal_column,
    select,
    table,
    tuple_,
)

from service_kit.database import Transaction
from service_kit.errors import MalformedError
from service_kit.rows import AnySelect, Found, Reader


def by_bare_name(of: Table) -> TableClause:
    """The table by its bare name: a query that stands before another by it stands for the table."""
    return table(of.name, *(column(each.name, each.type) for each in of.c))


_FURTHER, _PART = 10, 5
"""How many times as far a search walks of which a fifth of a page was found at once."""


@dataclass(frozen=True, slots=True)
class Search:
    """What of a list of `among` (see `by_bare_name`) is searched for (docs/adr/0025).

    `matching` are its conditions on a row, and `index` is the owner's function that gives out all
    rows that meet them; `exactly` are conditions that the function knows nothing of. For each row
    that is asked for, `looks` of the list are looked through before the function is asked.
    """

    among: TableClause
    matching: Sequence[ColumnElement[bool]]
    index: FromClause
    looks: int
    exactly: Sequence[ColumnElement[bool]] = ()

    def walking(self, query: AnySelect, listed: AnySelect, wanted: int) -> AnySelect:
        """What of the first rows of a list is wanted; `query` is what the list itself shows."""
        # Spelled out: the planner is to know how few they are.
        looks: ColumnClause[int] = literal_column(str(self.looks * wanted))
        first = listed.limit(looks).cte(self.among.name)
        walked = select(*query.selected_columns).where(*self.matching, *self.exactly)
        return walked.add_cte(first)

    def by_index(self, query: AnySelect) -> AnySelect:
        """What the query finds of all that the function gives out."""
        given = select(literal_column("*")).select_from(self.index).cte(self.among.name)
        return query.where(*self.exactly).add_cte(given)


class Order:
    """A stable order of a list: all ascending or all descending, ending in the id.

    Each key is a column (or a labelled expression that the query selects) and the type its value
    must have in a cursor, as strict as the database. No key may be null.
    """

    def __init__(
        self,
        name: str,
        keys: Sequence[tuple[ColumnElement[Any], Any]],
        *,
        tenant: ColumnElement[str],
        descending: bool = False,
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.descending = descending
        self._columns = [column for column, _ in keys]
        self._kinds = [TypeAdapter[Any](kind) for _, kind in keys]

    def cursor(self, row: Record, of: str = "") -> str:
        """Name this row, opaquely, for this order of one list only (`of`: see `list_of`)."""
        values = [str(row[column.name]) for column in self._columns]
        named = orjson.dumps([self.name + of, *values])
        return base64.urlsafe_b64encode(named).decode().rstrip("=")

    def read(self, cursor: str, of: str = "") -> tuple[Any, ...]:
        """The values a cursor holds; raises MalformedError when it is not one of this list."""
        try:
            padded = cursor + "=" * (-len(cursor) % 4)
            name, *values = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if name != self.name + of or any("\x00" in value for value in values):
                raise ValueError("a cursor of another list, or text no database holds")
            return tuple(
                _storable(kind.validate_python(value))
                for kind, value in zip(self._kinds, values, strict=True)
            )
        except (binascii.Error, ValueError, TypeError, OverflowError, ValidationError):
            raise MalformedError("invalid_cursor", "The cursor is not one we gave.") from None

    async def page(
        self,
        tx: Transaction,
        query: AnySelect,
        request: ListQuery[Any],
        rows: Reader[Found],
        resource: Callable[[Found], Item],
        search: Search | None = None,
    ) -> Page[Item]:
        """One page of the query's rows, in this order, as resources; see `found`."""
        found, next_cursor = await self.found(tx, query, request, rows, search)
        return Page(
            data=[resource(row) for row in found],
            has_more=next_cursor is not None,
            next_cursor=next_cursor,
        )

    async def found(
        self,
        tx: Transaction,
        query: AnySelect,
        request: ListQuery[Any],
        rows: Reader[Found],
        search: Search | None = None,
    ) -> tuple[list[Found], str | None]:
        """One page's rows, and the cursor of what follows; None when nothing does.

        Nobody can know whether what is searched for is rare, and a wrong guess reads all of a large
        company. So the list itself is walked a little first: of a common word that has a page
        full. What it has a part of a page of is walked for on: in a large company the index has far
        more of that than a page takes. Else there are few, and the search's own index has them all.
        """
        if search is None:
            return await self._found(tx, query, request, rows)
        listed = self._behind(tx, query, request)
        for further in (1, _FURTHER):
            walked = search.walking(query, listed, (request.limit + 1) * further)
            found, next_cursor = await self._found(tx, walked, request, rows)
            if next_cursor is not None:
                return found, next_cursor
            if len(found) * _PART < request.limit:
                break
        return await self._found(tx, search.by_index(query), request, rows)

    async def _found(
        self, tx: Transaction, query: AnySelect, request: ListQuery[Any], rows: Reader[Found]
    ) -> tuple[list[Found], str | None]:
        query = self._behind(tx, query, request)
        if request.cursor is None:
            query = query.offset(request.offset)
        found = await tx.fetch(query.limit(request.limit + 1))
        page = found[: request.limit]
        more = len(found) > request.limit
        of = list_of(tx.tenant_id, request)
        return [rows.value(record) for record in page], self.cursor(page[-1], of) if more else None

    def _behind(self, tx: Transaction, query: AnySelect, request: ListQuery[Any]) -> AnySelect:
        """The company's rows of the query in this order, from the request's cursor on."""
        # The policies see to it as well, but where they allow a scope no index serves them.
        query = query.where(self.tenant == tx.tenant_id)
        if request.cursor is not None:
            after = tuple_(*self._columns)
            values = self.read(request.cursor, list_of(tx.tenant_id, request))
            query = query.where(after < values if self.descending else after > values)
        return self.sorted(query)

    def sorted(self, query: AnySelect) -> AnySelect:
        """The query's rows in this order."""
        return query.order_by(
            *(column.desc() if self.descending else column.asc() for column in self._columns)
        )


def list_of(tenant_id: str, request: ListQuery[Any]) -> str:
    """What tells lists apart, in short: whose they are, and how they are filtered."""
    filters = request.model_dump_json(exclude={"cursor", "limit", "offset"})
    named = f"{tenant_id} {request.key} {filters}".encode()
    return "/" + hashlib.blake2b(named, digest_size=8).hexdigest()


def _storable(value: Any) -> Any:
    """The value as the database takes it; OverflowError for a moment that is none in UTC."""
    return value.astimezone(UTC) if isinstance(value, datetime) else value
