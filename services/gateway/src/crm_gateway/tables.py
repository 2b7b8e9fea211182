"""The base of the gateway's tables."""

from service_kit.tables import erasure_tasks, plumbing
from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel


class Base(SQLModel, registry=registry(metadata=MetaData(schema="gateway"))):
    """Every table of the gateway derives from it."""


plumbing(Base.metadata)
erasure_tasks(Base.metadata)
