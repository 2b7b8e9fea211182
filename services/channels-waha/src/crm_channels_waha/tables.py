"""The base of this service's tables."""

from service_kit.tables import erasure_tasks, plumbing
from sqlalchemy import MetaData
from sqlalchemy.orm import registry
from sqlmodel import SQLModel


class Base(SQLModel, registry=registry(metadata=MetaData(schema="channels_waha"))):
    """Base of every table here; apart from other services' even in one process."""


plumbing(Base.metadata)
erasure_tasks(Base.metadata)
