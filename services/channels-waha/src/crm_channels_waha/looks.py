"""Looks at WAHA that no message waits for: what is due, at the pace of each channel.

Two tables are behind such looks: what is to be looked at (`tenant_id`, `channel_id`, `chat_id`,
`due_at`, `attempts`), and when each channel may look again (`tenant_id`, `channel_id`, `next_at`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import structlog
from service_kit.database import Database, Transaction

log = structlog.get_logger()

Due = TypeVar("Due")

LOOK_SECONDS = 30.0
"""The longest look."""
_POLL_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 86_400.0

# A channel's turn is taken with its lock, so that all processes together keep its pace; who dies
# looking costs a lease, nothing else.
_CLAIM = """
WITH chosen AS MATERIALIZED (
    SELECT p.tenant_id, p.channel_id, due.chat_id FROM {paces} p
    CROSS JOIN LATERAL (SELECT chat_id FROM {looks}
        WHERE tenant_id = p.tenant_id AND channel_id = p.channel_id AND due_at <= now()
        ORDER BY due_at LIMIT 1) AS due
    {ready}
    WHERE p.next_at <= now()
    ORDER BY p.next_at LIMIT $1 FOR UPDATE OF p SKIP LOCKED),
paced AS (
    UPDATE {paces} p SET next_at = now() + make_interval(secs => $2) FROM chosen
    WHERE p.tenant_id = chosen.tenant_id AND p.channel_id = chosen.channel_id)
UPDATE {looks} l
SET attempts = attempts + 1, due_at = now() + make_interval(secs => $3) FROM chosen
WHERE l.tenant_id = chosen.tenant_id AND l.channel_id = chosen.channel_id
    AND l.chat_id = chosen.chat_id
RETURNING l.*
"""


def claiming(looks: str, paces: str, ready: str = "") -> str:
    """The statement that takes what is due by these tables, at most one thing of a channel.

    `$1` is how many, `$2` the channel's pace and `$3` the lease, in seconds. `ready` joins what
    else must be so of a channel `p`.
    """
    return _CLAIM.format(looks=looks, paces=paces, ready=ready)


@dataclass(frozen=True, slots=True)
class Pace:
    """How many at a time, how often by one channel, and how long to let be what failed.

    `attempts` without success, each pause twice the one before, end a look until the next is due.
    """

    at_once: int
    interval_seconds: float
    pause_seconds: float
    attempts: int

    def pause_after(self, attempts: int) -> float:
        """How long to let be, in seconds, what failed so often."""
        return min(self.pause_seconds * 2.0 ** min(attempts - 1, 30), _LONGEST_PAUSE_SECONDS)


class Looks(Generic[Due]):
    """Looks at what is due, for ever.

    `claim` takes it (with the arguments of `claiming`) in the system's `scope`, and `look` looks at
    one; what raises is due again when its lease ends.
    """

    def __init__(
        self,
        database: Database,
        scope: str,
        pace: Pace,
        claim: Callable[[Transaction, int, float, float], Awaitable[Sequence[Due]]],
        look: Callable[[Due], Awaitable[None]],
    ) -> None:
        self._database = database
        self._scope = scope
        self._pace = pace
        self._claim = claim
        self._look = look

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            if not await self.look():
                await asyncio.sleep(min(self._pace.interval_seconds, _POLL_SECONDS))

    async def look(self) -> int:
        """Look at what is due now, one thing a channel; returns how many those were."""
        pace = self._pace
        async with self._database.system(self._scope) as tx:
            due = await self._claim(tx, pace.at_once, pace.interval_seconds, 2 * LOOK_SECONDS)
        ended = await asyncio.gather(*map(self._look, due), return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                log.warning("look_broke", scope=self._scope, error=repr(error))
        return len(due)
