"""What this service's tables have in common: their schema and a few column shapes."""

from datetime import datetime

from service_kit.tables import plumbing
from sqlalchemy import Column, DateTime, MetaData, String, text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

SCHEMA = "channels_waha"


class Table(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of every table here; apart from other services' even in one process."""


plumbing(Table.metadata)


def tenant_column() -> Column[str]:
    """The owner of a row, compared by row-level security."""
    return Column(String(255), nullable=False)


def moment_column(*, required: bool = False) -> Column[datetime]:
    """A moment in UTC."""
    return Column(DateTime(timezone=True), nullable=not required)


def now_column() -> Column[datetime]:
    """A moment that defaults to the transaction's."""
    return Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))
