"""What brings a person in: to a first password, or from another company."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from service_kit.database import Transaction
from shared_events.gateway.agent import Agent

from crm_gateway.agents import repository
from crm_gateway.auth.guards import Guards
from crm_gateway.auth.repository import Invited, token_hash
from crm_gateway.mail.languages import DEFAULT
from crm_gateway.mail.letters import Letters
from crm_gateway.mail.post import Post
from crm_gateway.rest.own import OwnCall

_GOOD_FOR = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A new one, by either of two tokens, which are kept as hashes.

    One is shown to who invites, the other stands in the mail: only that proves the address too.
    """

    shown: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    mailed: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    expires_at: datetime = field(default_factory=lambda: datetime.now(UTC) + _GOOD_FOR)

    @property
    def kept(self) -> Invited:
        """How it is kept."""
        return Invited(token_hash(self.shown), token_hash(self.mailed), self.expires_at)


class Invitations:
    """Mails invitations, where mail is sent at all."""

    def __init__(self, guards: Guards, post: Post, letters: Letters) -> None:
        self._guards = guards
        self._post = post
        self._letters = letters

    async def mail(
        self,
        tx: Transaction,
        agent: Agent,
        invitation: Invitation,
        call: OwnCall,
        *,
        again: bool = False,
    ) -> None:
        """Mail it once the transaction is committed, in the language of who invites.

        Raises HttpError 429 when the company has invited too many, or this person too often.
        """
        if not self._post.sends:
            return
        await self._guards.invite(tx, agent.id if again else None)
        inviter = await repository.inviter(tx, call.user_id)
        letter = self._letters.invitation(
            inviter.language or call.language or DEFAULT,
            to=agent.email,
            name=agent.name,
            company=inviter.company,
            token=invitation.mailed,
            good_for=_GOOD_FOR,
        )
        await self._post.put(tx, agent.id, letter, invitation.expires_at)
