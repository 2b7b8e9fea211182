"""Idempotency keys of strangers: what was asked before anybody has logged in (docs/adr/0003).

A stranger has no tenant and no id. Whose key it is, is told by what the request names itself: an
e-mail, or a token that was mailed or given. So nobody's keys are in another's way, and who guesses
one is given nothing: the whole request must be equal, its password and token as well.

What is answered again may let somebody in. It does so only as long as that login goes on as it
began; and a guess at a login by its key counts as a wrong password.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, SecretStr
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from service_kit.errors import ConflictError, InvalidError
from service_kit.handling import carry_out_elsewhere
from service_kit.sealing import Seal
from shared_events.requests import Principal, Reply, Request

from crm_gateway.auth import repository
from crm_gateway.auth.guards import Attempt, Guards
from crm_gateway.auth.logins import is_fresh
from crm_gateway.auth.schemas import Login, Tokens

_TENANT = "strangers"
"""Under which their replies are kept; companies have UUIDs."""
_NAMESPACE = UUID("0b7f3a52-6c1e-5d43-9f18-27d4c5e0a961")


class Repeats:
    """Carries requests of strangers out once for each of their keys."""

    def __init__(
        self, database: Database, guards: Guards, seal: Seal, fingerprint_key: bytes
    ) -> None:
        """`seal` closes the replies, which hold tokens; requests are kept as HMACs alone."""
        self._database = database
        self._guards = guards
        self._seal = seal
        self._fingerprint_key = fingerprint_key

    async def answer(
        self,
        request: Request[Any],
        handle: Callable[[], Awaitable[BaseModel]],
        *,
        address: str,
        correlation_id: str,
        keyed_by: str,
        key: str,
    ) -> Reply:
        """What `handle` gives or refuses, or gave before for an equal request with the same key.

        `keyed_by` is the field that says whose key it is. Raises InvalidError for another request
        with the key, ConflictError while the first still runs or when the login it began has gone
        on or ended, HttpError 429 for guessing, and what `handle` raises that may pass.
        """
        whose = uuid5(_NAMESPACE, f"{keyed_by}/{getattr(request, keyed_by)}")
        call = Call(Principal(tenant_id=_TENANT, user_id=whose), correlation_id)
        async with self._database.system("login") as tx:
            attempt = await self._guards.repeat(tx, whose, key)
            login = await self._as_login(tx, request, address)

        async def carried_out(_: Request[Any], __: Call) -> BaseModel:
            nonlocal login
            await self._give_back(login)  # of a key nobody has used: `handle` counts by itself
            login = None
            return await handle()

        is_guess = False
        try:
            reply = await carry_out_elsewhere(
                self._database,
                carried_out,
                request,
                call,
                body={"fingerprint": self._fingerprint(request)},
                idempotency_key=key,
                call_id=None,
                seal=self._seal,
            )
        except InvalidError:  # of the key: what the request is refused for is a reply
            is_guess = True
            raise
        finally:
            if not is_guess:
                async with self._database.system("login") as tx:
                    await self._guards.repeated(tx, attempt)
                await self._give_back(login)
        if reply.replayed and not await self._may_be_shown(request, reply):
            raise ConflictError(
                "answer_lost", "It was carried out; what it showed cannot be shown again."
            )
        return reply

    async def _as_login(
        self, tx: Transaction, request: Request[Any], address: str
    ) -> Attempt | None:
        """Count a login before its key is looked at, so that nothing is told to who is locked out;
        raises HttpError 429."""
        if not isinstance(request, Login):
            return None
        user = await repository.find_login(tx, request.email)
        tenant_id = user.tenant_id if user else None
        return await self._guards.login(tx, request.email, tenant_id, address)

    async def _give_back(self, login: Attempt | None) -> None:
        if login is not None:
            async with self._database.system("login") as tx:
                await self._guards.succeeded(tx, login)

    async def _may_be_shown(self, request: Request[Any], reply: Reply) -> bool:
        """Whether tokens that were given before are still what they were: neither used, nor ended
        by a logout, another password or a deactivation.

        Those of a login no longer than its access token lives: it may have taken a code that works
        once, and nobody may come in by that for days.
        """
        if reply.value is None or "refresh_token" not in reply.value:
            return True
        given = Tokens.model_validate({name: reply.value[name] for name in Tokens.model_fields})
        async with self._database.system("login") as tx:
            stored = await repository.get_refresh_token(tx, given.refresh_token)
            if stored is None:
                return False
            await tx.act_for(stored.tenant_id)
            member = await repository.find_member(tx, stored.user_id)
        if isinstance(request, Login):
            ends_at = stored.created_at + timedelta(seconds=given.expires_in)
            if datetime.now(UTC) >= ends_at:
                return False
        return member is not None and is_fresh(stored, member)

    def _fingerprint(self, request: Request[Any]) -> str:
        """Tells equal requests; without the key it tells nothing of a password."""
        given = request.model_dump(exclude_unset=True)
        text = orjson.dumps(given, default=_revealed, option=orjson.OPT_SORT_KEYS)
        return hmac.new(self._fingerprint_key, text, hashlib.sha256).hexdigest()


def _revealed(secret: SecretStr) -> str:
    return secret.get_secret_value()
