"""SQL of agents."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from uuid import UUID

from asyncpg import UniqueViolationError
from pydantic import AwareDatetime
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.ids import uuid7
from service_kit.paging import Order
from service_kit.rows import Rows, Shape
from shared_events.gateway.agent import Agent, AgentCreated
from shared_events.requests import Page
from sqlalchemy import and_, case, func, null
from sqlmodel import col, select

from crm_gateway.agents.models import AgentRow
from crm_gateway.agents.places import Place, place_of
from crm_gateway.agents.schemas import ListAgents, ListedAgent
from crm_gateway.auth.models import User
from crm_gateway.auth.repository import USERS, Invited
from crm_gateway.custom_roles.models import RoleRow
from crm_gateway.mail.languages import Language
from crm_gateway.two_factor.models import Authenticator

_AGENTS = Rows(AgentRow)
_A = _AGENTS.table.c
_AGENT = Shape(Agent)
_LISTED = Shape(ListedAgent)


@dataclass(frozen=True, slots=True)
class Named:
    """Who joins, as the company says it, and the role they will have."""

    name: str
    email: str
    place: Place


@dataclass(frozen=True, slots=True)
class Inviter:
    """The company somebody is invited to, and the language of the person who invites."""

    company: str
    language: Language | None


@dataclass(frozen=True, slots=True)
class Admin:
    """An active admin, and whether the e-mail is proved."""

    id: UUID
    proved: bool


_INVITER = Shape(Inviter)
_ADMIN = Shape(Admin)
_CUSTOM_ROLE = case(
    (
        col(RoleRow.id).is_not(None),
        func.jsonb_build_object("id", col(RoleRow.id), "name", col(RoleRow.name)),
    )
).label("custom_role")
# Of who was invited from another company, and has not come yet, only that is known.
_JOINED = (
    select(
        AgentRow,
        func.coalesce(_A.known_as, col(User.name)).label("name"),
        func.coalesce(col(User.email), _A.invited_email).label("email"),
        _CUSTOM_ROLE,
    )
    .outerjoin(User, col(User.id) == _A.user_id)
    .outerjoin(RoleRow, and_(col(RoleRow.id) == _A.role_id, _A.role == "agent"))
)
_FOR_MANAGERS = _JOINED.outerjoin(
    Authenticator, col(Authenticator.user_id) == _A.user_id
).add_columns(
    col(User.email_verified_at).is_not(None).label("email_verified"),
    col(Authenticator.confirmed_at).is_not(None).label("two_factor"),
)
_FOR_OTHERS = _JOINED.add_columns(null().label("email_verified"), null().label("two_factor"))
_SAVE_EMAIL = """
UPDATE users SET email = $3, invitation_hash = NULL, reset_hash = NULL, verification_hash = NULL,
    email_verified_at = NULL, updated_at = now()
