"""The table of agents."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Column, Computed, ForeignKey, Index, UniqueConstraint, Uuid, text
from sqlmodel import Field

from crm_gateway.tables import Base


class AgentRow(Base, table=True):
    """A user's place in a tenant. A session assigned to "me" is assigned to its id.

    That is the user's own, unless the user is of another tenant: then `account_id` says who it is,
    `known_as` what this company calls them and `invited_email` where they were invited, by either
    of two tokens as in `User`, until they come (`joined_at`). `user_id` is the user in either case.
    Tokens of an earlier `token_version` are worth nothing here; `entered_at` is the last login.
    """

    __tablename__ = "agents"
    __table_args__ = (
        Index("idx_agents_tenant", "tenant_id", "created_at", "id"),
        Index("idx_agents_role", "tenant_id", "role_id"),
        UniqueConstraint("user_id", "tenant_id", name="agents_user_id_key"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    role: str = Field(max_length=20)
    role_id: UUID | None = Field(default=None, foreign_key="gateway.roles.id")
    active: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    account_id: UUID | None = None
    user_id: UUID | None = Field(
        default=None,
        sa_column=Column(
            Uuid,
            Computed("COALESCE(account_id, id)", persisted=True),
            ForeignKey("gateway.users.id"),
        ),
    )
    known_as: str | None = Field(default=None, max_length=255)
    invited_email: str | None = Field(default=None, max_length=255)
    invitation_hash: str | None = Field(default=None, max_length=64, unique=True)
    verification_hash: str | None = Field(default=None, max_length=64, unique=True)
    invitation_expires_at: datetime | None = columns.maybe_moment()
    joined_at: datetime | None = columns.maybe_moment()
    entered_at: datetime | None = columns.maybe_moment()
    token_version: int = Field(default=0, sa_column_kwargs={"server_default": text("0")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
