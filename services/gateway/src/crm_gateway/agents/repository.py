"""SQL of agents."""

from datetime import datetime
from uuid import UUID

from asyncpg import Record, UniqueViolationError
from pydantic import AwareDatetime
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.ids import uuid7
from service_kit.paging import Order
from shared_events.gateway.agent import Agent, AgentCreated, Role
from shared_events.requests import Page
from sqlalchemy import select

from crm_gateway.agents.models import AGENTS, USERS
from crm_gateway.agents.schemas import ListAgents

_A = AGENTS.c
_AGENT = select(AGENTS, USERS.c.name, USERS.c.email).join_from(AGENTS, USERS)
_AS_THEY_JOINED = Order(
    "agents", [(_A.created_at, AwareDatetime), (_A.id, UUID)], tenant=_A.tenant_id
)


def _agent(row: Record) -> Agent:
    return Agent.model_validate(dict(row))


async def add(
    tx: Transaction,
    *,
    name: str,
    email: str,
    role: Role,
    password_hash: str | None = None,
    invitation_hash: str | None = None,
    invitation_expires_at: datetime | None = None,
) -> Agent | None:
    """Create user and agent, and say so; None when the e-mail is taken, in whatever tenant."""
    user_id = await tx.fetchval(
        "INSERT INTO users (id, tenant_id, name, email, password_hash, invitation_hash,"
        " invitation_expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)"
        " ON CONFLICT (email) DO NOTHING RETURNING id",
        uuid7(),
        tx.tenant_id,
        name,
        email,
        password_hash,
        invitation_hash,
        invitation_expires_at,
    )
    if user_id is None:
        return None
    await tx.execute(
        "INSERT INTO agents (id, tenant_id, role) VALUES ($1, $2, $3)",
        user_id,
        tx.tenant_id,
        role,
    )
    agent = await get(tx, user_id)
    if agent is not None:
        tx.outbox.add(AgentCreated(agent=agent), agent.id)
    return agent


async def get(tx: Transaction, agent_id: UUID, *, lock: bool = False) -> Agent | None:
    """One agent, locked when it is about to change."""
    query = _AGENT.where(_A.id == agent_id)
    row = await tx.fetchrow(query.with_for_update(of=AGENTS) if lock else query)
    return _agent(row) if row else None


async def page(tx: Transaction, request: ListAgents) -> Page[Agent]:
    """Agents in the order they joined; raises MalformedError."""
    query = _AGENT
    if request.active is not None:
        query = query.where(_A.active == request.active)
    if request.role is not None:
        query = query.where(_A.role == request.role)
    return await _AS_THEY_JOINED.page(tx, query, request, _agent)


async def lock_admins(tx: Transaction) -> set[UUID]:
    """The active admins, locked: two cannot step down at once, each trusting the other."""
    rows = await tx.fetch(
        "SELECT id FROM agents WHERE role = 'admin' AND active ORDER BY id FOR UPDATE"
    )
    return {row["id"] for row in rows}


async def save(tx: Transaction, agent: Agent) -> Agent:
    """Store the changed agent as its next version."""
    try:
        await tx.execute(
            "UPDATE users SET name = $2, email = $3, updated_at = now() WHERE id = $1",
            agent.id,
            agent.name,
            agent.email,
        )
    except UniqueViolationError:
        raise ConflictError("email_taken", "Another account has this e-mail.") from None
    row = await tx.fetchrow(
        "UPDATE agents SET role = $2, active = $3, version = version + 1, updated_at = now()"
        " WHERE id = $1 RETURNING version, updated_at",
        agent.id,
        agent.role,
        agent.active,
    )
    if row is None:
        raise LookupError("the agent vanished while locked")
    return agent.model_copy(update={"version": row["version"], "updated_at": row["updated_at"]})
