"""Tables of the replicas. `seq` is the newest event applied; 0 means learned from a message."""

from uuid import UUID

from service_kit import columns
from sqlalchemy import BigInteger, Column, Index, Text, text
from sqlmodel import Field

from crm_messaging.tables import Base

_FIRST = {"server_default": text("0")}
_FALSE = {"server_default": text("false")}


class ContactRef(Base, table=True):
    """A contact as messages and the inbox show it; `search_text` follows from name and phone."""

    __tablename__ = "contact_refs"
    __table_args__ = (
        # Of those with a text: no index that fits a company's name alone is to seem cheap.
        Index(
            "idx_contact_refs_words",
            *("tenant_id", "search_text"),
            postgresql_using="gin",
            postgresql_ops={
                "tenant_id": "extensions.varchar_ops",
                "search_text": "extensions.gin_trgm_ops",
            },
            postgresql_where=text("search_text <> ''"),
        ),
        Index(
            "idx_contact_refs_merged",
            *("tenant_id", "merged_into"),
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    contact_id: UUID = Field(primary_key=True)
    name: str = Field(max_length=255)
    phone: str | None = Field(default=None, max_length=50)
    profile_picture_url: str | None = columns.maybe_text()
    search_text: str = Field(
        default="", sa_column=Column(Text(collation="C"), nullable=False, server_default=text("''"))
    )
    deleted: bool = Field(default=False, sa_column_kwargs=_FALSE)
    merged_into: UUID | None = None
    """Who it is by now."""
    threads: dict[str, str] = columns.document()
    """By channel, the conversation that goes on where it is not the contact's first one there."""
    seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_FIRST)


class IdentityRef(Base, table=True):
    """Whose WhatsApp id this is; `value` is the id as WhatsApp reports it.

    `taken_off`: the contact got another phone, and no message has shown this one since. `proved`: a
    message showed it to be the contact's; else somebody typed it.
    """

    __tablename__ = "identity_refs"
    __table_args__ = (Index("idx_identity_refs_contact", "tenant_id", "contact_id"),)

    tenant_id: str = columns.tenant_id(primary_key=True)
    kind: str = Field(max_length=20, primary_key=True)
    canonical: str = Field(max_length=255, primary_key=True)
    value: str = Field(max_length=255)
    contact_id: UUID
    taken_off: bool = Field(default=False, sa_column_kwargs=_FALSE)
    proved: bool = Field(default=True, sa_column_kwargs={"server_default": text("true")})


class ChannelRef(Base, table=True):
    """A number, how long its conversations may be silent, and how it is, where that was told."""

    __tablename__ = "channel_refs"

    tenant_id: str = columns.tenant_id(primary_key=True)
    channel_id: UUID = Field(primary_key=True)
    name: str = Field(max_length=255)
    session_timeout_seconds: int
    status: str | None = Field(default=None, max_length=50)
    allow_groups: bool | None = None
    deleted: bool = Field(default=False, sa_column_kwargs=_FALSE)
    seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_FIRST)


class CompanyRef(Base, table=True):
    """How a company has sessions come to its agents; one that never said it has no row.

    `last_agent_id` is who was given one last.
    """

    __tablename__ = "company_refs"

    tenant_id: str = columns.tenant_id(primary_key=True)
    auto_assignment: str = Field(max_length=20)
    sessions_per_agent: int
    last_agent_id: UUID | None = None
    seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_FIRST)


class AgentRef(Base, table=True):
    """Somebody a session can be assigned to."""

    __tablename__ = "agent_refs"
    __table_args__ = (
        Index("idx_agent_refs_gone", "tenant_id", "agent_id", postgresql_where=text("NOT active")),
    )

    tenant_id: str = columns.tenant_id(primary_key=True)
    agent_id: UUID = Field(primary_key=True)
    name: str = Field(max_length=255)
    role: str | None = Field(default=None, max_length=20)
    active: bool
    seq: int = Field(default=0, sa_type=BigInteger, sa_column_kwargs=_FIRST)
