"""Logins: the gateway's tokens, sealed into a cookie, and exchanged for new ones when they end.

The console keeps no session: whoever has the cookie is logged in, at whichever process of it.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from cryptography.fernet import InvalidToken, MultiFernet

from crm_console.gateway import Gateway, Json, RefusedError

MAX_AGE = 30 * 24 * 3600
"""Seconds a cookie is kept: as long as the gateway's refresh tokens live by default."""
_PART_OF_LIFE = 0.9
"""How much of its life a token is used for: the rest is for clocks that differ."""
_REMEMBERED_SECONDS = 900

Clock = Callable[[], float]


class LoggedOutError(Exception):
    """Nobody is logged in, or no longer."""


@dataclass(frozen=True)
class Login:
    """A pair of tokens, to be exchanged from `renew_at` on, a Unix time."""

    access_token: str
    refresh_token: str
    renew_at: float

    @classmethod
    def of(cls, tokens: Json, now: float) -> "Login":
        """From what the gateway answers to a login or a refresh."""
        renew_at = now + tokens["expires_in"] * _PART_OF_LIFE
        return cls(tokens["access_token"], tokens["refresh_token"], renew_at)


class Cookies:
    """Logins as cookies, unreadable and unforgeable without the key."""

    def __init__(self, seal: MultiFernet) -> None:
        self._seal = seal

    def write(self, login: Login) -> str:
        """The cookie's value."""
        return self._seal.encrypt(json.dumps(asdict(login)).encode()).decode()

    def read(self, value: str) -> Login | None:
        """The login of a cookie; None for one that is old, forged or of a key that is gone."""
        try:
            return Login(**json.loads(self._seal.decrypt(value, ttl=MAX_AGE)))
        except (InvalidToken, TypeError, ValueError):
            return None


class Renewals:
    """Exchanges refresh tokens, each once: a second use of one would end its whole login.

    A page asks for several things at once, all with the same cookie, and an answer with the new one
    may never reach the browser. So whoever comes with a token that was exchanged gets what it was
    exchanged for.
    """

    def __init__(self, gateway: Gateway, clock: Clock = time.time) -> None:
        self._gateway, self._clock = gateway, clock
        self._known: dict[str, tuple[float, asyncio.Task[Login]]] = {}

    async def fresh(self, login: Login, headers: Mapping[str, str]) -> Login:
        """The login, or its successor if its access token is about to end.

        Raises LoggedOutError when the gateway will not have it, RefusedError when it cannot say.
        """
        while login.renew_at <= self._clock():
            login = await self._renewed(login, headers)
        return login

    async def _renewed(self, login: Login, headers: Mapping[str, str]) -> Login:
        now = self._clock()
        self._known = {k: v for k, v in self._known.items() if v[0] > now - _REMEMBERED_SECONDS}
        name = hashlib.sha256(login.refresh_token.encode()).hexdigest()
        if name not in self._known:
            self._known[name] = now, asyncio.create_task(self._exchange(login, headers))
        try:
            return await asyncio.shield(self._known[name][1])
        except (LoggedOutError, RefusedError):
            self._known.pop(name, None)
            raise

    async def _exchange(self, login: Login, headers: Mapping[str, str]) -> Login:
        body = {"refresh_token": login.refresh_token}
        try:
            tokens = await self._gateway.ask("POST", "/auth/refresh", headers=headers, body=body)
        except RefusedError as refusal:
            if refusal.status == 401:
                raise LoggedOutError from None
            raise
        return Login.of(tokens, self._clock())
