"""Figure 10: claims and lists while a million deliveries wait, by the service's own code.

`WAITING` of them (50,000), made by SQL, for 5,000 endpoints of 100 companies. Alone, on any
PostgreSQL that may be filled: `DATABASE_ADMIN_URL=... WAITING=1000000 python -m bench.waiting`.
"""

import asyncio
import os
import time
from collections.abc import Iterable
from hashlib import md5
from typing import cast
from uuid import UUID, uuid4

import asyncpg
from crm_webhooks.deliveries import repository, stats
from crm_webhooks.deliveries.claims import Claims
from crm_webhooks.deliveries.lanes import Lanes, Owed
from crm_webhooks.deliveries.sender import Sender
from service_kit.database import Database
from shared_events.webhooks.delivery import ListDeliveries

from bench.database import Work, cost, filled
from bench.figures import Figure
from bench.load import Latencies

SIZE = int(os.environ.get("WAITING", "50000"))
ENDPOINTS, COMPANIES = 5_000, 100
_LEASE_SECONDS = 60.0
_CLAIMS = 100
_COMPANY, _ENDPOINT = "company-1", UUID(md5(b"endpoint 1", usedforsecurity=False).hexdigest())

_ENDPOINTS = """
INSERT INTO webhook_endpoints (id, tenant_id, url, event_types, headers, enabled)
SELECT md5('endpoint ' || i)::uuid, 'company-' || i % $2::integer, 'https://crm.example/', '{*}',
    '', true
FROM generate_series(1, $1::integer) AS i
"""
# An event of a company for each of its endpoints in turn, so that all are owed as much.
_EVENTS = """
INSERT INTO webhook_events (tenant_id, event_id, event_type, body, occurred_at)
SELECT 'company-' || i % $2::integer, md5('event ' || i)::uuid, 'message.received', $3, now()
FROM generate_series(1, $1::integer) AS i
"""
_DELIVERIES = """
INSERT INTO webhook_deliveries (id, tenant_id, event_id, event_type, endpoint_id, ordering_key)
SELECT gen_random_uuid(), 'company-' || i % $3::integer, md5('event ' || i)::uuid,
    'message.received', md5('endpoint ' || 1 + (i - 1) % $2::integer)::uuid, gen_random_uuid()
FROM generate_series(1, $1::integer) AS i
"""


class Hands:
    """Takes what is claimed and lets go of it at once, as a sender of quick endpoints does."""

    def __init__(self) -> None:
        self.owner = uuid4()
        self.lanes = Lanes(slots=200, per_lane=8, backlog=2000)
        self.accepting = False
        self.taken = asyncio.Event()
        self.count = 0

    def accept(self, owed: Iterable[Owed], left: Iterable[UUID] = ()) -> None:
        """Note it."""
        del left
        self.count += len(list(owed))
        self.accepting = False
        self.taken.set()

    def forget_all(self) -> None:
        """Nothing is remembered."""

    def changed(self, endpoint_id: UUID) -> None:
        """Nor here."""


async def _fill(superuser: asyncpg.Connection) -> None:
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute(_ENDPOINTS, ENDPOINTS, COMPANIES)
    await superuser.execute(_EVENTS, SIZE, COMPANIES, b"{}" * 300)
    await superuser.execute(_DELIVERIES, SIZE, ENDPOINTS, COMPANIES)
    await superuser.execute("VACUUM ANALYZE")


async def _claims(database: Database) -> str:
    hands = Hands()
    claims = Claims(database, cast(Sender, hands), lease_seconds=_LEASE_SECONDS)
    claiming = asyncio.create_task(claims.run())
    took: list[float] = []
    begun = time.perf_counter()
    for _ in range(_CLAIMS):
        at = time.perf_counter()
        hands.taken.clear()
        hands.accepting = True
        claims.wake()
        await hands.taken.wait()
        took.append(time.perf_counter() - at)
    claiming.cancel()
    latency = Latencies.of(took, time.perf_counter() - begun)
    return f"{latency}   ({hands.count // _CLAIMS} at a time)"


def _listing(**query: object) -> Work:
    request = ListDeliveries.model_validate({"endpoint_id": _ENDPOINT, **query})
    return lambda tx: repository.page(tx, request)


async def waited(admin_url: str) -> list[Figure]:
    """Fill a database of that server's, claim in it and list."""
    reads: dict[str, Work] = {
        "list, of an endpoint": _listing(),
        "list, waiting": _listing(status="pending"),
        "list, given up": _listing(status="exhausted"),
        "statistics": lambda tx: stats.of_endpoint(tx, _ENDPOINT),
    }
    async with filled(admin_url, "crm_webhooks", "webhooks", _fill) as database:
        return [
            *[(f"10 {n}, of {SIZE}", await cost(database, _COMPANY, w)) for n, w in reads.items()],
            (f"10 claim, of {SIZE}", await _claims(database)),
        ]


if __name__ == "__main__":
    for figure in asyncio.run(waited(os.environ["DATABASE_ADMIN_URL"])):
        print(*figure)
