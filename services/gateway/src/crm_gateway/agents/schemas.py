"""What the agent routes take and give."""

from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints
from shared_events.gateway.agent import Agent
from shared_events.requests import BatchQuery, Command, ListQuery, Query

from crm_gateway.auth.schemas import Email, Name, NewPassword, WithPassword

RoleReference = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)
]
"""`admin`, `supervisor`, `agent`, or the name or id of a role the company made for itself."""


class NewAgent(Agent):
    """An agent, with the invitation token when one was made; it is shown only here."""

    invitation_token: str | None = None


class ListedAgent(Agent):
    """An agent in a list. Who manages agents is told as well whether the e-mail is proved, and
    whether logging in takes a second factor; of others' lists these are null."""

    email_verified: bool | None = None
    two_factor: bool | None = None


class CreateAgent(Command[NewAgent], WithPassword, key="gateway.agent.create"):
    """Add a person to the company. Without a password the person is invited.

    The invitation is mailed, if mail is sent at all; its token is in the reply too, and works once,
    within seven days.
    """

    name: Name
    email: Email
    role: RoleReference
    password: NewPassword | None = None


class UpdateAgent(Command[Agent], key="gateway.agent.update"):
    """Change an agent; what is left out stays. The last active admin cannot be removed.

    With another e-mail an invitation that was not accepted ends: send it again.
    """

    agent_id: UUID
    name: Name | None = None
    email: Email | None = None
    role: RoleReference | None = None
    active: bool | None = None


class ResendInvitation(Command[NewAgent], key="gateway.agent.resend_invitation"):
    """Invite a person again who has not accepted yet. The invitation of before ends."""

    agent_id: UUID


class GetAgent(Query[Agent], key="gateway.agent.get"):
    """Read one agent."""

    agent_id: UUID


class GetAgents(BatchQuery[Agent], key="gateway.agent.get_many"):
    """Read several agents, such as those that sessions are assigned to."""


class ListAgents(ListQuery[ListedAgent], key="gateway.agent.list"):
    """All agents, in the order they joined."""

    active: bool | None = None
    role: RoleReference | None = None
