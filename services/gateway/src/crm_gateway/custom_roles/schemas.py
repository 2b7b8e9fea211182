"""What the role routes take and give."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from shared_events.envelope import Contract
from shared_events.gateway.company import AgentsSee
from shared_events.requests import Command, ListQuery, Nothing, Query

from crm_gateway.access.roles import ROLES
from crm_gateway.api_keys.schemas import Scope

RoleName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]


def _free(name: str) -> str:
    if name.lower() in ROLES:
        raise ValueError("is a role everybody has")
    return name


def _not_everything(permission: str) -> str:
    if permission == "*":
        raise ValueError("is for admins only")
    return permission


NewName = Annotated[RoleName, AfterValidator(_free)]
Permissions = Annotated[
    list[Annotated[Scope, AfterValidator(_not_everything)]], Field(min_length=1, max_length=50)
]
"""Permissions, or patterns such as `contacts.*`; all of them is what admins have."""


class Role(Contract):
    """A role a company made for itself.

    `sees`: which sessions, with all that is said in them, who has it sees; null is what agents see
    in this company (`agents_see` of its settings).
    """

    id: UUID
    name: str
    permissions: list[str]
    sees: AgentsSee | None
    version: int
    created_at: datetime
    updated_at: datetime


class CreateRole(Command[Role], key="gateway.role.create"):
    """Make a role, to be given to agents by its name or id. Nobody grants what they have not."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "Qualidade",
                "permissions": ["contacts.read", "messages.read", "sessions.read", "notes.*"],
                "sees": "all",
            }
        }
    )

    name: NewName
    permissions: Permissions
    sees: AgentsSee | None = None


class PatchRole(Command[Role], key="gateway.role.patch"):
    """Change a role; what is left out stays. It acts at once on everybody who has it."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"permissions": ["contacts.read", "messages.read"]}}
    )

    role_id: UUID
    name: NewName | None = None
    permissions: Permissions | None = None
    sees: AgentsSee | None = None


class DeleteRole(Command[Nothing], key="gateway.role.delete"):
    """Remove a role that nobody has; 409 `role_in_use` while somebody does."""

    role_id: UUID


class GetRole(Query[Role], key="gateway.role.get"):
    """Read one role."""

    role_id: UUID


class ListRoles(ListQuery[Role], key="gateway.role.list"):
    """The roles the company made for itself, newest first."""
