"""What the agent routes take and give."""

from typing import ClassVar
from uuid import UUID

from shared_events.gateway import Agent, Role
from shared_events.requests.base import Kind, ListRequest, Page, Request

from crm_gateway.auth.schemas import Email, Name, NewPassword, WithPassword


class NewAgent(Agent):
    """An agent, with the invitation token when one was made; it is shown only here."""

    invitation_token: str | None = None


class CreateAgent(WithPassword):
    """Add a person to the company. Without a password the reply has an invitation token."""

    key: ClassVar[str] = "gateway.agent.create"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[NewAgent]] = NewAgent

    name: Name
    email: Email
    role: Role
    password: NewPassword | None = None


class UpdateAgent(Request):
    """Change an agent; what is left out stays. The last active admin cannot be removed."""

    key: ClassVar[str] = "gateway.agent.update"
    kind: ClassVar[Kind] = "command"
    reply: ClassVar[type[Agent]] = Agent
    path: ClassVar[tuple[str, ...]] = ("agent_id",)

    agent_id: UUID
    name: Name | None = None
    email: Email | None = None
    role: Role | None = None
    active: bool | None = None


class GetAgent(Request):
    """Read one agent."""

    key: ClassVar[str] = "gateway.agent.get"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Agent]] = Agent
    path: ClassVar[tuple[str, ...]] = ("agent_id",)

    agent_id: UUID


class ListAgents(ListRequest):
    """All agents, in the order they joined."""

    key: ClassVar[str] = "gateway.agent.list"
    kind: ClassVar[Kind] = "query"
    reply: ClassVar[type[Page[Agent]]] = Page[Agent]

    active: bool | None = None
    role: Role | None = None
