"""The people of a company."""

import secrets
from datetime import UTC, datetime, timedelta

from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.gateway.agent import Agent, AgentUpdated, Role
from shared_events.requests import Page

from crm_gateway.access.roles import covers, permissions_of
from crm_gateway.access.standings import Standings
from crm_gateway.agents import repository
from crm_gateway.agents.schemas import CreateAgent, GetAgent, ListAgents, NewAgent, UpdateAgent
from crm_gateway.audit.repository import record
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.repository import end_sessions, token_hash
from crm_gateway.rest.own import OwnCall, OwnHandler, OwnRequests

_INVITATION_DAYS = 7


class Agents:
    """Answers the agent routes, each in the transaction of its tenant."""

    def __init__(self, passwords: Passwords, standings: Standings) -> None:
        self._passwords = passwords
        self._standings = standings

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about agents."""
        own.answer_prepared(CreateAgent, self.create, shows_secret=True)
        own.answer(UpdateAgent, self.update)
        own.answer(GetAgent, self.get)
        own.answer(ListAgents, self.list)

    async def create(
        self, request: CreateAgent, call: OwnCall
    ) -> OwnHandler[CreateAgent, NewAgent]:
        """Add a person; an e-mail that has an account is a conflict."""
        _check_may_give(call, request.role)
        given = request.password
        hashed = None if given is None else await self._passwords.hash(given.get_secret_value())

        async def add(tx: Transaction, request: CreateAgent, call: OwnCall) -> NewAgent:
            invitation = secrets.token_urlsafe(32) if hashed is None else None
            agent = await repository.add(
                tx,
                name=request.name,
                email=request.email,
                role=request.role,
                password_hash=hashed,
                invitation_hash=token_hash(invitation) if invitation else None,
                invitation_expires_at=(
                    datetime.now(UTC) + timedelta(days=_INVITATION_DAYS) if invitation else None
                ),
            )
            if agent is None:
                raise ConflictError("email_taken", "This e-mail has an account already.")
            after = agent.model_dump(mode="json")
            await record(tx, call, "agent.create", agent.id, after=after)
            return NewAgent(**agent.model_dump(), invitation_token=invitation)

        return add

    async def update(self, tx: Transaction, request: UpdateAgent, call: OwnCall) -> Agent:
        """Change a person; somebody active must stay admin. It acts at once, everywhere."""
        admins = await repository.lock_admins(tx)
        agent = await repository.get(tx, request.agent_id, lock=True)
        if agent is None:
            raise NotFoundError("agent")
        PreconditionFailedError.check(call.expected_version, agent.version)
        wanted = request.model_dump(exclude={"agent_id"}, exclude_none=True)
        changed = agent.model_copy(update=wanted)
        _check_may_give(call, agent.role, changed.role)
        if changed == agent:
            return agent
        stays_admin = changed.role == "admin" and changed.active
        if admins == {agent.id} and not stays_admin:
            raise ConflictError("last_admin", "The last active admin cannot be removed.")
        saved = await repository.save(tx, changed)
        if not saved.active:
            await end_sessions(tx, saved.id)
        await self._standings.person_changed(tx, saved.id)
        tx.outbox.add(AgentUpdated(agent=saved), saved.id)
        before, after = agent.model_dump(mode="json"), saved.model_dump(mode="json")
        await record(tx, call, "agent.update", saved.id, before=before, after=after)
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


def _check_may_give(call: OwnCall, *roles: Role) -> None:
    """Who manages agents makes nobody of more power than their own, and unmakes nobody of more."""
    if not covers(call.principal.permissions, permissions_of(roles)):
        raise ForbiddenError("role_exceeds_caller", "That role may do more than you may.")
