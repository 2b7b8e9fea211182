"""A new password for who has forgotten the old one and still has the mail."""

import secrets
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from service_kit.database import Database
from service_kit.errors import UnauthenticatedError, UnavailableError
from shared_events.requests import Nothing

from crm_gateway.access.standings import Standings
from crm_gateway.audit.repository import record
from crm_gateway.auth import repository
from crm_gateway.auth.guards import Guards
from crm_gateway.auth.memberships import Memberships, Place
from crm_gateway.auth.models import User
from crm_gateway.auth.passwords import Passwords
from crm_gateway.auth.schemas import ForgotPassword, ResetPassword
from crm_gateway.mail.languages import DEFAULT, Language
from crm_gateway.mail.letters import Letters
from crm_gateway.mail.post import Post
from crm_gateway.rest.own import OwnCall, OwnRequests, Visitor

_NOBODY = UUID(int=0)
_NOWHERE = Place(_NOBODY, str(_NOBODY), "")


class PasswordResets:
    """Two public routes: a mail with a token, and what the token is good for."""

    def __init__(
        self,
        database: Database,
        memberships: Memberships,
        passwords: Passwords,
        guards: Guards,
        standings: Standings,
        post: Post,
        letters: Letters,
        *,
        ttl_seconds: int,
    ) -> None:
        self._database = database
        self._memberships = memberships
        self._passwords = passwords
        self._guards = guards
        self._standings = standings
        self._post = post
        self._letters = letters
        self._ttl = timedelta(seconds=ttl_seconds)

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about forgotten passwords."""
        own.answer_public(ForgotPassword, self.forgot)
        own.answer_public(ResetPassword, self.reset)

    async def forgot(self, request: ForgotPassword, visitor: Visitor) -> Nothing:
        """Mail a link to who has the account, if a company lets them in.

        For an unknown e-mail the same is done, statement by statement, to nobody: neither the
        answer nor its time tells who has an account. UnavailableError where no mail is sent at all.
        """
        if not self._post.sends:
            raise UnavailableError("mail_not_configured", "No mail is sent from here.")
        token, expires_at = secrets.token_urlsafe(32), datetime.now(UTC) + self._ttl
        async with self._database.system("login") as tx:
            await self._guards.forgot(tx, request.email, visitor.address)
            user = await repository.find_login(tx, request.email) or _nobody(request.email)
        places = await self._memberships.of(user.id)
        place = places[0] if places else _NOWHERE
        async with self._database.system("login") as tx:
            await tx.act_for(place.tenant_id)
            opened = await repository.open_reset(tx, user, token, expires_at)
            letter = self._letters.password_reset(
                cast(Language | None, user.language) or visitor.language or DEFAULT,
                to=user.email,
                name=user.name,
                token=token,
                good_for=self._ttl,
            )
            await self._post.put(tx, place.agent_id if opened else _NOBODY, letter, expires_at)
        return Nothing()

    async def reset(self, request: ResetPassword, visitor: Visitor) -> Nothing:
        """Replace the password and end every login; UnauthenticatedError for a stale token."""
        async with self._database.system("login") as tx:
            attempt = await self._guards.token(tx, "reset", visitor.address)
            known = await repository.may_reset(tx, request.reset_token)
        if not known:
            raise _no_reset()
        hashed = await self._passwords.hash(request.password.get_secret_value())
        async with self._database.system("login") as tx:
            user = await repository.take_reset(tx, request.reset_token, hashed)
            if user is None:
                raise _no_reset()
            await tx.act_for(user.tenant_id)
            await self._guards.reset(tx, attempt, user.email, visitor.address)
            await repository.end_sessions(tx, user.id)
            await self._standings.account_changed(tx, user.id)
            call = OwnCall.of_token(visitor, user.tenant_id, user.id)
            await record(tx, call, "agent.reset_password", user.id)
        return Nothing()


def _nobody(email: str) -> User:
    """Stands in for who has no account."""
    return User(id=_NOBODY, tenant_id=str(_NOBODY), name="", email=email)


def _no_reset() -> UnauthenticatedError:
    return UnauthenticatedError("invalid_reset_token", "The link is not valid any more.")
