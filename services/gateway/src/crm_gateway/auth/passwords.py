"""Passwords, kept as argon2id hashes and hashed off the event loop."""

import asyncio

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

_PARALLEL = 4


class Passwords:
    """Hashes and verifies passwords, a few at a time: each hash takes its memory."""

    def __init__(self, *, strong: bool) -> None:
        # OWASP's minimum for argon2id; tests and development need no such patience.
        cost = (
            Argon2Hasher(time_cost=2, memory_cost=19_456, parallelism=1)
            if strong
            else Argon2Hasher(time_cost=1, memory_cost=1_024, parallelism=1)
        )
        self._hasher = PasswordHash((cost,))
        self._slots = asyncio.Semaphore(_PARALLEL)
        self._nobodys = self._hasher.hash("nobody's password")

    async def hash(self, password: str) -> str:
        """The hash to store."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether the password fits. Without a hash it takes as long, and is False."""
        async with self._slots:
            fits = await asyncio.to_thread(self._hasher.verify, password, hashed or self._nobodys)
        return fits and hashed is not None
