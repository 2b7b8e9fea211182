"""Figure 6: search, lists and boards of a company among a thousand, by the service's own code.

Straight on a database of its own: what is measured is how contacts are found and not the way of a
request. `CONTACTS` of them are the one company's (100,000), made by SQL. The database's processor
time stands beside what it took, since machines are shared. Alone, on any PostgreSQL that may be
filled: `DATABASE_ADMIN_URL=... CONTACTS=1000000 python -m bench.contacts`.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import psutil
from crm_contacts.board import repository as board
from crm_contacts.contacts import listing
from pydantic import SecretStr
from service_kit import migrations
from service_kit.database import Database, Transaction
from service_kit.settings import ServiceSettings
from shared_events.contacts.contact import ListContacts

from bench.figures import Figure
from bench.load import Latencies

SIZE = int(os.environ.get("CONTACTS", "100000"))
OTHERS, OF_EACH = 999, 100
_BIG, _NAME = "big", "crm_bench_contacts"
_STATUS = UUID(int=7)
_ROUNDS = 20
_SEARCHES: dict[str, dict[str, object]] = {
    "a common word": {"search": "maria"},
    "first and last name": {"search": "livia wanderley"},
    "last digits": {"search": "0012345"},
    "e-mail": {"search": "cliente7777@"},
    "a custom field": {"search": "pedido 4242"},
    "a tag": {"search": "raro"},
    "nobody": {"search": "ninguem"},
}
_LISTS: dict[str, dict[str, object]] = {
    "newest": {},
    "by name": {"sort": "name"},
    "of a tag": {"tags": ["raro"]},
}
# Every 1,000th has the rare tag, every 10th the status.
_FILL = """
INSERT INTO contacts (id, tenant_id, name, phone, email, tags, tag_keys, custom_fields, source,
    search_text, sort_name, pipeline_id, pipeline_status_id, version, created_at, updated_at)
SELECT gen_random_uuid(), $1, name, phone, email, tags, tags, jsonb_build_object('nota', note),
    'import', concat_ws(' ', '', name, phone, email, array_to_string(tags, ' '), note), name,
    status, status, 1, now() - i * interval '1 minute', now()
FROM (SELECT i,
    (ARRAY['maria', 'jose', 'ana', 'joao', 'livia'])[1 + floor(5 * random() ^ 3)::integer] || ' '
        || (ARRAY['silva', 'santos', 'souza', 'lima', 'wanderley'])[
            1 + floor(5 * random() ^ 3)::integer] || ' ' || substr(md5(i::text), 1, 4) AS name,
    '+5511' || 900000000 + i + $3 AS phone, 'cliente' || i || '@exemplo.com' AS email,
    CASE WHEN i % 1000 = 0 THEN '{raro}'::text[] ELSE '{vip}' END AS tags,
    'pedido ' || i AS note, CASE WHEN i % 10 = 0 THEN $4::uuid END AS status
    FROM generate_series(1, $2::integer) AS i) AS made
"""


async def found(admin_url: str) -> list[Figure]:
    """Fill a database of that server's and look for contacts in it."""
    admin = urlsplit(admin_url)
    server = admin.netloc.rpartition("@")[2]
    dsn = urlunsplit(admin._replace(netloc=f"{_NAME}:bench@{server}", path=f"/{_NAME}"))
    os.environ["DATABASE_ADMIN_URL"] = urlunsplit(admin._replace(path="/postgres"))
    settings = ServiceSettings(crm_env="development", database_url=SecretStr(dsn))
    await migrations.migrate(settings, package="crm_contacts", schema="contacts")
    await _fill(urlunsplit(admin._replace(path=f"/{_NAME}")))
    database = Database(dsn, "contacts", pool_size=1)
    await database.connect()
    try:
        return [
            *[await _figure(database, f"search, {n}", _listing(q)) for n, q in _SEARCHES.items()],
            *[await _figure(database, f"list, {n}", _listing(q)) for n, q in _LISTS.items()],
            await _figure(database, "board, a status", lambda tx: board.newest(tx, [_STATUS], 20)),
        ]
    finally:
        await database.close()


async def _fill(admin_url: str) -> None:
    admin = await asyncpg.connect(admin_url, server_settings={"search_path": "contacts"})
    await admin.execute(_FILL, _BIG, SIZE, 0, _STATUS)
    for number in range(OTHERS):
        await admin.execute(_FILL, f"other-{number}", OF_EACH, number, None)
    await admin.execute("VACUUM ANALYZE contacts")
    await admin.close()


def _listing(query: dict[str, object]) -> Callable[[Transaction], Awaitable[object]]:
    request = ListContacts.model_validate(query)
    return lambda tx: listing.list_contacts(tx, request)


async def _figure(
    database: Database, name: str, work: Callable[[Transaction], Awaitable[object]]
) -> Figure:
    async with database.acquire() as connection:
        pid = connection.get_server_pid()
    took: list[float] = []
    spent = _processor_ms(pid)
    begun = time.perf_counter()
    for _ in range(_ROUNDS):
        at = time.perf_counter()
        async with database.tenant(_BIG, read_only=True) as tx:
            await work(tx)
        took.append(time.perf_counter() - at)
    latency = Latencies.of(took, time.perf_counter() - begun)
    each = (_processor_ms(pid) - spent) / _ROUNDS
    return f"6 {name}", f"{latency}   (database {each:.1f} ms of processor, of {SIZE} contacts)"


def _processor_ms(pid: int) -> float:
    """What a process has used, finer than the clock's ticks where the kernel tells."""
    told = Path(f"/proc/{pid}/schedstat")
    if told.exists():
        return int(told.read_text().split()[0]) / 1e6
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system) * 1e3


if __name__ == "__main__":
    for figure in asyncio.run(found(os.environ["DATABASE_ADMIN_URL"])):
        print(*figure)
