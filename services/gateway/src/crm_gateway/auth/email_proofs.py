"""Proof that an e-mail is its owner's: a link that is mailed there, and what it is good for.

An invitation and a link to a new password prove the address as well, if they came by mail.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import cast
from uuid import UUID

from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError, UnauthenticatedError, UnavailableError
from shared_events.requests import Nothing

from crm_gateway.access.standings import Standings
from crm_gateway.audit.repository import record
from crm_gateway.auth import repository
from crm_gateway.auth.guards import Guards
from crm_gateway.auth.models import User
from crm_gateway.auth.schemas import MailVerification, VerifyEmail
from crm_gateway.mail.languages import DEFAULT, Language
from crm_gateway.mail.letters import Letters
from crm_gateway.mail.post import Post
from crm_gateway.rest.own import OwnCall, OwnRequests, Visitor


class EmailProofs:
    """Mails such links where mail is sent at all, and answers the two routes about them."""

    def __init__(
        self,
        database: Database,
        guards: Guards,
        standings: Standings,
        post: Post,
        letters: Letters,
        *,
        ttl_seconds: int,
    ) -> None:
        self._database = database
        self._guards = guards
        self._standings = standings
        self._post = post
        self._letters = letters
        self._ttl = timedelta(seconds=ttl_seconds)

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about proofs."""
        own.answer_public(VerifyEmail, self.verify)
        own.answer(MailVerification, self.mail_again)

    async def mail(
        self, tx: Transaction, agent_id: UUID, user: User, asked: Language | None
    ) -> None:
        """Mail a link to who is this agent, once the transaction is committed; those of before end.

        In the user's language, else the one their browser `asked` for.
        """
        if not self._post.sends:
            return
        token, expires_at = secrets.token_urlsafe(32), datetime.now(UTC) + self._ttl
        if await repository.open_verification(tx, user, token, expires_at):
            language = cast(Language | None, user.language) or asked or DEFAULT
            letter = self._letters.email_verification(
                language, to=user.email, token=token, good_for=self._ttl
            )
            await self._post.put(tx, agent_id, letter, expires_at)

    async def mail_moved(self, tx: Transaction, agent_id: UUID, call: OwnCall) -> None:
        """Mail a link to somebody whose e-mail is another by now, if they have a password.

        Raises HttpError 429: who manages people may write to strangers by it, as by inviting them.
        """
        user = await repository.get_user(tx, agent_id)
        if self._post.sends and user is not None and user.password_hash is not None:
            await self._guards.invite(tx, user.id)
            await self.mail(tx, agent_id, user, call.language)

    async def verify(self, request: VerifyEmail, visitor: Visitor) -> Nothing:
        """Note that the address is its owner's; UnauthenticatedError for a stale token."""
        async with self._database.system("login") as tx:
            attempt = await self._guards.token(tx, "verification", visitor.address)
            user = await repository.take_verification(tx, request.token)
            if user is not None:
                await tx.act_for(user.tenant_id)
                await self._guards.succeeded(tx, attempt)
                await self._standings.account_changed(tx, user.id)
                call = OwnCall.of_token(visitor, user.tenant_id, user.id)
                await record(tx, call, "agent.verify_email", user.id)
                return Nothing()
        # Raised after the commit: what was guessed must outlive the refusal.
        raise UnauthenticatedError("invalid_verification_token", "The link is not valid any more.")

    async def mail_again(
        self, tx: Transaction, request: MailVerification, call: OwnCall
    ) -> Nothing:
        """Mail the caller another link.

        Raises ConflictError for who has proved the address, UnavailableError where no mail is sent
        at all, and HttpError 429 for too many.
        """
        del request
        person = call.person()
        user = await repository.user_of(tx, person)
        if user.email_verified_at is not None:
            raise ConflictError("email_verified", "The e-mail is proved already.")
        if not self._post.sends:
            raise UnavailableError("mail_not_configured", "No mail is sent from here.")
        await self._guards.verification(tx, user.id, call.address)
        await self.mail(tx, person, user, call.language)
        await record(tx, call, "agent.mail_verification", person)
        return Nothing()
