"""Of which companies a person is, and who is invited to another: found across companies.

It runs in the scope "membership", which sees agents and projects and nothing else.
"""

from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Database, Transaction
from service_kit.rows import Shape

from crm_gateway.auth.models import User
from crm_gateway.auth.repository import token_hash
from crm_gateway.auth.schemas import TenantView

_PLACES = """
SELECT a.id AS agent_id, a.tenant_id, p.name AS tenant_name
FROM agents a JOIN projects p ON p.tenant_id = a.tenant_id
WHERE a.user_id = {whose} AND a.active AND (a.account_id IS NULL OR a.joined_at IS NOT NULL)
ORDER BY a.entered_at DESC NULLS LAST, a.created_at, a.id
"""
_OF_ACCOUNT = _PLACES.format(whose="$1")
_OF_AGENT = _PLACES.format(whose="(SELECT user_id FROM agents WHERE tenant_id = $1 AND id = $2)")
_INVITATION = """
(a.invitation_hash = $1 OR a.verification_hash = $1) AND a.invitation_expires_at > now()
AND a.joined_at IS NULL AND a.active
"""
_INVITED = f"""
SELECT a.id AS agent_id, a.tenant_id, p.name AS tenant_name, a.account_id,
    a.invited_email AS email, a.verification_hash = $1 AS by_mail
FROM agents a JOIN projects p ON p.tenant_id = a.tenant_id
WHERE a.account_id IS NOT NULL AND {_INVITATION}
"""  # noqa: S608 - our own text
_TAKE = f"""
UPDATE agents a SET joined_at = now(), invitation_hash = NULL, verification_hash = NULL,
    invitation_expires_at = NULL, updated_at = now()
FROM users u
WHERE a.tenant_id = $2 AND a.id = $3 AND {_INVITATION}
AND u.id = a.account_id AND u.email = a.invited_email AND u.password_hash = $4
"""  # noqa: S608 - our own text
_SHARE = """
UPDATE users SET shared = true, updated_at = now(),
    email_verified_at = coalesce(email_verified_at, CASE WHEN $2 THEN now() END)
WHERE id = $1
"""


@dataclass(frozen=True, slots=True)
class Place:
    """A company somebody may come in to, and the agent they are there."""

    agent_id: UUID
    tenant_id: str
    tenant_name: str

    @property
    def tenant(self) -> TenantView:
        """The company, as it is shown."""
        return TenantView(id=UUID(self.tenant_id), name=self.tenant_name)


@dataclass(frozen=True, slots=True)
class Guest(Place):
    """Somebody with an account who is invited to another company, at this address; `by_mail`: by
    the token that was sent there."""

    account_id: UUID
    email: str
    by_mail: bool


_PLACE = Shape(Place)
_GUEST = Shape(Guest)


class Memberships:
    """Finds companies of people."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, account_id: UUID) -> list[Place]:
        """The companies that let the person in, the one they came to last before all others."""
        async with self._database.system("membership") as tx:
            return await _PLACE.find(tx, _OF_ACCOUNT, account_id)

    async def of_agent(self, tenant_id: str, agent_id: UUID) -> list[Place]:
        """The same of the person who is this agent."""
        async with self._database.system("membership") as tx:
            return await _PLACE.find(tx, _OF_AGENT, tenant_id, agent_id)

    async def invited(self, token: str) -> Guest | None:
        """Whom the token invites, if it is somebody who has an account already."""
        async with self._database.system("membership") as tx:
            return await _GUEST.first(tx, _INVITED, token_hash(token))


async def join(tx: Transaction, guest: Guest, token: str, user: User) -> bool:
    """Make the guest, who has proved to be this user, an agent of the transaction's tenant, once.

    False for a token that is stale by now, and for a user who has another e-mail or password.
    """
    hashed, whose = token_hash(token), (tx.tenant_id, guest.agent_id)
    if not await tx.execute(_TAKE, hashed, *whose, user.password_hash):
        return False
    await tx.execute(_SHARE, user.id, guest.by_mail)
    return True


async def enter(tx: Transaction, agent_id: UUID) -> None:
    """Note that the person has come to the transaction's tenant."""
    await tx.execute(
        "UPDATE agents SET entered_at = now() WHERE tenant_id = $1 AND id = $2",
        tx.tenant_id,
        agent_id,
    )
