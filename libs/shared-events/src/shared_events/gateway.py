"""Events of the gateway."""

from datetime import datetime
from typing import ClassVar, Literal
from uuid import UUID

from shared_events.envelope import Contract, EventData

Role = Literal["admin", "supervisor", "agent"]


class Agent(Contract):
    """A person who works in a tenant."""

    id: UUID
    name: str
    email: str
    role: Role
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class AgentCreated(EventData):
    """A person joined a tenant (its first admin included)."""

    event_type: ClassVar[str] = "agent.created"
    aggregate_type: ClassVar[str] = "agent"
    description: ClassVar[str] = "An agent was created"

    agent: Agent


class AgentUpdated(EventData):
    """Name, role or activity of an agent changed."""

    event_type: ClassVar[str] = "agent.updated"
    aggregate_type: ClassVar[str] = "agent"
    description: ClassVar[str] = "An agent was updated"

    agent: Agent
