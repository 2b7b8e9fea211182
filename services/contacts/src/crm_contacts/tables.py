"""What every table class of this service is bound to: one schema, one metadata of its own."""

from datetime import datetime

from service_kit.tables import plumbing
from sqlalchemy import Column, DateTime, MetaData, text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

SCHEMA = "contacts"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of this service's tables."""


plumbing(Base.metadata)


def moment(*, nullable: bool = False, default_now: bool = False) -> "Column[datetime]":
    """A point in time, always with its zone."""
    return Column(
        DateTime(timezone=True),
        nullable=nullable,
        server_default=text("now()") if default_now else None,
    )
