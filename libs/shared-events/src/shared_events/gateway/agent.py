"""Agents: the people who work in a tenant."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from shared_events import bounds
from shared_events.envelope import Contract, EventData

Role = Literal["admin", "supervisor", "agent"]


class CustomRole(Contract):
    """A role a company made for itself, as an agent has it."""

    id: UUID
    name: bounds.Word


class Agent(Contract):
    """A person who works in a tenant. Who has a custom role counts as an `agent` beside it."""

    id: UUID
    name: bounds.Name
    email: bounds.Email
    role: Role
    custom_role: CustomRole | None = None
    active: bool
    version: int
    created_at: datetime
    updated_at: datetime


class AgentCreated(EventData, type="agent.created", aggregate="agent", public=True):
    """An agent was created: a person joined a tenant (its first admin included)."""

    agent: Agent


class AgentUpdated(EventData, type="agent.updated", aggregate="agent"):
    """An agent was updated: name, role or activity."""

    agent: Agent
