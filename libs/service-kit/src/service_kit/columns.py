"""Columns that every service has, each with one meaning: fields of SQLModel tables.

    class Note(Base, table=True):
        id: UUID = Field(primary_key=True)
        tenant_id: str = columns.tenant_id()
        text: str = columns.text()
        created_at: datetime = columns.stamped()

A `| None` in the annotation needs a column of its own here: NOT NULL and NULL never share a name.
What describes columns that several tables have, such as `service_kit.jobs.models`, may use them as
well: each table gets columns of its own.
"""

from typing import Any

from sqlalchemy import DateTime, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field

# SQLModel takes a type with options, too, but says that it takes classes only.
_MOMENT: Any = DateTime(timezone=True)
_TEXTS: Any = ARRAY(Text)


def tenant_id(*, primary_key: bool = False) -> Any:
    """Whose row it is; row-level security goes by it."""
    return Field(max_length=255, primary_key=primary_key)


def moment() -> Any:
    """A point in time, with its zone, that is always known."""
    return Field(sa_type=_MOMENT, nullable=False)


def maybe_moment() -> Any:
    """A point in time, with its zone, that may never come."""
    return Field(default=None, sa_type=_MOMENT, nullable=True)


def stamped() -> Any:
    """When the row was written: the database says it unless the row does."""
    by_default = {"server_default": sql("now()")}
    return Field(default=None, sa_type=_MOMENT, nullable=False, sa_column_kwargs=by_default)


def text() -> Any:
    """Text of any length, always there."""
    return Field(sa_type=Text, nullable=False)


def maybe_text() -> Any:
    """Text of any length, or none."""
    return Field(default=None, sa_type=Text, nullable=True)


def texts() -> Any:
    """A list of texts; empty by default."""
    by_default = {"server_default": sql("'{}'")}
    return Field(default_factory=list, sa_type=_TEXTS, nullable=False, sa_column_kwargs=by_default)


def maybe_document() -> Any:
    """A JSON object, or none."""
    return Field(default=None, sa_type=JSONB, nullable=True)


def document(name: str | None = None) -> Any:
    """A JSON object; empty by default. `name`: the column's, where the attribute cannot have it."""
    options: dict[str, Any] = {"server_default": sql("'{}'::jsonb")}
    if name is not None:
        options["name"] = name
    return Field(default_factory=dict, sa_type=JSONB, nullable=False, sa_column_kwargs=options)
