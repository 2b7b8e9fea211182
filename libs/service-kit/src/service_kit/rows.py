"""SQLModel instances in and out of the database, a set at a time (docs/adr/0011-rows.md).

    NOTES = Rows(Note)

    await NOTES.insert(tx, [Note(id=uuid7(), tenant_id=tx.tenant_id, text="...")])
    await NOTES.find(tx, select(Note).where(Note.contact_id == contact_id))

Statements are derived from the table once: names and types stand there and nowhere else. Rows that
were read are values: they are not changed in place, `row.model_copy(update=...)` makes another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar, cast

import asyncpg
import orjson
from pydantic import BaseModel
from sqlalchemy import ARRAY, Column, Select, Table
from sqlalchemy.orm import class_mapper
from sqlalchemy.sql.elements import ClauseElement
from sqlmodel import SQLModel

from service_kit.database import DIALECT, Transaction

AnySelect = Select[*tuple[Any, ...]]
"""A `select()` of whatever columns, SQLAlchemy's or SQLModel's."""

Row = TypeVar("Row", bound=SQLModel)
Value = TypeVar("Value")

Found = TypeVar("Found", covariant=True)

_Attrs = tuple[str, ...]


class Reader(Protocol[Found]):
    """Makes something typed of a record: `Rows` its rows, `Shape` its dataclass."""

    def value(self, record: asyncpg.Record) -> Found:
        """One record, read."""
        ...


class Rows(Generic[Row]):
    """One table, and the statements for sets of its rows."""

    def __init__(self, model: type[Row]) -> None:
        self.model = model
        mapper = class_mapper(model)
        self.table = cast(Table, mapper.local_table)
        self._columns: dict[str, Column[Any]] = {
            attr.key: cast("Column[Any]", attr.columns[0]) for attr in mapper.column_attrs
        }
        self._keys = tuple(attr for attr, column in self._columns.items() if column.primary_key)
        # An id alone would lead to another tenant's row where a transaction acts for several.
        whose = ("tenant_id",) if "tenant_id" in self._columns else ()
        self._found_by = tuple(dict.fromkeys((*whose, *self._keys)))
        self._names = [(attr, column.name) for attr, column in self._columns.items()]
        self._insert = lru_cache(64)(self._insert_statement)
        self._update = lru_cache(64)(self._update_statement)
        self._written = lru_cache(64)(self._written_attributes)

    async def insert(self, tx: Transaction, rows: Iterable[Row], *, unless: str = "") -> int:
        """Add rows; returns how many were added.

        `unless`: what makes a row known already, as PostgreSQL's conflict target, such as
        `(event_id)`; those are left as they are. A column that the database has a default for is
        written only where a row says something of it.
        """
        conflict = f"ON CONFLICT {unless} DO NOTHING" if unless else ""
        count = 0
        for attrs, alike in self._alike(rows).items():
            count += await self._run(tx, self._insert(attrs, conflict), attrs, alike)
        return count

    async def update(self, tx: Transaction, rows: Iterable[Row], *names: str) -> int:
        """Write these columns of rows back, all but the key by default; the caller holds locks.

        A row that has a tenant stays its tenant's, and another's with its key is left alone.
        """
        count = 0
        for attrs, alike in self._alike(rows).items():
            beside = (attr for attr in attrs if attr not in self._found_by)
            changed = (*self._found_by, *(names or beside))
            count += await self._run(tx, self._update(changed), changed, alike)
        return count

    async def upsert(
        self,
        tx: Transaction,
        rows: Iterable[Row],
        *names: str,
        newest: str | None = None,
        differs: str | None = None,
    ) -> int:
        """Add rows, or write these columns (all but the key by default) of those already there.

        `newest`: the column by which the greater wins; an older row changes nothing. `differs`:
        the column without whose change nothing is written. Rows are locked in the order of their
        keys.
        """
        count = 0
        for attrs, alike in self._alike(rows).items():
            changed = names or self._beside_key(attrs)
            conflict = self._overwriting(changed, newest, differs)
            count += await self._run(tx, self._insert(attrs, conflict), attrs, alike)
        return count

    async def find(
        self, tx: Transaction, statement: ClauseElement | str, *values: Any
    ) -> list[Row]:
        """The rows of what selects or returns all columns: a `select(Model)`, or SQL text."""
        return self.read(await tx.fetch(statement, *values))

    async def first(
        self, tx: Transaction, statement: ClauseElement | str, *values: Any
    ) -> Row | None:
        """The first row of such a query, or None."""
        record = await tx.fetchrow(statement, *values)
        return None if record is None else self.value(record)

    def read(self, records: Sequence[asyncpg.Record]) -> list[Row]:
        """What a query brought, as rows."""
        return [self.value(record) for record in records]

    def value(self, record: asyncpg.Record) -> Row:
        """One record as a row. The database's word is taken: validating it again takes longer."""
        values = {attr: record[name] for attr, name in self._names}
        return cast(Row, self.model.model_construct(**values))

    def _alike(self, rows: Iterable[Row]) -> dict[_Attrs, list[Row]]:
        """The rows by the attributes to write of them; nearly always that is one group."""
        groups: dict[_Attrs, list[Row]] = {}
        for row in rows:
            groups.setdefault(self._written(frozenset(row.model_fields_set)), []).append(row)
        return groups

    def _written_attributes(self, given: frozenset[str]) -> _Attrs:
        """All but what the database fills in by itself, or by default where nothing was given."""
        return tuple(
            attr
            for attr, column in self._columns.items()
            if column.computed is None
            and column.identity is None
            and (column.server_default is None or attr in given)
        )

    def _beside_key(self, attrs: _Attrs) -> _Attrs:
        return tuple(attr for attr in attrs if attr not in self._keys)

    async def _run(
        self, tx: Transaction, statement: str, attrs: _Attrs, rows: Sequence[Row]
    ) -> int:
        values = []
        for attr in attrs:
            column = [vars(row).get(attr) for row in rows]  # a third of what its descriptors take
            if isinstance(self._columns[attr].type, ARRAY):  # arrays of arrays are rectangular
                column = [orjson.dumps(value).decode() for value in column]
            values.append(column)
        return await tx.execute(statement, *values)

    def _insert_statement(self, attrs: _Attrs, rest: str) -> str:
        columns = [self._columns[attr] for attr in attrs]
        names = ", ".join(column.name for column in columns)
        taken = ", ".join(_taken(column) for column in columns)
        return (
            f"INSERT INTO {self.table.name} ({names})"  # noqa: S608 - names of our own tables
            f" SELECT {taken} FROM {_source(columns)} {rest}"
        )

    def _update_statement(self, attrs: _Attrs) -> str:
        columns = [self._columns[attr] for attr in attrs]
        sets = ", ".join(f"{c.name} = {_taken(c)}" for c in columns[len(self._found_by) :])
        keys = [column.name for column in columns[: len(self._found_by)]]
        same = " AND ".join(f"{self.table.name}.{key} = new.{key}" for key in keys)
        return f"UPDATE {self.table.name} SET {sets} FROM {_source(columns)} WHERE {same}"  # noqa: S608

    def _overwriting(self, attrs: _Attrs, newest: str | None, differs: str | None) -> str:
        keys = ", ".join(self._columns[attr].name for attr in self._keys)
        names = [self._columns[attr].name for attr in attrs]
        sets = ", ".join(f"{name} = excluded.{name}" for name in names)
        rest = f"ORDER BY {keys} ON CONFLICT ({keys}) DO UPDATE SET {sets}"
        for attr, test in ((newest, "<"), (differs, "IS DISTINCT FROM")):
            if attr is not None:
                name = self._columns[attr].name
                rest += f" WHERE {self.table.name}.{name} {test} excluded.{name}"
        return rest


