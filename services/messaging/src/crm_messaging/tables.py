"""The service's own schema in PostgreSQL."""

from service_kit.tables import erased_identities, erasure_tasks, plumbing
from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

SCHEMA = "messaging"


class Base(SQLModel, registry=registry(metadata=MetaData(schema=SCHEMA))):
    """Base of all tables of this service; they share one metadata, and no other service's."""


plumbing(Base.metadata)
erasure_tasks(Base.metadata)
erased_identities(Base.metadata)
