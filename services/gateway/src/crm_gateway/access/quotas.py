"""How many requests a company and each of its API keys may make in a minute, over all gateways.

Requests are counted here; once a second each gateway adds what it counted to the table they share,
in one statement for all companies, and learns what the others counted. A limit can so be exceeded
by what the others let through within that second. Without a database each counts for itself.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service_kit.database import Database
from shared_events.requests import Principal

from crm_gateway.problems.errors import HttpError

WINDOW_SECONDS = 60
_SHARE_SECONDS = 1.0
_SHARE = """
INSERT INTO tallies AS t (subject, count, ends_at)
SELECT subject, count, $3 FROM unnest($1::text[], $2::int[]) AS counted (subject, count)
ORDER BY subject
ON CONFLICT (subject) DO UPDATE SET
    count = CASE WHEN t.ends_at < excluded.ends_at THEN 0 ELSE t.count END + excluded.count,
    ends_at = greatest(t.ends_at, excluded.ends_at)
RETURNING t.subject, t.count
"""


@dataclass(slots=True)
class _Used:
    """Requests of this window: those everybody knows of, and ours of since then."""

    shared: int = 0
    ours: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a limit."""

    name: str
    most: int
    left: int


class Quotas:
    """Counts the requests of those who are known."""

    def __init__(
        self,
        database: Database,
        *,
        per_tenant: int,
        per_key: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._per_tenant = per_tenant
        self._per_key = per_key
        self._now = now
        self._window = 0
        self._used: dict[str, _Used] = {}

    def take(self, principal: Principal) -> dict[str, str]:
        """Count a request; returns the headers that say what is left.

        They are those of draft-ietf-httpapi-ratelimit-headers-10. Raises HttpError 429, which does
        not count.
        """
        self._turn()
        limits = [("tenant", f"tenant/{principal.tenant_id}", self._per_tenant)]
        if principal.api_key_id is not None:
            limits.append(("key", f"key/{principal.api_key_id}", self._per_key))
        used = [self._used.setdefault(subject, _Used()) for _, subject, _ in limits]
        full = any(
            each.shared + each.ours >= most for each, (_, _, most) in zip(used, limits, strict=True)
        )
        for each in used:
            each.ours += not full
        left = [
            Left(name, most, max(0, most - each.shared - each.ours))
            for each, (name, _, most) in zip(used, limits, strict=True)
        ]
        headers = self._headers(left)
        if full:
            raise HttpError(
                429,
                "rate_limited",
                "Too many requests; wait for the next window.",
                headers={**headers, "Retry-After": str(self._seconds_left())},
            )
        return headers

    async def run(self) -> None:
        """Share what is counted until cancelled; raises what the database raises."""
        while True:
            await asyncio.sleep(_SHARE_SECONDS)
            await self.share()

    async def share(self) -> None:
        """Tell the others what was counted here, and learn what they counted."""
        self._turn()
        window, told = self._window, {s: u.ours for s, u in self._used.items() if u.ours}
        if not told:
            return
        ends_at = datetime.fromtimestamp((window + 1) * WINDOW_SECONDS, UTC)
        async with self._database.system("quotas") as tx:
            counted = await tx.fetch(_SHARE, list(told), list(told.values()), ends_at)
        if window != self._window:
            return
        for subject, count in counted:
            used = self._used[subject]
            used.shared, used.ours = count, used.ours - told[subject]

    def _turn(self) -> None:
        """Begin a new window when it is time; all gateways do so by the clock."""
        window = int(self._now() // WINDOW_SECONDS)
        if window != self._window:
            self._window = window
            self._used.clear()

    def _seconds_left(self) -> int:
        return max(1, round(WINDOW_SECONDS - self._now() % WINDOW_SECONDS))

    def _headers(self, left: Sequence[Left]) -> dict[str, str]:
        seconds = self._seconds_left()
        return {
            "RateLimit-Policy": ", ".join(
                f'"{each.name}";q={each.most};w={WINDOW_SECONDS}' for each in left
            ),
            "RateLimit": ", ".join(f'"{each.name}";r={each.left};t={seconds}' for each in left),
        }
