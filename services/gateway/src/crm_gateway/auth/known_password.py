"""The password, asked again of who is logged in: for what a stolen access token must not do."""

from pydantic import SecretStr
from service_kit.database import Database, Transaction
from service_kit.errors import InvalidError

from crm_gateway.auth import repository
from crm_gateway.auth.guards import Attempt, Guards
from crm_gateway.auth.models import User
from crm_gateway.auth.passwords import Passwords
from crm_gateway.rest.own import OwnCall


class KnownPassword:
    """Checks the caller's present password; each guess counts."""

    def __init__(self, database: Database, passwords: Passwords, guards: Guards) -> None:
        self.database = database
        self._passwords = passwords
        self._guards = guards

    async def prove(self, call: OwnCall, given: SecretStr, field: str) -> tuple[User, Attempt]:
        """Whose account the caller has, and the attempt to be given to `proved`.

        Raises InvalidError at the field for a wrong one, ForbiddenError for an API key.
        """
        person = call.person()
        async with self.database.tenant(call.principal.tenant_id) as tx:
            user = await repository.get_user(tx, person)
            attempt = await self._guards.password(tx, user.id if user else person)
        hashed = None if user is None else user.password_hash
        if not await self._passwords.verify(given.get_secret_value(), hashed) or user is None:
            raise InvalidError.field(field, "wrong_password", "It is another one.")
        return user, attempt

    async def proved(self, tx: Transaction, attempt: Attempt) -> None:
        """What was asked for is done: the attempt counts no more."""
        await self._guards.succeeded(tx, attempt)
