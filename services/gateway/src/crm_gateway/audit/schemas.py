"""What the route of the audit log takes and gives."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field
from shared_events.envelope import Contract
from shared_events.requests import ListQuery, Moment

ActorType = Literal["agent", "api_key"]
Outcome = Literal["done", "unknown"]


class Actor(Contract):
    """Who did it: a person, or a system with an API key."""

    type: ActorType
    id: UUID
    name: str


class Target(Contract):
    """What it was done to."""

    type: str
    id: UUID | None


class AuditEntry(Contract):
    """An administrative act. `before` and `after` hold no secrets.

    `outcome` is `unknown` where the service that was asked gave no answer in time. `before` is
    known of agents and API keys.
    """

    id: UUID
    action: str
    actor: Actor
    target: Target
    outcome: Outcome
    address: str
    request_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    created_at: datetime


class ListAuditLog(ListQuery[AuditEntry], key="gateway.audit.list"):
    """Who did what, when and from where, newest first."""

    actor_id: UUID | None = None
    action: str | None = Field(default=None, max_length=100)
    target_id: UUID | None = None
    created_at_gte: Moment | None = Field(default=None, alias="created_at[gte]")
    created_at_lt: Moment | None = Field(default=None, alias="created_at[lt]")
