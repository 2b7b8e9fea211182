"""Tables of tenants, their users and what proves who they are."""

from datetime import datetime
from typing import Any
from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Identity, Index, text
from sqlmodel import Field

from crm_gateway.tables import Base


def _token_version() -> Any:
    return Field(default=0, sa_column_kwargs={"server_default": text("0")})


class Project(Base, table=True):
    """A company: its id is the tenant id of everything it owns. How it works is in `company`."""

    __tablename__ = "projects"

    id: UUID = Field(primary_key=True)
    tenant_id: str = Field(max_length=255, unique=True)
    name: str = Field(max_length=255)
    agents_see: str = Field(
        default="all", max_length=20, sa_column_kwargs={"server_default": text("'all'")}
    )
    auto_assignment: str = Field(
        default="off", max_length=20, sa_column_kwargs={"server_default": text("'off'")}
    )
    sessions_per_agent: int = Field(default=10, sa_column_kwargs={"server_default": text("10")})
    opt_out_words: list[str] = columns.texts()
    opt_in_words: list[str] = columns.texts()
    require_two_factor: bool = Field(
        default=False, sa_column_kwargs={"server_default": text("false")}
    )
    event_retention_days: int | None = None
    settings_version: int = Field(default=1, sa_column_kwargs={"server_default": text("1")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()


class User(Base, table=True):
    """A person who may log in, to the tenant the account was opened in and to others (`agents`).

    The e-mail is kept in lower case and is unique over all tenants. Where a user is `shared` among
    them none may change it, or take the second factor away.

    Without a password the person was invited and has not accepted yet. Tokens of an earlier
    `token_version` are worth nothing. The newest mail about a forgotten password has the token of
    `reset_hash`, the newest that is to prove the address that of `verification_hash`: an invitation
    too, beside `invitation_hash`, which is of the token shown to who invites.
    """

    __tablename__ = "users"
    __table_args__ = (Index("idx_users_tenant", "tenant_id"),)

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    name: str = Field(max_length=255)
    email: str = Field(max_length=255, unique=True)
    password_hash: str | None = Field(default=None, max_length=255)
    invitation_hash: str | None = Field(default=None, max_length=64, unique=True)
    invitation_expires_at: datetime | None = columns.maybe_moment()
    token_version: int = _token_version()
    language: str | None = Field(default=None, max_length=10)
    reset_hash: str | None = Field(default=None, max_length=64, unique=True)
    reset_expires_at: datetime | None = columns.maybe_moment()
    email_verified_at: datetime | None = columns.maybe_moment()
    verification_hash: str | None = Field(default=None, max_length=64, unique=True)
    verification_expires_at: datetime | None = columns.maybe_moment()
    shared: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    created_at: datetime = columns.stamped()
    updated_at: datetime = columns.stamped()


class RefreshToken(Base, table=True):
    """A refresh token, known only by its hash. A family is one login and what followed from it."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (
        Index("idx_refresh_tokens_family", "family_id"),
        Index("idx_refresh_tokens_user", "user_id"),
        Index("idx_refresh_tokens_expires", "expires_at"),
    )

    id: UUID = Field(primary_key=True)
    tenant_id: str = columns.tenant_id()
    user_id: UUID = Field(foreign_key="gateway.users.id")
    family_id: UUID
    token_hash: str = Field(max_length=64, unique=True)
    token_version: int = _token_version()
    expires_at: datetime = columns.moment()
    used_at: datetime | None = columns.maybe_moment()
    revoked_at: datetime | None = columns.maybe_moment()
    created_at: datetime = columns.stamped()


class Tally(Base, table=True):
    """How often something was tried, until its window ends. No tenant is known of most subjects:
    they are hashes of accounts, addresses and the like."""

    __tablename__ = "tallies"
    __table_args__ = (Index("idx_tallies_ends", "ends_at"),)

    subject: str = Field(max_length=300, primary_key=True)
    count: int
    ends_at: datetime = columns.moment()


class LoginFailure(Base, table=True):
    """A failed login, as gateways of before counted them; nothing is written here any more."""

    __tablename__ = "login_failures"
    __table_args__ = (Index("idx_login_failures_subject", "subject", "failed_at"),)

    seq: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    subject: str = Field(max_length=64)
    failed_at: datetime = columns.stamped()
