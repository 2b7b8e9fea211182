"""What is kept for a time only goes, batch by batch, until nothing is left."""

import asyncio

from crm_testing.services import eventually
from service_kit.database import Database, Transaction
from service_kit.purging import purge_forever


async def test_goes_on_until_there_is_no_more_and_comes_again(database: Database) -> None:
    batches = [True, True, False, True, False]
    transactions: list[int] = []

    async def purge(tx: Transaction) -> bool:
        transactions.append(await tx.fetchval("SELECT txid_current()"))
        return len(transactions) <= len(batches) and batches[len(transactions) - 1]

    async def all_done() -> bool:
        return len(transactions) >= len(batches)

    task = asyncio.create_task(purge_forever(database, "purge", purge, every_seconds=0.01))
    try:
        await eventually(all_done)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(set(transactions)) == len(transactions)  # each in a transaction of its own
