"""Opening accounts, logging in and staying logged in."""

from collections.abc import Sequence
from uuid import UUID, uuid4

from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError, UnauthenticatedError
from shared_events.requests import Nothing

from crm_gateway.access.standings import Standings
from crm_gateway.agents import repository as agents
from crm_gateway.agents.places import Place
from crm_gateway.api_keys import repository as api_keys
from crm_gateway.audit.repository import record
from crm_gateway.auth import repository
from crm_gateway.auth.email_proofs import EmailProofs
from crm_gateway.auth.guards import Attempt, Guards
from crm_gateway.auth.known_password import KnownPassword
from crm_gateway.auth.logins import Logins, is_fresh, no_refresh_token, tenant_view, user_view
from crm_gateway.auth.memberships import Guest, Memberships, join
from crm_gateway.auth.models import User
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.schemas import (
    AcceptInvitation,
    ChangePassword,
    GetMe,
    KeyView,
    LoggedIn,
    Login,
    Logout,
    LogoutEverywhere,
    Profile,
    Refresh,
    Register,
    TenantView,
    Tokens,
)
from crm_gateway.rest.own import OwnCall, OwnHandler, OwnRequests, Visitor
from crm_gateway.two_factor.service import SecondFactor


class Accounts:
    """The auth routes. Passwords are hashed outside of transactions."""

    def __init__(
        self,
        database: Database,
        logins: Logins,
        memberships: Memberships,
        passwords: Passwords,
        guards: Guards,
        standings: Standings,
        known: KnownPassword,
        second: SecondFactor,
        proofs: EmailProofs,
    ) -> None:
        self._database = database
        self._logins = logins
        self._memberships = memberships
        self._passwords = passwords
        self._guards = guards
        self._standings = standings
        self._known = known
        self._second = second
        self._proofs = proofs

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about accounts and logins."""
        own.answer_public(Register, self.register)
        own.answer_public(Login, self.login)
        own.answer_public(Refresh, self.refresh)
        own.answer_public(Logout, self.logout)
        own.answer_public(AcceptInvitation, self.accept_invitation)
        own.answer_prepared(ChangePassword, self.change_password, shows_secret=True)
        own.answer(LogoutEverywhere, self.logout_everywhere)
        own.answer(GetMe, get_me)

    async def register(self, request: Register, visitor: Visitor) -> LoggedIn:
        """Create tenant, user and admin agent; a known e-mail is a conflict.

        A link is mailed by which the person proves the address.
        """
        async with self._database.system("login") as tx:
            await self._guards.register(tx, visitor.address)
        hashed = await self._passwords.hash(request.password.get_secret_value())
        async with self._database.tenant(str(uuid4()), cause=visitor.cause) as tx:
            await repository.add_project(tx, request.organization or request.name)
            agent = await agents.add(
                tx,
                agents.Named(request.name, request.email, Place("admin")),
                password_hash=hashed,
                language=visitor.language,
            )
            if agent is None:
                raise ConflictError("email_taken", "This e-mail has an account already.")
            user = await repository.user_of(tx, agent.id)
            await self._proofs.mail(tx, agent.id, user, visitor.language)
            return await self._log_in(tx, user, agent.id)

    async def login(self, request: Login, visitor: Visitor) -> LoggedIn:
        """Tokens for the right password, and the right code of who has a second factor.

        Raises the same for every wrong password; that a code is missing or wrong is told only
        with the right one.
        """
        account, address = request.email, visitor.address
        async with self._database.system("login") as tx:
            user = await repository.find_login(tx, account)
            tenant_id = user.tenant_id if user else None
            attempt = await self._guards.login(tx, account, tenant_id, address)
        hashed = user.password_hash if user else None
        fits = await self._passwords.verify(request.password.get_secret_value(), hashed)
        refusal: UnauthenticatedError | None = _wrong_password()
        places = await self._memberships.of(user.id) if user and fits else []
        if user and places:
            async with self._database.system("login") as tx:
                await tx.act_for(places[0].tenant_id)
                agent, tenants = places[0].agent_id, [each.tenant for each in places]
                code = request.code.get_secret_value() if request.code else None
                refusal = await self._second.refusal(tx, user, code, address)
                if refusal is None:
                    await self._guards.logged_in(tx, attempt, account, address)
                    return await self._log_in(tx, user, agent, tenants)
                if code is None:
                    await self._guards.succeeded(tx, attempt)
        # Raised after the commit: what was guessed must outlive the refusal.
        raise refusal or _wrong_password()

    async def refresh(self, request: Refresh, visitor: Visitor) -> Tokens:
        """A new pair for an unused refresh token; reuse revokes the whole login."""
        async with self._database.system("login") as tx:
            attempt = await self._guards.token(tx, "refresh", visitor.address)
            stored = await repository.lock_refresh_token(tx, request.refresh_token)
            if stored is not None:
                await tx.act_for(stored.tenant_id)
                member = await repository.find_member(tx, stored.user_id)
                if member and is_fresh(stored, member):
                    await self._guards.refreshed(tx, attempt, member.account_id)
                    await repository.mark_used(tx, request.refresh_token)
                    return await self._logins.go_on(tx, member, stored.family_id)
                await repository.revoke_family(tx, stored.family_id)
        # Raised after the commit: the revocation must outlive the refusal.
        raise no_refresh_token()

    async def logout(self, request: Logout, visitor: Visitor) -> Nothing:
        """Revoke the login this refresh token belongs to.

        What ends none counts for its address: a key is kept with each, and strangers must not fill
        anything without an end. What ends one is never refused.
        """
        async with self._database.system("login") as tx:
            stored = await repository.lock_refresh_token(tx, request.refresh_token)
            if stored is None or not await repository.revoke_family(tx, stored.family_id):
                await self._guards.token(tx, "logout", visitor.address)
        return Nothing()

    async def accept_invitation(self, request: AcceptInvitation, visitor: Visitor) -> LoggedIn:
        """Set the first password of an invited user, or bring one in who has an account already."""
        token = request.invitation_token
        async with self._database.system("login") as tx:
            attempt = await self._guards.token(tx, "invitation", visitor.address)
            invited = await repository.is_invited(tx, token)
        guest = None if invited else await self._memberships.invited(token)
        if guest is not None:
            return await self._join(request, guest, attempt, visitor)
        if not invited:
            raise _no_invitation()
        hashed = await self._passwords.hash(request.password.get_secret_value())
        async with self._database.system("login") as tx:
            user = await repository.take_invitation(tx, token, hashed, visitor.language)
            if user is None:
                raise _no_invitation()
            await tx.act_for(user.tenant_id)
            member = await repository.get_member(tx, user.id)
            if member is None or not member.active:
                raise _no_invitation()  # nothing is stored: neither the password nor its use
            await self._guards.succeeded(tx, attempt)
            return await self._log_in(tx, user, user.id)

    async def _join(
        self, request: AcceptInvitation, guest: Guest, invitation: Attempt, visitor: Visitor
    ) -> LoggedIn:
        """Another company for who proves their account as at a login; each guess counts as one."""
        account, address = guest.email, visitor.address
        async with self._database.system("login") as tx:
            user = await repository.find_login(tx, account)
            attempt = await self._guards.login(tx, account, guest.tenant_id, address)
        known = user if user and user.id == guest.account_id else None
        hashed = known.password_hash if known else None
        fits = await self._passwords.verify(request.password.get_secret_value(), hashed)
        refusal: UnauthenticatedError | None = UnauthenticatedError(
            "account_exists", "The e-mail has an account already: send its password."
        )
        if known and fits:
            before = await self._memberships.of(known.id)
            async with self._database.system("login") as tx:
                await tx.act_for(known.tenant_id)
                code = request.code.get_secret_value() if request.code else None
                refusal = await self._second.refusal(tx, known, code, address)
                if refusal is None:
                    await self._guards.logged_in(tx, attempt, account, address)
                    await tx.act_for(guest.tenant_id)
                    if not await join(tx, guest, request.invitation_token, known):
                        raise _no_invitation()
                    await self._guards.succeeded(tx, invitation)
                    tenants = [*(each.tenant for each in before), guest.tenant]
                    return await self._log_in(tx, known, guest.agent_id, tenants)
                if code is None:
                    await self._guards.succeeded(tx, attempt)
        # Raised after the commit: what was guessed must outlive the refusal.
        raise refusal or _no_invitation()

    async def change_password(
        self, request: ChangePassword, call: OwnCall
    ) -> OwnHandler[ChangePassword, Tokens]:
        """Another password for who knows the present one; raises InvalidError for a wrong one."""
        given, person = request.current_password, call.person()
        user, attempt = await self._known.prove(call, given, "current_password")
        hashed = await self._passwords.hash(request.new_password.get_secret_value())

        async def change(tx: Transaction, request: ChangePassword, call: OwnCall) -> Tokens:
            del request
            if not await repository.replace_password(tx, user, hashed):
                raise ConflictError("password_changed", "It was changed at this moment.")
            await self._known.proved(tx, attempt)
            await self._end_sessions(tx, user.id)
            await record(tx, call, "agent.change_password", person)
            member = await repository.get_member(tx, person)
            if member is None or not member.active:
                raise UnauthenticatedError("token_revoked", "The login has ended; log in again.")
            return await self._logins.go_on(tx, member, family_id=uuid4())

        return change

    async def logout_everywhere(
        self, tx: Transaction, request: LogoutEverywhere, call: OwnCall
    ) -> Nothing:
        """End every login of the caller's, to whatever company."""
        del request
        user = await repository.user_of(tx, call.person())
        await self._end_sessions(tx, user.id)
        await record(tx, call, "agent.logout_everywhere", call.person())
        return Nothing()

    async def _log_in(
        self, tx: Transaction, user: User, agent_id: UUID, tenants: Sequence[TenantView] = ()
    ) -> LoggedIn:
        member = await repository.get_member(tx, agent_id)
        if member is None or not member.active:
            raise _wrong_password()  # they were let in a moment ago
        # Of the version the password was read with: if it was changed meanwhile, this is too late.
        member = member.model_copy(update={"account_version": user.token_version})
        return await self._logins.begin(tx, member, tenants)

    async def _end_sessions(self, tx: Transaction, account_id: UUID) -> None:
        await repository.end_sessions(tx, account_id)
        await self._standings.account_changed(tx, account_id)


def _wrong_password() -> UnauthenticatedError:
    return UnauthenticatedError("invalid_credentials", "The e-mail or the password is wrong.")


def _no_invitation() -> UnauthenticatedError:
    return UnauthenticatedError("invalid_invitation", "The invitation is not valid any more.")


async def get_me(tx: Transaction, request: GetMe, call: Call) -> Profile:
    """Who asks; raises UnauthenticatedError when the person is no longer there."""
    del request
    key = await api_keys.get(tx, call.principal.api_key_id) if call.principal.api_key_id else None
    user_id = key.created_by if key else call.user_id
    member = await repository.get_member(tx, user_id) if user_id else None
    if member is None or not (key or member.active):
        raise UnauthenticatedError("invalid_token", "The access token is not valid.")
    return Profile(
        user=user_view(member),
        api_key=KeyView(id=key.id, name=key.name) if key else None,
        tenant=tenant_view(member),
        roles=call.principal.roles,
        permissions=call.principal.permissions,
    )
