"""The outbox in shards: which of them a relay leads (docs/adr/0014).

Each shard has one leader, so that the events of an aggregate go in order, and the relays of a
service share them evenly. Nobody assigns anything: a relay holds a shared advisory lock for as long
as it lives, so all see how many there are, and a lock for each shard it leads. Both are gone with
the connection, which is the very one that marks the rows.

Code of before shards held the first lock for itself alone: while it leads, nobody joins.
"""

import math
import random
import time

import asyncpg

from service_kit import metrics

SHARDS = 16
"""More would serve more replicas, and each look more of what others lead."""
REBALANCE_SECONDS = 1.0

OF_AGGREGATE = f"(uuid_hash(o.aggregate_id) & {SHARDS - 1})"
"""The shard of a row `o` of the outbox, in SQL."""

_KEY = "hashtext('outbox_' || current_schema())"
_JOIN = f"SELECT pg_try_advisory_lock_shared({_KEY})"
_TAKE_ALL = f"SELECT pg_try_advisory_lock({_KEY})"
_GIVE_ALL = f"SELECT pg_advisory_unlock({_KEY})"
_RELAYS = f"""
SELECT count(*) FROM pg_locks
WHERE locktype = 'advisory' AND objsubid = 1 AND granted AND mode = 'ShareLock'
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = {_KEY}
"""  # noqa: S608 - constants
_TAKE = f"SELECT s FROM unnest($1::int[]) AS s WHERE pg_try_advisory_lock({_KEY}, s)"  # noqa: S608
_GIVE = f"SELECT pg_advisory_unlock({_KEY}, s) FROM unnest($1::int[]) AS s"  # noqa: S608


class Shards:
    """What one relay leads, by locks of its connection; `held` are the numbers."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection
        self._balanced_at = 0.0
        self.held: list[int] = []

    async def join(self) -> bool:
        """Be one of the relays; False while somebody leads all of the outbox alone."""
        joined: bool = await self._connection.fetchval(_JOIN)
        return joined

    async def rebalance(self) -> bool:
        """Let go of what is more than an even share, take what is less; once a second at most.

        Not while a batch is under way: who takes a shard then would publish its events again.
        Returns whether there is something new to lead.
        """
        if time.monotonic() - self._balanced_at < REBALANCE_SECONDS:
            return False
        before = len(self.held)
        relays: int = await self._connection.fetchval(_RELAYS)
        share = math.ceil(SHARDS / max(relays, 1))
        if len(self.held) < share:
            wanted = [shard for shard in range(SHARDS) if shard not in self.held]
            random.shuffle(wanted)  # two that join at the same time do not want the same ones
            taken = await self._connection.fetch(_TAKE, wanted)
            self.held += [row["s"] for row in taken]
        if surplus := self.held[share:]:
            await self._connection.execute(_GIVE, surplus)
            del self.held[share:]
        self._balanced_at = time.monotonic()
        metrics.RELAY_SHARDS.set(len(self.held))
        return len(self.held) > before

    async def take_all(self) -> bool:
        """Lead everything, unless there is any relay."""
        taken: bool = await self._connection.fetchval(_TAKE_ALL)
        self.held = list(range(SHARDS)) if taken else []
        return taken

    async def give_all(self) -> None:
        """Let go of everything at once."""
        self.held = []
        await self._connection.execute(_GIVE_ALL)
