"""The people of a company."""

from collections.abc import Sequence

from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import (
    ConflictError,
    NotFoundError,
    PreconditionFailedError,
)
from shared_events.gateway.agent import Agent, AgentUpdated
from shared_events.permissions import permits
from shared_events.requests import Page

from crm_gateway.access.standings import Standings
from crm_gateway.agents import repository
from crm_gateway.agents.invitations import Invitation, Invitations
from crm_gateway.agents.places import check_may_act_on, place_of
from crm_gateway.agents.schemas import (
    CreateAgent,
    GetAgent,
    GetAgents,
    ListAgents,
    ListedAgent,
    NewAgent,
    ResendInvitation,
    UpdateAgent,
)
from crm_gateway.audit.repository import record
from crm_gateway.auth.email_proofs import EmailProofs
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.repository import end_sessions_here, find_login, renew_invitation
from crm_gateway.mail.repository import recall
from crm_gateway.rest.own import OwnCall, OwnHandler, OwnRequests


class Agents:
    """Answers the agent routes, each in the transaction of its tenant."""

    def __init__(
        self,
        database: Database,
        passwords: Passwords,
        standings: Standings,
        invitations: Invitations,
        proofs: EmailProofs,
        *,
        proof_required: bool,
    ) -> None:
        self._database = database
        self._passwords = passwords
        self._standings = standings
        self._invitations = invitations
        self._proofs = proofs
        self._proof_required = proof_required

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about agents."""
        own.answer_prepared(CreateAgent, self.create, shows_secret=True)
        own.answer(UpdateAgent, self.update)
        own.answer(ResendInvitation, self.resend_invitation, shows_secret=True)
        own.answer(GetAgent, self.get)
        own.answer(GetAgents, self.get_many)
        own.answer(ListAgents, self.list)

    async def create(
        self, request: CreateAgent, call: OwnCall
    ) -> OwnHandler[CreateAgent, NewAgent]:
        """Add a person. Who has an account in another company is invited like anybody.

        Raises ConflictError for an e-mail that is here already, that has an account and is given a
        password, or whose own first invitation was not accepted yet.
        """
        given = request.password
        hashed = None if given is None else await self._passwords.hash(given.get_secret_value())
        async with self._database.system("login") as tx:
            known = await find_login(tx, request.email)

        async def add(tx: Transaction, request: CreateAgent, call: OwnCall) -> NewAgent:
            place = await place_of(tx, request.role)
            await check_may_act_on(tx, call, place)
            invitation = Invitation() if hashed is None else None
            named = repository.Named(request.name, request.email, place)
            if invitation and known and known.password_hash is not None:
                agent = await repository.add_from_elsewhere(tx, named, known.id, invitation.kept)
            else:
                kept = invitation.kept if invitation else None
                agent = await repository.add(tx, named, password_hash=hashed, invitation=kept)
            if agent is None:
                raise ConflictError("email_taken", "This e-mail has an account already.")
            if invitation is not None:
                await self._invitations.mail(tx, agent, invitation, call)
            after = agent.model_dump(mode="json")
            await record(tx, call, "agent.create", agent.id, after=after)
            token = invitation.shown if invitation else None
            return NewAgent(**agent.model_dump(), invitation_token=token)

        return add

    async def update(self, tx: Transaction, request: UpdateAgent, call: OwnCall) -> Agent:
        """Change a person; somebody must stay admin and be let in. It acts at once, everywhere."""
        admins = await repository.lock_admins(tx)
        agent = await repository.get(tx, request.agent_id, lock=True)
        if agent is None:
            raise NotFoundError("agent")
        PreconditionFailedError.check(call.expected_version, agent.version)
        wanted = request.model_dump(exclude={"agent_id", "role"}, exclude_none=True)
        if request.role is not None:
            place = await place_of(tx, request.role)
            wanted |= {"role": place.role, "custom_role": place.custom_role}
        changed = agent.model_copy(update=wanted)
        await check_may_act_on(tx, call, agent, changed)
        if changed == agent:
            return agent
        self._check_somebody_stays(admins, agent, changed)
        if changed.email != agent.email:
            own = changed.id == call.user_id
            account_id = await repository.save_email(tx, changed, own=own)
            await self._standings.account_changed(tx, account_id)
        saved = await repository.save(tx, changed)
        if not saved.active:
            await end_sessions_here(tx, saved.id)
        if not saved.active or saved.email != agent.email:
            await recall(tx, saved.id)
        await self._standings.person_changed(tx, saved.id)
        if saved.email != agent.email:
            await self._proofs.mail_moved(tx, saved.id, call)
        tx.outbox.add(AgentUpdated(agent=saved), saved.id)
        before, after = agent.model_dump(mode="json"), saved.model_dump(mode="json")
        await record(tx, call, "agent.update", saved.id, before=before, after=after)
        return saved

    def _check_somebody_stays(
        self, admins: Sequence[repository.Admin], agent: Agent, changed: Agent
    ) -> None:
        """Raises ConflictError when nobody would be admin, or be let in as one.

        Who moves to another e-mail, which may be a mistaken one, is not let in until it is proved.
        """
        let_in = {admin.id for admin in admins if admin.proved} if self._proof_required else set()
        leaves = changed.role != "admin" or not changed.active
        moves = changed.email != agent.email
        if ({admin.id for admin in admins} == {agent.id} and leaves) or (
            let_in == {agent.id} and (leaves or moves)
        ):
            raise ConflictError("last_admin", "The last admin who is let in must stay.")

    async def resend_invitation(
        self, tx: Transaction, request: ResendInvitation, call: OwnCall
    ) -> NewAgent:
        """Invite a person again; ConflictError for who is in already, or may not come in."""
        agent = await repository.get(tx, request.agent_id, lock=True)
        if agent is None:
            raise NotFoundError("agent")
        PreconditionFailedError.check(call.expected_version, agent.version)
        await check_may_act_on(tx, call, agent)
        if not agent.active:
            raise ConflictError("agent_inactive", "The person is deactivated.")
        invitation = Invitation()
        if not await renew_invitation(tx, agent.id, invitation.kept):
            raise ConflictError("invitation_accepted", "The person has a password already.")
        await self._invitations.mail(tx, agent, invitation, call, again=True)
        await record(tx, call, "agent.resend_invitation", agent.id)
        return NewAgent(**agent.model_dump(), invitation_token=invitation.shown)

    async def get(self, tx: Transaction, request: GetAgent, call: Call) -> Agent:
        """One person."""
        del call
        agent = await repository.get(tx, request.agent_id)
        if agent is None:
            raise NotFoundError("agent")
        return agent

    async def get_many(self, tx: Transaction, request: GetAgents, call: Call) -> Page[Agent]:
        """Several people."""
        del call
        return Page(data=await repository.get_many(tx, request.ids))

    async def list(self, tx: Transaction, request: ListAgents, call: Call) -> Page[ListedAgent]:
        """A page of people."""
        may_manage = permits(call.principal.permissions, "agents.manage")
        return await repository.page(tx, request, for_managers=may_manage)
