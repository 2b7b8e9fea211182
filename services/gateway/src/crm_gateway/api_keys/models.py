"""The table of API keys."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import Index, text
from sqlmodel import Field

from crm_gateway.tables import Base


class ApiKeyRow(Base, table=True):
    """What lets a system of the tenant's in. The key itself is nowhere: only its hash is kept, and
    its first characters, by which people tell keys apart."""

    __tablename__ = "api_keys"
    __table_args__ = (Index("idx_api_keys_tenant", "tenant_id", "id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    prefix: str = Field(max_length=20)
    key_hash: str = Field(max_length=64, unique=True)
    scopes: list[str] = columns.texts()
    allowed_ips: list[str] = columns.texts()
    expires_at: datetime | None = columns.maybe_moment()
    last_used_at: datetime | None = columns.maybe_moment()
    created_by: UUID | None = Field(default=None)
    version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()
