"""The table of agents."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from sqlalchemy import Boolean, Column, DateTime, Index, Integer, String, text
from sqlmodel import Field

from crm_gateway.auth.models import User
from crm_gateway.models import Base

_NOW = text("now()")


class AgentRow(Base, table=True):
    """A user's place in a tenant. Its id is the user's: a session assigned to "me" is both."""

    __tablename__: ClassVar[str] = "agents"
    __table_args__ = (Index("idx_agents_tenant", "tenant_id", "created_at", "id"),)

    id: UUID = Field(primary_key=True, foreign_key="gateway.users.id")
    tenant_id: str = Field(sa_column=Column(String(255), nullable=False))
    role: str = Field(max_length=20)
    active: bool = Field(sa_column=Column(Boolean, nullable=False, server_default=text("true")))
    version: int = Field(sa_column=Column(Integer, nullable=False, server_default=text("1")))
    created_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=_NOW)
    )
    updated_at: datetime = Field(
        sa_column=Column(DateTime(timezone=True), nullable=False, server_default=_NOW)
    )


AGENTS = Base.metadata.tables["gateway.agents"]
USERS = User.metadata.tables["gateway.users"]
