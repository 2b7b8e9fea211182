"""Columns that every service has, each with one meaning: fields of SQLModel tables.

    class Note(Base, table=True):
        id: UUID = Field(primary_key=True)
        tenant_id: str = columns.tenant_id()
        text: str = columns.text()
        created_at: datetime = columns.stamped()

A `| None` in the annotation needs a column of its own here: NOT NULL and NULL never share a name.
"""

from typing import Any

from sqlalchemy import Column, DateTime, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field


def tenant_id(*, primary_key: bool = False) -> Any:
    """Whose row it is; row-level security goes by it."""
    return Field(max_length=255, primary_key=primary_key)


def moment() -> Any:
    """A point in time, with its zone, that is always known."""
    return Field(sa_column=Column(DateTime(timezone=True), nullable=False))


def maybe_moment() -> Any:
    """A point in time, with its zone, that may never come."""
    return Field(default=None, sa_column=Column(DateTime(timezone=True), nullable=True))


def stamped() -> Any:
    """When the row was written: the database says it unless the row does."""
    now = sql("now()")
    return Field(
        default=None, sa_column=Column(DateTime(timezone=True), nullable=False, server_default=now)
    )


def text() -> Any:
    """Text of any length, always there."""
    return Field(sa_column=Column(Text, nullable=False))


def maybe_text() -> Any:
    """Text of any length, or none."""
    return Field(default=None, sa_column=Column(Text, nullable=True))


def texts() -> Any:
    """A list of texts; empty by default."""
    column: Column[Any] = Column(ARRAY(Text), nullable=False, server_default=sql("'{}'"))
    return Field(default_factory=list, sa_column=column)


def document(name: str | None = None) -> Any:
    """A JSON object; empty by default. `name`: the column's, where the attribute cannot have it."""
    options: dict[str, Any] = {"nullable": False, "server_default": sql("'{}'::jsonb")}
    column = Column(JSONB, **options) if name is None else Column(name, JSONB, **options)
    return Field(default_factory=dict, sa_column=column)
