"""What a service's own code costs, straight on a database of its own: no broker, no request.

The database's processor time stands beside what it took, since machines are shared.
"""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import psutil
from pydantic import SecretStr
from service_kit import migrations
from service_kit.database import Database, Transaction
from service_kit.settings import ServiceSettings

from bench.load import Latencies

Work = Callable[[Transaction], Awaitable[object]]
Fill = Callable[[asyncpg.Connection], Awaitable[object]]
_ROUNDS = 40


@asynccontextmanager
async def filled(admin_url: str, package: str, schema: str, fill: Fill) -> AsyncIterator[Database]:
    """A service's migrated schema in a new database of that server's, filled by its superuser."""
    admin = urlsplit(admin_url)
    name = f"crm_bench_{schema}"
    server = admin.netloc.rpartition("@")[2]
    dsn = urlunsplit(admin._replace(netloc=f"{name}:bench@{server}", path=f"/{name}"))
    os.environ["DATABASE_ADMIN_URL"] = urlunsplit(admin._replace(path="/postgres"))
    settings = ServiceSettings(crm_env="development", database_url=SecretStr(dsn))
    await migrations.migrate(settings, package=package, schema=schema)
    superuser = await asyncpg.connect(
        urlunsplit(admin._replace(path=f"/{name}")), server_settings={"search_path": schema}
    )
    await fill(superuser)
    await superuser.close()
    database = Database(dsn, schema, pool_size=1)
    await database.connect()
    try:
        yield database
    finally:
        await database.close()


async def cost(database: Database, tenant_id: str, work: Work) -> str:
    """What reading takes that company, over and over."""
    async with database.acquire() as connection:
        pid = connection.get_server_pid()
    took: list[float] = []
    spent = _processor_ms(pid)
    begun = time.perf_counter()
    for _ in range(_ROUNDS):
        at = time.perf_counter()
        async with database.tenant(tenant_id, read_only=True) as tx:
            await work(tx)
        took.append(time.perf_counter() - at)
    latency = Latencies.of(took, time.perf_counter() - begun)
    each = (_processor_ms(pid) - spent) / _ROUNDS
    return f"{latency}   (database {each:.1f} ms of processor)"


def _processor_ms(pid: int) -> float:
    """What a process has used, finer than the clock's ticks where the kernel tells."""
    told = Path(f"/proc/{pid}/schedstat")
    if told.exists():
        return int(told.read_text().split()[0]) / 1e6
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system) * 1e3
