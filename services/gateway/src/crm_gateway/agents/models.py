"""The table of agents."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_gateway.tables import Base


class AgentRow(Base, table=True):
    """A user's place in a tenant. Its id is the user's: a session assigned to "me" is both."""

    __tablename__ = "agents"
    __table_args__ = (
        Index("idx_agents_tenant", "tenant_id", "created_at", "id"),
        Index("idx_agents_role", "tenant_id", "role_id"),
    )

    id: UUID = Field(primary_key=True, foreign_key="gateway.users.id")
    tenant_id: str = columns.tenant_id()
    role: str = Field(max_length=20)
    role_id: UUID | None = Field(default=None, foreign_key="gateway.roles.id")
    active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
