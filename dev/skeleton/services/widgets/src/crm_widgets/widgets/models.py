"""The table of widgets."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, DateTime, Index, text
from sqlmodel import Field

from crm_widgets.tables import SCHEMA, Base


def _now() -> "Column[datetime]":
    return Column(DateTime(timezone=True), nullable=False, server_default=text("now()"))


class WidgetRow(Base, table=True):
    """A widget of a tenant."""

    __tablename__ = "widgets"
    __table_args__ = (Index("idx_widgets_tenant", "tenant_id", "id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = Field(max_length=255)
    name: str = Field(max_length=255)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = Field(sa_column=_now())
    updated_at: datetime = Field(sa_column=_now())


TABLE = Base.metadata.tables[f"{SCHEMA}.widgets"]
