"""Slows guessing down: failed logins per account and per address, shared by all replicas.

Only failures count, in a sliding window. Accounts and addresses are kept as hashes.
"""

import hashlib
from dataclasses import dataclass

from service_kit.database import Transaction
from service_kit.rows import Rows

from crm_gateway.auth.models import LoginFailure

_FAILURES = Rows(LoginFailure)
_BLOCKED = """
SELECT ceil(extract(epoch FROM failed_at - now()) + $3)::int FROM login_failures
WHERE subject = $1 AND failed_at > now() - make_interval(secs => $3)
ORDER BY failed_at DESC OFFSET $2 - 1 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Throttle:
    """How many failures an account or an address may have within the window, in seconds."""

    per_account: int
    per_address: int
    window_seconds: int

    async def retry_after(self, tx: Transaction, account: str, address: str) -> int | None:
        """Seconds to wait before the next attempt, or None when it may be made now."""
        waits = [
            await tx.fetchval(
                _BLOCKED, _subject("account", account), self.per_account, self._window
            ),
            await tx.fetchval(
                _BLOCKED, _subject("address", address), self.per_address, self._window
            ),
        ]
        return max((wait for wait in waits if wait is not None), default=None)

    @property
    def _window(self) -> float:
        return float(self.window_seconds)

    async def failed(self, tx: Transaction, account: str, address: str) -> None:
        """Count a failure."""
        subjects = (_subject("account", account), _subject("address", address))
        await _FAILURES.insert(tx, [LoginFailure(subject=subject) for subject in subjects])

    async def succeeded(self, tx: Transaction, account: str) -> None:
        """Forget the account's failures; the address keeps its own."""
        await tx.execute(
            "DELETE FROM login_failures WHERE subject = $1", _subject("account", account)
        )

    async def purge(self, tx: Transaction) -> None:
        """Remove what no longer counts."""
        await tx.execute(
            "DELETE FROM login_failures WHERE failed_at < now() - make_interval(secs => $1)",
            self._window,
        )


def _subject(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}\0{value}".encode()).hexdigest()
