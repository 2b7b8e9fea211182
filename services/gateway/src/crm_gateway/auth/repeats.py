"""Idempotency keys of strangers: what was asked before anybody has logged in (docs/adr/0003).

A stranger has no tenant and no id. Whose key it is, is told by what the request names itself: an
e-mail, or a token that was mailed or given. So nobody's keys are in another's way, and who guesses
one is given nothing: the whole request must be equal, its password and token as well.
"""

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid5

import orjson
from pydantic import BaseModel, SecretStr
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import InvalidError
from service_kit.handling import carry_out_elsewhere
from service_kit.sealing import Seal
from shared_events.requests import Principal, Reply, Request

from crm_gateway.auth.guards import Guards

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
        correlation_id: str,
        keyed_by: str,
        key: str,
    ) -> Reply:
        """What `handle` gives or refuses, or gave before for an equal request with the same key.

        `keyed_by` is the field that says whose key it is. Raises InvalidError for another request
        with the key, ConflictError while the first still runs, HttpError 429 for guessing, and what
        `handle` raises that may pass.
        """
        whose = uuid5(_NAMESPACE, f"{keyed_by}/{getattr(request, keyed_by)}")
        call = Call(Principal(tenant_id=_TENANT, user_id=whose), correlation_id)

        async def carried_out(_: Request[Any], __: Call) -> BaseModel:
            return await handle()

        async with self._database.tenant(_TENANT) as tx:
            attempt = await self._guards.repeat(tx, whose, key)
        is_guess = False
        try:
            return await carry_out_elsewhere(
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
                async with self._database.tenant(_TENANT) as tx:
                    await self._guards.repeated(tx, attempt)

    def _fingerprint(self, request: Request[Any]) -> str:
        """Tells equal requests; without the key it tells nothing of a password."""
        given = request.model_dump(exclude_unset=True)
        text = orjson.dumps(given, default=_revealed, option=orjson.OPT_SORT_KEYS)
        return hmac.new(self._fingerprint_key, text, hashlib.sha256).hexdigest()


def _revealed(secret: SecretStr) -> str:
    return secret.get_secret_value()
