"""The table of custom roles."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_gateway.tables import Base


class RoleRow(Base, table=True):
    """A role a company made for itself, beside admin, supervisor and agent."""

    __tablename__ = "roles"
    __table_args__ = (
        Index("idx_roles_tenant", "tenant_id", "id"),
        Index("uq_roles_name", "tenant_id", text("lower(name)"), unique=True),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=50)
    permissions: list[str] = columns.texts()
    sees: str | None = Field(default=None, max_length=20)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
