"""The table of widgets."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_widgets.tables import Base


class WidgetRow(Base, table=True):
    """A widget of a tenant."""

    __tablename__ = "widgets"
    __table_args__ = (Index("idx_widgets_tenant", "tenant_id", "id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
