"""The base of this service's tables and the columns they share."""

from typing import Any

from service_kit.tables import plumbing
from sqlalchemy import Column, DateTime, ForeignKey, MetaData, String, Uuid, text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

SCHEMA = "webhooks"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Tables in this service's own schema."""


plumbing(Base.metadata)


def key() -> Column[Any]:
    """A UUID primary key."""
    return Column(Uuid, primary_key=True)


def uuid() -> Column[Any]:
    """Something's UUID."""
    return Column(Uuid, nullable=False)


def reference(column: str) -> Column[Any]:
    """The UUID of a row of ours, as `table.column`."""
    return Column(Uuid, ForeignKey(f"{SCHEMA}.{column}"), nullable=False)


def tenant() -> Column[Any]:
    """Whose row it is; the row-level security policies compare it."""
    return Column(String(255), nullable=False)


def moment(*, nullable: bool = True) -> Column[Any]:
    """A point in time."""
    return Column(DateTime(timezone=True), nullable=nullable)


def stamped() -> Column[Any]:
    """When the row was written, unless said otherwise."""
    return Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
