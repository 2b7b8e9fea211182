"""SQL of agents."""

from datetime import datetime
from uuid import UUID

from asyncpg import Record, UniqueViolationError
from service_kit.database import Transaction
from service_kit.errors import ConflictError
from service_kit.ids import uuid7
from shared_events.gateway import Agent, AgentCreated, Role

_AGENT = (
    "SELECT a.id, u.name, u.email, a.role, a.active, a.version, a.created_at, a.updated_at"
    " FROM agents a JOIN users u ON u.id = a.id"
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
    row = await tx.fetchrow(
        f"{_AGENT} WHERE a.id = $1{' FOR UPDATE OF a' if lock else ''}", agent_id
    )
    return _agent(row) if row else None


async def page(
    tx: Transaction,
    *,
    active: bool | None,
    role: Role | None,
    after: tuple[datetime, UUID] | None,
    offset: int,
    limit: int,
) -> list[Agent]:
    """Agents in the order they joined, beginning after a position."""
    rows = await tx.fetch(
        f"{_AGENT} WHERE ($1::boolean IS NULL OR a.active = $1)"
        " AND ($2::text IS NULL OR a.role = $2)"
        " AND ($3::timestamptz IS NULL OR (a.created_at, a.id) > ($3, $4::uuid))"
        " ORDER BY a.created_at, a.id OFFSET $5 LIMIT $6",
        active,
        role,
        after[0] if after else None,
        after[1] if after else None,
        offset,
        limit,
    )
    return [_agent(row) for row in rows]


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
