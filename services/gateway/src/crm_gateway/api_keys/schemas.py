"""What the API key routes take and give."""

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from shared_events.envelope import Contract
from shared_events.requests import Command, ListQuery, Moment, Nothing, Query

from crm_gateway.access.roles import is_grantable
from crm_gateway.auth.schemas import Name


def _grantable(scope: str) -> str:
    if not is_grantable(scope):
        raise ValueError("is no permission")
    return scope


def _network(address: str) -> str:
    """An address is a network of one; bits beside the mask are dropped."""
    return str(ip_network(address, strict=False))


Scope = Annotated[str, StringConstraints(max_length=50), AfterValidator(_grantable)]
"""A permission, or a pattern such as `contacts.*`."""
AllowedIp = Annotated[str, StringConstraints(max_length=50), AfterValidator(_network)]


class ApiKey(Contract):
    """A key of the company's, without the key: `prefix` is how it begins."""

    id: UUID
    name: str
    prefix: str
    scopes: list[str]
    allowed_ips: list[str]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_by: UUID | None
    version: int
    created_at: datetime
    updated_at: datetime


class NewApiKey(ApiKey):
    """A key that was just made: `key` is shown here and never again."""

    key: str


class CreateApiKey(Command[NewApiKey], key="gateway.api_key.create"):
    """Make an API key, to be sent as `X-Api-Key`. The reply alone shows it.

    `scopes` are permissions of the maker's, all of them when left out. `allowed_ips` are addresses
    or networks it is good from, any when left out. It belongs to the company: it works on when its
    maker leaves, until it expires or is deleted.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "name": "Loja virtual",
                "scopes": ["contacts.*", "messages.send"],
                "allowed_ips": ["203.0.113.0/24"],
                "expires_at": "2030-01-01T00:00:00Z",
            }
        }
    )

    name: Name
    scopes: list[Scope] | None = Field(default=None, min_length=1, max_length=50)
    allowed_ips: list[AllowedIp] = Field(default_factory=list, max_length=50)
    expires_at: Moment | None = None


class RotateApiKey(Command[NewApiKey], key="gateway.api_key.rotate"):
    """Replace the key and keep everything else; the old one is refused from now on."""

    api_key_id: UUID


class DeleteApiKey(Command[Nothing], key="gateway.api_key.delete"):
    """Revoke a key: it is refused from now on."""

    api_key_id: UUID


class GetApiKey(Query[ApiKey], key="gateway.api_key.get"):
    """Read one API key."""

    api_key_id: UUID


class ListApiKeys(ListQuery[ApiKey], key="gateway.api_key.list"):
    """All API keys, newest first."""
