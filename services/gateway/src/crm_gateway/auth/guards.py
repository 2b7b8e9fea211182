"""Which limits guard which way in, and how an attempt goes through them.

A stranger's wrong passwords lock nobody out: they count for the stranger's address and for all
strangers together, and an address the account's owner has come from before is no stranger's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from service_kit.database import Transaction

from crm_gateway.auth.throttle import Limit, Throttle, network_of
from crm_gateway.settings import GatewaySettings


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was counted, by the limits it counts for; the first is the account's own."""

    limits: Sequence[Limit]


class Guards:
    """Guards register, login, refresh, accept, mail, and another password."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self.throttle = Throttle(settings.login_window_seconds)

    async def register(self, tx: Transaction, address: str) -> None:
        """Count an account that an address opens, whether it comes to be or not."""
        most = self._settings.registrations_per_address
        await self.throttle.take(tx, [Limit.of(most, "register", network_of(address))])

    async def login(
        self, tx: Transaction, account: str, tenant_id: str | None, address: str
    ) -> Attempt:
        """Count a login; raises HttpError 429."""
        settings, network = self._settings, network_of(address)
        limits = [
            self._account(account, network),
            Limit.of(settings.login_failures_per_address, "login", network),
        ]
        if not await self.throttle.is_known(tx, account, address):
            most = settings.login_failures_of_strangers
            limits.append(Limit.of(most, "strangers", account))
            if tenant_id is not None:
                limits.append(Limit.of(10 * most, "strangers of", tenant_id))
        attempt = Attempt(limits)
        await self.throttle.take(tx, limits)
        return attempt

    async def logged_in(
        self, tx: Transaction, attempt: Attempt, account: str, address: str
    ) -> None:
        """It was the right password: what failed before is forgotten, and the address known."""
        await self.throttle.give_back(tx, attempt.limits)
        await self.throttle.forget(tx, attempt.limits[0])
        await self.throttle.remember(tx, account, address)

    async def forgot(self, tx: Transaction, account: str, address: str) -> None:
        """Count a mail about a forgotten password that an address asks for; raises HttpError 429.

        As with logins, strangers together get so many, and cost no owner the way back in. It is
        the same for accounts that do not exist.
        """
        settings, network = self._settings, network_of(address)
        most = settings.mails_per_account
        limits = [
            Limit.of(most, "forgot", account, network),
            Limit.of(settings.login_failures_per_address, "forgot", network),
        ]
        if not await self.throttle.is_known(tx, account, address):
            limits.append(Limit.of(most, "forgot by strangers", account))
        await self.throttle.take(tx, limits)

    async def reset(self, tx: Transaction, attempt: Attempt, account: str, address: str) -> None:
        """Who has the account's mail is its owner: no wrong password of before is in the way."""
        await self.throttle.give_back(tx, attempt.limits)
        await self.throttle.forget(tx, self._account(account, network_of(address)))
        await self.throttle.remember(tx, account, address)

    async def invite(self, tx: Transaction, user_id: UUID | None = None) -> None:
        """Count a mail that invites, again if it is a user's; raises HttpError 429.

        Whoever opens an account may write to strangers by it.
        """
        limits = [Limit.of(self._settings.invitations_per_tenant, "invite", tx.tenant_id)]
        if user_id is not None:
            limits.append(Limit.of(self._settings.mails_per_account, "invite again", user_id))
        await self.throttle.take(tx, limits)

    async def verification(self, tx: Transaction, user_id: UUID, address: str) -> None:
        """Count a mail that is to prove an e-mail, asked for again; raises HttpError 429."""
        settings = self._settings
        limits = [
            Limit.of(settings.mails_per_account, "verification", user_id),
            Limit.of(settings.login_failures_per_address, "mail again", network_of(address)),
        ]
        await self.throttle.take(tx, limits)

    async def token(self, tx: Transaction, way: str, address: str) -> Attempt:
        """Count a token that an address shows: of a refresh, an invitation, a reset, a proof, or of
        a logout that ends nothing."""
        most = self._settings.login_failures_per_address
        attempt = Attempt([Limit.of(most, way, network_of(address))])
        await self.throttle.take(tx, attempt.limits)
        return attempt

    async def refreshed(self, tx: Transaction, attempt: Attempt, user_id: UUID) -> None:
        """It was a good one; of those as well a user needs only so many."""
        await self.throttle.give_back(tx, attempt.limits)
        most = self._settings.refreshes_per_user
        await self.throttle.take(tx, [Limit.of(most, "refresh", user_id)])

    async def password(self, tx: Transaction, user_id: UUID) -> Attempt:
        """Count a guess of the present password by who holds an access token."""
        most = self._settings.login_failures_per_account
        attempt = Attempt([Limit.of(most, "password", user_id)])
        await self.throttle.take(tx, attempt.limits)
        return attempt

    async def code(self, tx: Transaction, account: str, address: str) -> Attempt:
        """Count a guess of a code by who knows the password: there are but 10^6.

        Strangers together have as many as an address the owner has come from: a password that got
        out neither opens the account nor keeps its owner out.
        """
        most = self._settings.login_failures_per_account
        known = await self.throttle.is_known(tx, account, address)
        whose = (account, network_of(address)) if known else (account,)
        attempt = Attempt([Limit.of(most, "code", *whose)])
        await self.throttle.take(tx, attempt.limits)
        return attempt

    async def repeat(self, tx: Transaction, whose: UUID, key: str) -> Attempt:
        """Count a request that may repeat another by its Idempotency-Key; raises HttpError 429.

        What was asked under the key may hold a password: who does not know it could guess it here.
        """
        most = self._settings.login_failures_per_account
        attempt = Attempt([Limit.of(most, "repeat", whose, key)])
        await self.throttle.take(tx, attempt.limits)
        return attempt

    async def repeated(self, tx: Transaction, attempt: Attempt) -> None:
        """It was no guess, or the right one: nothing of the key is counted any more."""
        await self.throttle.forget(tx, attempt.limits[0])

    async def succeeded(self, tx: Transaction, attempt: Attempt) -> None:
        """The attempt turned out well."""
        await self.throttle.give_back(tx, attempt.limits)

    def _account(self, account: str, network: str) -> Limit:
        return Limit.of(self._settings.login_failures_per_account, "login", account, network)
