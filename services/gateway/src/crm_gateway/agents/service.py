"""The people of a company."""

import secrets
from datetime import UTC, datetime, timedelta

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.gateway.agent import Agent, AgentUpdated
from shared_events.requests import Page

from crm_gateway.agents import repository
from crm_gateway.agents.schemas import CreateAgent, GetAgent, ListAgents, NewAgent, UpdateAgent
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.repository import revoke_user, token_hash
from crm_gateway.rest.own import OwnRequests

_INVITATION_DAYS = 7


class Agents:
    """Answers the agent routes, each in the transaction of its tenant."""

    def __init__(self, passwords: Passwords) -> None:
        self._passwords = passwords

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about agents."""
        own.answer(CreateAgent, self.create, shows_secret=True)
        own.answer(UpdateAgent, self.update)
        own.answer(GetAgent, self.get)
        own.answer(ListAgents, self.list)

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
        PreconditionFailedError.check(call.expected_version, agent.version)
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
        return await repository.page(tx, request)
