"""What every table class of this service is bound to: one schema, one metadata of its own."""

from service_kit.tables import erased_identities, erasure_tasks, plumbing
from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel


class Base(SQLModel, registry=registry(metadata=MetaData(schema="contacts"))):
    """Base of this service's tables."""


plumbing(Base.metadata)
erasure_tasks(Base.metadata)
erased_identities(Base.metadata)
