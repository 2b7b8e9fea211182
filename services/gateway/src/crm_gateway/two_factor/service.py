"""A second proof of who logs in, for people who want one (RFC 6238)."""

from datetime import UTC, datetime

import structlog
from service_kit.database import Transaction
from service_kit.errors import (
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PreconditionFailedError,
    UnauthenticatedError,
)
from service_kit.sealing import Seal, WrongKeyError
from shared_events.requests import Nothing

from crm_gateway.access.standings import Standings
from crm_gateway.agents import repository as agents
from crm_gateway.agents.places import check_may_act_on
from crm_gateway.audit.repository import record
from crm_gateway.auth.guards import Guards
from crm_gateway.auth.known_password import KnownPassword
from crm_gateway.auth.models import User
from crm_gateway.auth.repository import get_user, user_of
from crm_gateway.rest.own import OwnCall, OwnHandler, OwnRequests
from crm_gateway.two_factor import codes, repository
from crm_gateway.two_factor.models import Authenticator
from crm_gateway.two_factor.schemas import (
    BeginTwoFactor,
    ConfirmTwoFactor,
    DisableTwoFactor,
    GetTwoFactor,
    NewAuthenticator,
    RecoveryCodes,
    RenewRecoveryCodes,
    ResetTwoFactor,
    TwoFactor,
)

log = structlog.get_logger()


class SecondFactor:
    """Whether a code proves a person; every code is counted, and works once."""

    def __init__(self, guards: Guards, seal: Seal) -> None:
        self._guards = guards
        self._seal = seal

    async def refusal(
        self, tx: Transaction, user: User, code: str | None, address: str
    ) -> UnauthenticatedError | None:
        """Why this person may not come in, to be raised once the transaction is committed.

        The code is used up, and counted as a guess. Raises HttpError 429 for too many of those.
        """
        found = await repository.find(tx, user.id)
        if found is None or found.confirmed_at is None:
            return None
        if code is None:
            return UnauthenticatedError("two_factor_required", "Send a code of yours as well.")
        if await self.proves(tx, found, user, code, address):
            return None
        return UnauthenticatedError("invalid_code", "The code is wrong, or was used before.")

    async def proves(
        self, tx: Transaction, authenticator: Authenticator, user: User, code: str, address: str
    ) -> bool:
        """Whether the code is the person's; counted as `refusal` says unless it is."""
        attempt = await self._guards.code(tx, user.email, address)
        fits = await self.uses(tx, authenticator, code)
        if fits:
            await self._guards.succeeded(tx, attempt)
        return fits

    async def uses(self, tx: Transaction, authenticator: Authenticator, code: str) -> bool:
        """Use a code up, or a recovery code; False for one that is none, or was used."""
        user_id = authenticator.user_id
        if codes.is_recovery_code(code):
            return await repository.use_recovery_code(tx, user_id, codes.recovery_hash(code))
        try:
            secret = self._seal.open_text(authenticator.sealed_secret)
        except WrongKeyError:
            log.error("authenticator_unreadable", user_id=str(user_id))
            return False
        step = codes.step_of(secret, code, datetime.now(UTC))
        return step is not None and await repository.use_step(tx, user_id, step)


