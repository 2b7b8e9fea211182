"""Passwords, kept as argon2id hashes and hashed off the event loop."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from service_kit.errors import UnavailableError

_PARALLEL = 4
MOST_WAITING = 128
"""Hashes asked for at the same time; one takes some 20 ms, and who would wait longer is refused."""


class Passwords:
    """Hashes and verifies passwords, a few at a time: each hash takes its memory.

    Raises UnavailableError when too many wait already.
    """

    def __init__(self, *, strong: bool) -> None:
        # OWASP's minimum for argon2id; tests and development need no such patience.
        cost = (
            Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)
            if strong
            else Argon2Hasher(time_cost=1, memory_cost=1_024, parallelism=1)
        )
        self._hasher = PasswordHash((cost,))
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._waiting = 0
        self._nobodys = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        """The hash to store."""
        async with self._turn():
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits. Without a hash it takes as long, and is False."""
        async with self._turn():
            fits = await asyncio.to_thread(self._hasher.verify, password, hashed or self._nobodys)
        return fits and hashed is not None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise UnavailableError("too_busy", "Too many passwords at once; try again shortly.")
        self._waiting += 1
        try:
            async with self._slots:
                yield
        finally:
            self._waiting -= 1
