"""Another key for what is sealed at rest (`keys rotate`).

What an older key sealed is opened and sealed anew, in small steps, beside the service at work: a
row that changes meanwhile is left to who changed it, who sealed with the newest key.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

from service_kit.database import Database
from service_kit.sealing import Seal, WrongKeyError

_STEP = 500
_FIRST = UUID(int=0)


@dataclass(slots=True)
class Turned:
    """What became of the things of one kind: `left` are those that could not be turned, by id."""

    turned: int = 0
    current: int = 0
    left: list[UUID] = field(default_factory=list)


TurnKeys = Callable[[bool], Awaitable[Turned]]
"""Brings all things of a kind to the newest key; told False, it only counts those that are not."""


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """A column of text or bytes that holds what `seal` sealed, in a table whose key is a UUID.

    `companies`: a table that all companies with such rows are found in, and the scope that may read
    it across tenants. The rows themselves are read and written as their own company.
    """

    table: str
    column: str
    seal: Seal
    companies: tuple[str, str]
    key: str = "id"

    async def turn(self, database: Database, *, change: bool) -> Turned:
        """Seal anew what an older key sealed; without `change` only count it."""
        found = Turned()
        async for tenant_id in self._tenants(database):
            last = _FIRST
            while rows := await self._step(database, tenant_id, last, found, change=change):
                last = rows[-1]
        return found

    async def _tenants(self, database: Database) -> AsyncIterator[str]:
        table, scope = self.companies
        async with database.system(scope) as tx:
            rows = await tx.fetch(f"SELECT DISTINCT tenant_id FROM {table} ORDER BY 1")  # noqa: S608
        for row in rows:
            yield row["tenant_id"]

    async def _step(
        self, database: Database, tenant_id: str, last: UUID, found: Turned, *, change: bool
    ) -> list[UUID]:
        async with database.tenant(tenant_id) as tx:
            rows = await tx.fetch(
                f"SELECT {self.key} AS id, {self.column} AS sealed FROM {self.table}"  # noqa: S608
                f" WHERE tenant_id = $1 AND {self.key} > $2 ORDER BY {self.key} LIMIT {_STEP}",
                tenant_id,
                last,
            )
            for row in rows:
                before = row["sealed"]
                try:
                    after = self.seal.renewed(before)
                except WrongKeyError:
                    found.left.append(row["id"])
                    continue
                if after == before:
                    found.current += 1
                elif not change:
                    found.turned += 1
                else:
                    found.turned += await tx.execute(
                        f"UPDATE {self.table} SET {self.column} = $4"  # noqa: S608
                        f" WHERE tenant_id = $1 AND {self.key} = $2 AND {self.column} = $3",
                        tenant_id,
                        row["id"],
                        before,
                        after,
                    )
        return [row["id"] for row in rows]