class TwoFactors:
    """Answers the two-factor routes."""

    def __init__(
        self,
        known: KnownPassword,
        second: SecondFactor,
        standings: Standings,
        seal: Seal,
        *,
        issuer: str,
    ) -> None:
        self._known = known
        self._standings = standings
        self._second = second
        self._seal = seal
        self._issuer = issuer

    def add_to(self, own: OwnRequests) -> None:
        """What is asked about authenticators and their codes."""
        own.answer(GetTwoFactor, get)
        own.answer_prepared(BeginTwoFactor, self.begin, shows_secret=True)
        own.answer(ConfirmTwoFactor, self.confirm, shows_secret=True)
        own.answer_prepared(RenewRecoveryCodes, self.renew, shows_secret=True)
        own.answer_prepared(DisableTwoFactor, self.disable)
        own.answer(ResetTwoFactor, self.reset)

    async def begin(
        self, request: BeginTwoFactor, call: OwnCall
    ) -> OwnHandler[BeginTwoFactor, NewAuthenticator]:
        """Another secret, for who knows the password: an access token alone locks nobody out."""
        user, attempt = await self._known.prove(call, request.password, "password")

        async def begin(
            tx: Transaction, request: BeginTwoFactor, call: OwnCall
        ) -> NewAuthenticator:
            del request, call
            secret = codes.new_secret()
            if not await repository.begin(tx, user, self._seal.seal_text(secret)):
                raise ConflictError("two_factor_enabled", "An authenticator is in use already.")
            await self._known.proved(tx, attempt)
            uri = codes.uri_of(secret, email=user.email, issuer=self._issuer)
            return NewAuthenticator(secret=secret, otpauth_uri=uri)

        return begin

    async def confirm(
        self, tx: Transaction, request: ConfirmTwoFactor, call: OwnCall
    ) -> RecoveryCodes:
        """Enable what was begun; InvalidError for a wrong code."""
        user = await user_of(tx, call.person())
        found = await repository.find(tx, user.id, lock=True)
        if found is None:
            raise ConflictError("two_factor_not_begun", "Begin with an authenticator first.")
        if found.confirmed_at is not None:
            raise ConflictError("two_factor_enabled", "An authenticator is in use already.")
        if not await self._second.uses(tx, found, request.code.get_secret_value()):
            raise _wrong_code()
        await repository.confirm(tx, user.id)
        await self._standings.account_changed(tx, user.id)
        await record(tx, call, "agent.enable_two_factor", call.person())
        return await _other_codes(tx, user)

    async def renew(
        self, request: RenewRecoveryCodes, call: OwnCall
    ) -> OwnHandler[RenewRecoveryCodes, RecoveryCodes]:
        """Other recovery codes, for who proves both."""
        user = await self._prove_both(request, call)

        async def renew(
            tx: Transaction, request: RenewRecoveryCodes, call: OwnCall
        ) -> RecoveryCodes:
            del request
            await record(tx, call, "agent.renew_recovery_codes", call.person())
            return await _other_codes(tx, user)

        return renew

    async def disable(
        self, request: DisableTwoFactor, call: OwnCall
    ) -> OwnHandler[DisableTwoFactor, Nothing]:
        """The password alone again, for who proves both."""
        user = await self._prove_both(request, call)

        async def disable(tx: Transaction, request: DisableTwoFactor, call: OwnCall) -> Nothing:
            del request
            await repository.remove(tx, user.id)
            await self._standings.account_changed(tx, user.id)
            await record(tx, call, "agent.disable_two_factor", call.person())
            return Nothing()

        return disable

    async def _prove_both(
        self, request: RenewRecoveryCodes | DisableTwoFactor, call: OwnCall
    ) -> User:
        """Whose account the caller has.

        Raises InvalidError for a wrong password or code, ConflictError where there is none.

        In a transaction of its own: what was guessed counts, whatever comes of the request.
        """
        user, attempt = await self._known.prove(call, request.password, "password")
        async with self._known.database.tenant(call.principal.tenant_id) as tx:
            await self._known.proved(tx, attempt)
            found = await repository.find(tx, user.id)
            if found is None or found.confirmed_at is None:
                raise ConflictError("two_factor_not_enabled", "No authenticator is in use.")
            code = request.code.get_secret_value()
            fits = await self._second.proves(tx, found, user, code, call.address)
        if not fits:
            raise _wrong_code()
        return user

    async def reset(self, tx: Transaction, request: ResetTwoFactor, call: OwnCall) -> Nothing:
        """Take another person's second factor away; nobody takes their own away without a code.

        Raises ConflictError for who is of other companies too, which may rely on it.
        """
        if request.agent_id == call.user_id:
            raise ForbiddenError("own_two_factor", "Disable your own with a code of yours.")
        agent = await agents.get(tx, request.agent_id, lock=True)
        if agent is None:
            raise NotFoundError("agent")
        PreconditionFailedError.check(call.expected_version, agent.version)
        await check_may_act_on(tx, call, agent)
        user = await get_user(tx, agent.id)
        if user is not None and user.shared:
            raise agents.of_several_companies()
        if user is not None and await repository.remove(tx, user.id):
            await self._standings.account_changed(tx, user.id)
            await record(tx, call, "agent.reset_two_factor", agent.id)
        return Nothing()


async def get(tx: Transaction, request: GetTwoFactor, call: OwnCall) -> TwoFactor:
    """How it stands with the caller."""
    del request
    user = await user_of(tx, call.person())
    found = await repository.find(tx, user.id)
    enabled_at = found.confirmed_at if found else None
    return TwoFactor(
        enabled=enabled_at is not None,
        enabled_at=enabled_at,
        recovery_codes_left=await repository.count_recovery_codes(tx, user.id),
    )


async def _other_codes(tx: Transaction, user: User) -> RecoveryCodes:
    given = codes.new_recovery_codes()
    await repository.replace_recovery_codes(tx, user, map(codes.recovery_hash, given))
    return RecoveryCodes(recovery_codes=tuple(given))


def _wrong_code() -> InvalidError:
    return InvalidError.field("code", "wrong_code", "It is another one, or was used before.")
