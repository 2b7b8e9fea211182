"""Batches of many companies at once, in opposite orders, and a request beside them: no deadlock.

Each round first holds what the company in the middle needs, until both batches wait. Whoever took
locks in the order of its messages would then have half of what the other needs.
"""

import asyncio
from contextlib import suppress
from typing import Any

from crm_contacts.contacts import service
from crm_contacts.contacts.consumers import on_message_received
from crm_contacts.pipelines.moves import Move
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.schemas import Databases
from crm_testing.services import eventually
from service_kit.database import Database
from service_kit.errors import ConflictError
from service_kit.incoming import Event
from shared_events import identity
from shared_events.identity import WhatsAppId

COMPANIES = [f"company-{n:02}" for n in range(50)]
MIDDLE = COMPANIES[25]
PHONE, LID, GROUP = ("phone", "5511988880001"), ("lid", "123456789012345"), ("group", "1-2")

OTHER = ("phone", "5511977770002")

ROUNDS: list[list[Any]] = [
    [(PHONE,)],  # nobody knows it
    [(PHONE,)],  # somebody writes again
    [(PHONE, LID)],  # and shows one more identity
    [(LID,), (GROUP,)],
    [(GROUP,), (OTHER,), (PHONE,)],
]


def batch(companies: list[str], people: list[Any]) -> list[Event[Any]]:
    return [delivered(c, Shop.message(*person)) for c in companies for person in people]


async def ask_for_phone(database: Database, company: str) -> None:
    """A request beside the batches: give another contact the phone they are about."""
    contact_id = identity.contact_id(company, WhatsAppId("phone", OTHER[1]))
    phone = WhatsAppId("phone", PHONE[1])
    with suppress(ConflictError):
        async with database.tenant(company) as tx:
            taken = {"phone": phone.phone}
            await service.change(tx, contact_id, lambda _: taken, phone, None, Move(None, None))


async def waiting(database: Database) -> int:
    """How many wait for a lock."""
    async with database.acquire() as connection:
        count = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    assert isinstance(count, int)
    return count


class TestTwoBatches:
    async def test_never_deadlock(self, databases: Databases) -> None:
        async with (await databases.create()).connected() as database:
            await apply(database, on_message_received, batch(COMPANIES, [(OTHER,)]))
            for people in ROUNDS * 2:
                await self.meet(database, people)
            async with database.tenants(COMPANIES) as tx:
                count = await tx.fetchval("SELECT count(DISTINCT tenant_id) FROM contacts")
        assert count == len(COMPANIES)

    async def meet(self, database: Database, people: list[Any]) -> None:
        """Both batches at once; TaskGroup raises what a deadlock makes of one of them."""

        async def both_wait() -> bool:
            return await waiting(database) == 2

        async with asyncio.TaskGroup() as tasks, database.tenants([MIDDLE]) as tx:
            await on_message_received(tx, batch([MIDDLE], people))
            for companies in (COMPANIES, COMPANIES[::-1]):
                events = batch(companies, people)
                tasks.create_task(apply(database, on_message_received, events))
            await eventually(both_wait)
            for company in (COMPANIES[0], COMPANIES[-1]):
                tasks.create_task(ask_for_phone(database, company))
