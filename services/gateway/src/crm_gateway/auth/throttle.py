"""Slows guessing down: what may be tried so often within a window, over all gateways.

An attempt is counted before it is made and given back when it turned out well, in one statement: of
many at once no more than the limit pass. One that is refused counts nowhere, so that nobody who
hammers at a closed door closes another one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address, ip_address, ip_network

from service_kit.database import Transaction

from crm_gateway.problems.errors import too_many_attempts

# Of attempts at once one may have begun before the window did.
_TAKE = """
INSERT INTO tallies AS t (subject, count, ends_at)
SELECT subject, 1, now() + make_interval(secs => $2)
FROM unnest($1::text[]) AS subject ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET
    count = CASE WHEN t.ends_at > now() THEN t.count + 1 ELSE 1 END,
    ends_at = CASE WHEN t.ends_at > now() THEN t.ends_at ELSE excluded.ends_at END
RETURNING t.subject, t.count, least(ceil(extract(epoch FROM t.ends_at - now())), $2)::int
"""
_GIVE_BACK = """
UPDATE tallies SET count = count - 1
WHERE subject IN (SELECT subject FROM tallies WHERE subject = ANY($1) ORDER BY subject FOR UPDATE)
AND count > 0
"""
_PURGE = """
DELETE FROM tallies WHERE subject IN (
    SELECT subject FROM tallies WHERE ends_at < now() FOR UPDATE SKIP LOCKED
)
"""
_REMEMBER = """
INSERT INTO tallies (subject, count, ends_at) VALUES ($1, 0, now() + $2)
ON CONFLICT (subject) DO UPDATE SET ends_at = excluded.ends_at
"""
_KNOWN_FOR = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Limit:
    """Who or what may try so often; kept as a hash."""

    subject: str
    most: int

    @classmethod
    def of(cls, most: int, *parts: object) -> "Limit":
        """What these words name, in their order."""
        return cls(_hash(*parts), most)


@dataclass(frozen=True, slots=True)
class Throttle:
    """Counts attempts within windows of so many seconds, each from its first attempt on."""

    window_seconds: float

    async def take(self, tx: Transaction, limits: Sequence[Limit]) -> None:
        """Count an attempt.

        Raises HttpError 429 beyond a limit; with the transaction goes what was counted in it.
        """
        if beyond := await self._beyond(tx, limits):
            wait, limit = max(beyond)
            raise too_many_attempts(wait, most=limit, seconds=self.window_seconds)

    async def lets(self, tx: Transaction, limit: Limit) -> bool:
        """Count what nobody asked for, so that nobody is told; whether it is within the limit."""
        return not await self._beyond(tx, [limit])

    async def _beyond(self, tx: Transaction, limits: Sequence[Limit]) -> list[tuple[int, int]]:
        """Of the limits an attempt goes beyond: how long to wait, and the most there may be."""
        most = {limit.subject: limit.most for limit in limits}
        counted = await tx.fetch(_TAKE, list(most), self.window_seconds)
        return [(wait, most[whose]) for whose, count, wait in counted if count > most[whose]]

    async def give_back(self, tx: Transaction, limits: Sequence[Limit]) -> None:
        """The attempt turned out well and does not count."""
        await tx.execute(_GIVE_BACK, [limit.subject for limit in limits])

    async def forget(self, tx: Transaction, limit: Limit) -> None:
        """None of the attempts counts any more; the caller has given one of them back."""
        await tx.execute("DELETE FROM tallies WHERE subject = $1", limit.subject)

    async def remember(self, tx: Transaction, account: str, address: str) -> None:
        """The account's owner has come from this address."""
        await tx.execute(_REMEMBER, _hash("known", account, network_of(address)), _KNOWN_FOR)

    async def is_known(self, tx: Transaction, account: str, address: str) -> bool:
        """Whether the account's owner has come from this address within three months."""
        known = _hash("known", account, network_of(address))
        query = "SELECT true FROM tallies WHERE subject = $1 AND ends_at > now()"
        return bool(await tx.fetchval(query, known))


async def purge(tx: Transaction) -> None:
    """Remove what no longer counts."""
    await tx.execute(_PURGE)
    # Where gateways of before counted.
    await tx.execute("DELETE FROM login_failures WHERE failed_at < now() - interval '1 day'")


def network_of(address: str) -> str:
    """Whose address it is: of IPv6 everybody has a network full (RFC 6177)."""
    try:
        given = ip_address(address)
    except ValueError:
        return address
    if not isinstance(given, IPv6Address):
        return address
    return str(given.ipv4_mapped or ip_network((given, 64), strict=False))


def _hash(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()