class Shape(Generic[Value]):
    """What a query brings that is no whole row: a dataclass, or a resource, with its columns.

    COUNTS = Shape(Count)
    await COUNTS.find(tx, "SELECT contact_id, count(*) AS notes FROM notes GROUP BY contact_id")
    """

    def __init__(self, kind: type[Value]) -> None:
        self.kind = kind
        self._names = (
            [field.name for field in fields(kind)]
            if is_dataclass(kind)
            else list(cast(type[BaseModel], kind).model_fields)
        )

    async def find(
        self, tx: Transaction, statement: ClauseElement | str, *values: Any
    ) -> list[Value]:
        """Everything a query brings."""
        records = await tx.fetch(statement, *values)
        return [self.value(record) for record in records]

    async def first(
        self, tx: Transaction, statement: ClauseElement | str, *values: Any
    ) -> Value | None:
        """The first it brings, or None."""
        record = await tx.fetchrow(statement, *values)
        return None if record is None else self.value(record)

    def value(self, record: asyncpg.Record) -> Value:
        """One record in this shape, whatever else it holds."""
        return self.kind(**{name: record[name] for name in self._names})


def _source(columns: Sequence["Column[Any]"]) -> str:
    """A set of rows out of one array for each column."""
    arrays = ", ".join(f"${n}::{_sent(column)}[]" for n, column in enumerate(columns, start=1))
    return f"unnest({arrays}) AS new({', '.join(column.name for column in columns)})"


def _sent(column: "Column[Any]") -> str:
    """The type a column's values travel as: without a length, or longer ones would be cut."""
    if isinstance(column.type, ARRAY):
        return "text"
    compiled = column.type.compile(dialect=DIALECT)
    return compiled.partition("(")[0].partition(" COLLATE")[0]


def _taken(column: "Column[Any]") -> str:
    """The value of a column, out of what travelled."""
    if isinstance(column.type, ARRAY):
        return f"ARRAY(SELECT jsonb_array_elements_text(new.{column.name}::jsonb))"
    return f"new.{column.name}"
