"""The tables of authenticators and of the codes to fall back on."""

from datetime import datetime
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, text
from sqlmodel import Field

from crm_gateway.tables import Base


class Authenticator(Base, table=True):
    """A person's authenticator. Until it is confirmed nobody is asked for its codes.

    A code is worth something once: those of `last_step` and before are used up.
    """

    __tablename__ = "authenticators"

    user_id: UUID = Field(primary_key=True, foreign_key="gateway.users.id")
    tenant_id: str = columns.tenant_id()
    sealed_secret: str = columns.text()
    confirmed_at: datetime | None = columns.maybe_moment()
    last_step: int = Field(
        default=0, sa_column=Column(BigInteger, nullable=False, server_default=text("0"))
    )
    created_at: datetime = columns.stamped()


class RecoveryCode(Base, table=True):
    """A code that lets its owner in once without the authenticator, known only by its hash."""

    __tablename__ = "recovery_codes"

    user_id: UUID = Field(primary_key=True, foreign_key="gateway.users.id")
    code_hash: str = Field(max_length=64, primary_key=True)
    tenant_id: str = columns.tenant_id()
    created_at: datetime = columns.stamped()