WHERE id = (SELECT user_id FROM agents WHERE tenant_id = $1 AND id = $2) AND (NOT shared OR $4)
RETURNING id
"""
_SAVE_NAME = """
UPDATE users SET name = $3, updated_at = now() WHERE tenant_id = $1 AND id = $2 AND name <> $3
"""
_LOCK_ADMINS = """
SELECT FROM agents WHERE tenant_id = $1 AND role = 'admin' AND active ORDER BY id FOR UPDATE
"""
_ADMINS = """
SELECT a.id, u.email_verified_at IS NOT NULL AS proved
FROM agents a LEFT JOIN users u ON u.id = a.user_id
WHERE a.tenant_id = $1 AND a.role = 'admin' AND a.active
"""
_COMPANY = """
SELECT p.name AS company, u.language FROM projects p
LEFT JOIN agents a ON a.tenant_id = $1 AND a.id = $2 LEFT JOIN users u ON u.id = a.user_id
WHERE p.tenant_id = $1
"""
_AS_THEY_JOINED = Order(
    "agents", [(_A.created_at, AwareDatetime), (_A.id, UUID)], tenant=_A.tenant_id
)


async def add(
    tx: Transaction,
    named: Named,
    *,
    password_hash: str | None = None,
    invitation: Invited | None = None,
    language: str | None = None,
) -> Agent | None:
    """Create user and agent, and say so; None when the e-mail is taken, in whatever tenant."""
    user = User(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        name=named.name,
        email=named.email,
        password_hash=password_hash,
        language=language,
        **(asdict(invitation) if invitation else {}),
    )
    if not await USERS.insert(tx, [user], unless="(email)"):
        return None
    place = named.place
    row = AgentRow(id=user.id, tenant_id=tx.tenant_id, role=place.role, role_id=_custom_id(place))
    await _AGENTS.insert(tx, [row])
    return await _told(tx, row.id)


async def add_from_elsewhere(
    tx: Transaction, named: Named, account_id: UUID, invitation: Invited
) -> Agent | None:
    """Create an agent for a user of another tenant, and say so; None for who is here already."""
    row = AgentRow(
        id=uuid7(),
        tenant_id=tx.tenant_id,
        role=named.place.role,
        role_id=_custom_id(named.place),
        account_id=account_id,
        known_as=named.name,
        invited_email=named.email,
        **asdict(invitation),
    )
    if not await _AGENTS.insert(tx, [row], unless="(user_id, tenant_id)"):
        return None
    return await _told(tx, row.id)


async def _told(tx: Transaction, agent_id: UUID) -> Agent | None:
    agent = await get(tx, agent_id)
    if agent is not None:
        tx.outbox.add(AgentCreated(agent=agent), agent.id)
    return agent


async def get(tx: Transaction, agent_id: UUID, *, lock: bool = False) -> Agent | None:
    """One agent, locked when it is about to change."""
    query = _JOINED.where(_A.id == agent_id)
    return await _AGENT.first(tx, query.with_for_update(of=AgentRow) if lock else query)


async def get_many(tx: Transaction, agent_ids: Sequence[UUID]) -> list[Agent]:
    """Those of the agents that are there, in no order."""
    return await _AGENT.find(tx, _JOINED.where(_A.id.in_(agent_ids)))


async def page(tx: Transaction, request: ListAgents, *, for_managers: bool) -> Page[ListedAgent]:
    """Agents in the order they joined; raises MalformedError."""
    query = _FOR_MANAGERS if for_managers else _FOR_OTHERS
    if request.active is not None:
        query = query.where(_A.active == request.active)
    if request.role is not None:
        place = await place_of(tx, request.role, lock=False)
        query = query.where(
            _A.role == place.role, _A.role_id.is_not_distinct_from(_custom_id(place))
        )
    return await _AS_THEY_JOINED.page(tx, query, request, _LISTED, lambda agent: agent)


async def inviter(tx: Transaction, user_id: UUID | None) -> Inviter:
    """Who invites: the tenant and, unless it is a key, a user of it."""
    found = await _INVITER.first(tx, _COMPANY, tx.tenant_id, user_id)
    if found is None:
        raise LookupError("a tenant without a company")
    return found


async def lock_admins(tx: Transaction) -> list[Admin]:
    """The active admins, locked: two cannot step down at once, each trusting the other."""
    await tx.execute(_LOCK_ADMINS, tx.tenant_id)
    return await _ADMIN.find(tx, _ADMINS, tx.tenant_id)  # as they are once nobody else changes them


async def save(tx: Transaction, agent: Agent) -> Agent:
    """Store name, role and activity of the changed agent as its next version.

    The name is the user's where the agent is the user, else what this company calls them.
    """
    await tx.execute(_SAVE_NAME, tx.tenant_id, agent.id, agent.name)
    row = await _AGENTS.first(
        tx,
        "UPDATE agents SET role = $2, role_id = $3, active = $4, version = version + 1,"
        " known_as = CASE WHEN account_id IS NOT NULL THEN $5 END, updated_at = now()"
        " WHERE id = $1 RETURNING *",
        agent.id,
        agent.role,
        _custom_id(agent),
        agent.active,
        agent.name,
    )
    if row is None:
        raise LookupError("the agent vanished while locked")
    return agent.model_copy(update={"version": row.version, "updated_at": row.updated_at})


async def save_email(tx: Transaction, agent: Agent, *, own: bool) -> UUID:
    """Store the changed e-mail; what was mailed to the one before opens nothing any more.

    Returns whose account it is. Raises ConflictError for one that another account has, and for that
    of a user who is of other tenants as well, unless it is the caller's `own`.
    """
    try:
        account_id: UUID | None = await tx.fetchval(
            _SAVE_EMAIL, tx.tenant_id, agent.id, agent.email, own
        )
    except UniqueViolationError:
        raise ConflictError("email_taken", "Another account has this e-mail.") from None
    if account_id is None:
        raise of_several_companies()
    return account_id


def of_several_companies() -> ConflictError:
    """Why one company may not change what a person has in all of them."""
    return ConflictError(
        "person_of_several_companies", "The person works elsewhere too: only they may change this."
    )


def _custom_id(who: Agent | Place) -> UUID | None:
    return who.custom_role.id if who.custom_role else None
