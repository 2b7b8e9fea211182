"""The people of a company."""

import base64
import binascii
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.gateway import Agent, AgentUpdated
from shared_events.requests.base import Page

from crm_gateway.agents import repository
from crm_gateway.agents.schemas import CreateAgent, GetAgent, ListAgents, NewAgent, UpdateAgent
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.repository import revoke_user, token_hash

_INVITATION_DAYS = 7


class Agents:
    """Answers the agent routes, each in the transaction of its tenant."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    async def create(self, tx: Transaction, request: CreateAgent, call: Call) -> NewAgent:
        """Add a person; an e-mail that has an account is a conflict."""
        del call
        if request.password is not None:
            invitation = None
            agent = await repository.add(
                tx,
                name=request.name,
                email=request.email,
                role=request.role,
                password_hash=await self._passwords.hash(request.password.get_secret_value()),
            )
        else:
            invitation = secrets.token_urlsafe(32)
            agent = await repository.add(
                tx,
                name=request.name,
                email=request.email,
                role=request.role,
                invitation_hash=token_hash(invitation),
                invitation_expires_at=datetime.now(UTC) + timedelta(days=_INVITATION_DAYS),
            )
        if agent is None:
            raise ConflictError("email_taken", "This e-mail has an account already.")
        return NewAgent(**agent.model_dump(), invitation_token=invitation)

    async def update(self, tx: Transaction, request: UpdateAgent, call: Call) -> Agent:
        """Change a person; somebody active must stay admin."""
        admins = await repository.lock_admins(tx)
        agent = await repository.get(tx, request.agent_id, lock=True)
        if agent is None:
            raise NotFoundError("agent")
        if call.expected_version not in (None, agent.version):
            raise PreconditionFailedError("stale_version", "The agent has changed since.")
        wanted = request.model_dump(exclude={"agent_id"}, exclude_none=True)
        changed = agent.model_copy(update=wanted)
        if changed == agent:
            return agent
        stays_admin = changed.role == "admin" and changed.active
        if admins == {agent.id} and not stays_admin:
            raise ConflictError("last_admin", "The last active admin cannot be removed.")
        saved = await repository.save(tx, changed)
        if not saved.active:
            await revoke_user(tx, saved.id)
        tx.outbox.add(AgentUpdated(agent=saved), saved.id)
        return saved

    async def get(self, tx: Transaction, request: GetAgent, call: Call) -> Agent:
        """One person."""
        del call
        agent = await repository.get(tx, request.agent_id)
        if agent is None:
            raise NotFoundError("agent")
        return agent

    async def list(self, tx: Transaction, request: ListAgents, call: Call) -> Page[Agent]:
        """A page of people."""
        del call
        found = await repository.page(
            tx,
            active=request.active,
            role=request.role,
            after=_read_cursor(request.cursor) if request.cursor else None,
            offset=request.offset,
            limit=request.limit + 1,
        )
        data = found[: request.limit]
        has_more = len(found) > request.limit
        return Page[Agent](
            data=data, has_more=has_more, next_cursor=_cursor(data[-1]) if has_more else None
        )


def _cursor(last: Agent) -> str:
    return base64.urlsafe_b64encode(f"{last.created_at.isoformat()}|{last.id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        moment, _, agent_id = base64.urlsafe_b64decode(cursor).decode().partition("|")
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(agent_id)
    except (binascii.Error, ValueError):
        raise MalformedError("invalid_cursor", "This cursor is not one of ours.") from None
