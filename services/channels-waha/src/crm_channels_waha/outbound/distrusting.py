"""`ledger distrust`: after a restore, what the ledger owes may have been sent since the backup.

Such an entry is asked after at WAHA as any other of unknown outcome, and never sent again without
proof that WhatsApp has not got it (docs/operations.md, "Backup and restore").
"""

import asyncio
from argparse import Namespace

from service_kit.database import Database
from service_kit.operating.command import Command, Operated, Report, report

from crm_channels_waha.outbound import ledger


def _distrust(operated: Operated, asked: Namespace) -> Report:
    del asked
    return report([asyncio.run(_change(operated))])


async def _change(operated: Operated) -> int:
    database = Database(operated.settings.postgres_dsn, operated.name.schema, pool_size=1)
    await database.connect()
    try:
        async with database.system("send") as tx:
            return await ledger.distrust(tx)
    finally:
        await database.close()


DISTRUST = Command(
    ("ledger", "distrust"),
    "after a restore: what waits to be sent may have been sent; prints how many entries",
    _distrust,
)
