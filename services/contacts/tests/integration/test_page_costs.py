"""A page of a list reads what it shows, of a company that is far above the average.

Planners take a company that their statistics do not tell of for an average one, and an index that
fits its name alone for one that leaves few of its contacts.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from crm_contacts.board import repository as board
from crm_contacts.contact_lists import members
from crm_contacts.contacts import listing
from crm_contacts.deletions.listing import Deleted
from crm_testing.schemas import Databases
from service_kit.calls import Call
from service_kit.database import Database, Transaction
from shared_events.contacts.contact import ListContacts, ListDeletedContacts
from shared_events.contacts.contact_filter import Filter
from shared_events.contacts.contact_list import PreviewContacts
from shared_events.requests import Principal

PEOPLE, OTHERS, OF_EACH = 20_000, 2_000, 5
RARE = 20
_STATUS = UUID(int=7)
# What was read of tables and of indexes, in this transaction so far.
_READ = """
SELECT sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid))::integer
FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'i')
"""
# Of the company every tenth is deleted; one in a thousand has the rare value and tag, in the middle
# of the list, and a third the common one.
_CONTACTS = f"""
INSERT INTO contacts (id, tenant_id, name, phone, tags, tag_keys, custom_fields, source,
    search_text, sort_name, pipeline_id, pipeline_status_id, deleted_at, version, created_at,
    updated_at)
SELECT gen_random_uuid(), tenant_id, 'Maria', '+55119' || lpad(i::text, 8, '0'), tags, tags,
    jsonb_build_object('plan', CASE WHEN i % 3 = 0 THEN 'pro' ELSE 'free' END,
        'size', CASE WHEN rare THEN 1 ELSE i % 3 + 2 END, 'code', i),
    'import', 'maria ' || i, 'maria ' || i, $2::uuid, CASE WHEN i % 10 = 1 THEN $2::uuid END,
    CASE WHEN i % 10 = 0 THEN now() END, 1, now() - i * interval '1 minute', now()
FROM (SELECT tenant_id, i, rare, ARRAY[CASE WHEN rare THEN 'rare' ELSE 'vip' END] AS tags
    FROM (SELECT $1::text AS tenant_id, i, i BETWEEN 9001 AND 9000 + {RARE} AS rare
        FROM generate_series(1, {PEOPLE}) AS i
        UNION ALL SELECT 'small-' || i / {OF_EACH}, i, false
        FROM generate_series(1, {OTHERS * OF_EACH}) AS i) AS everybody) AS tagged
"""  # noqa: S608 - our own
_MOST = 1_000
"""A page of 50, found and looked up, with what it takes to plan."""
_RARE_OF_LIST = listing.LOOKS * 51 * 2 + 50 * RARE
"""The list is walked a little first, reading index and table."""


@dataclass(frozen=True)
class Big:
    """The company, among others that have hardly begun."""

    tenant_id: str
    database: Database


@pytest.fixture(scope="module")
async def big(databases: Databases) -> AsyncIterator[Big]:
    made = await databases.create()
    tenant_id = str(uuid4())
    admin = await asyncpg.connect(made.admin_url, server_settings={"search_path": made.schema})
    await admin.execute(_CONTACTS, tenant_id, _STATUS)
    await admin.execute("VACUUM ANALYZE")
    await admin.close()
    async with made.connected() as database:
        yield Big(tenant_id, database)


def of(rule: dict[str, Any]) -> PreviewContacts:
    """The page of a filter of this rule."""
    wanted = Filter.model_validate({"groups": [{"rules": [rule]}]})
    return PreviewContacts(filter=wanted, limit=50)


@pytest.mark.parametrize("plan", ["custom", "generic"])
async def test_pages_read_what_they_show(big: Big, plan: str) -> None:
    """Whether the plan is for the company, or one that is kept for all."""
    call = Call(Principal(tenant_id=big.tenant_id), "request-1")
    pages: dict[str, Callable[[Transaction], Awaitable[object]]] = {
        "newest": lambda tx: listing.list_contacts(tx, ListContacts()),
        "by name": lambda tx: listing.list_contacts(tx, ListContacts(sort="name")),
        "last wrote": lambda tx: listing.list_contacts(tx, ListContacts(sort="created_at")),
        "deleted": lambda tx: Deleted(timedelta(days=30)).page(tx, ListDeletedContacts(), call),
        "board": lambda tx: board.newest(tx, [_STATUS], 50),
    }
    async with big.database.tenant(big.tenant_id) as tx:
        await tx.execute(f"SET LOCAL plan_cache_mode = force_{plan}_plan")
        for name, page in pages.items():
            before = await tx.fetchval(_READ)
            await page(tx)
            assert await tx.fetchval(_READ) - before <= _MOST, name


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ({"field": "custom_fields.size", "operator": "eq", "value": 1}, RARE),
        ({"field": "custom_fields.code", "operator": "in", "values": [9001, 9002, -1]}, 2),
        ({"field": "custom_fields.plan", "operator": "eq", "value": "none"}, 0),
        ({"field": "tags", "operator": "contains", "value": "Rare"}, RARE),
    ],
)
async def test_rare_values_are_looked_up(big: Big, rule: dict[str, Any], found: int) -> None:
    """By an index that row-level security would ask nothing of: the owner's function does."""
    call = Call(Principal(tenant_id=big.tenant_id), "request-1")
    async with big.database.tenant(big.tenant_id) as tx:
        before = await tx.fetchval(_READ)
        page = await members.preview(tx, of(rule), call)
        deleted = sum(i % 10 == 0 for i in range(9001, 9001 + found))
        assert page.count == len(page.data) == found - deleted
        # Walked once for the page, and once to count.
        assert await tx.fetchval(_READ) - before <= 2 * _RARE_OF_LIST


async def test_common_values_are_walked_to(big: Big) -> None:
    call = Call(Principal(tenant_id=big.tenant_id), "request-1")
    rule = {"field": "custom_fields.plan", "operator": "eq", "value": "pro"}
    async with big.database.tenant(big.tenant_id) as tx:
        page = await members.preview(tx, of(rule), call)
        assert len(page.data) == 50
        live = [i for i in range(1, PEOPLE + 1) if i % 10 and i % 3 == 0]
        assert page.count == len(live)


async def test_nobody_finds_another_companys(big: Big) -> None:
    """Neither who acts for another company, nor who acts for several."""
    having = "SELECT count(*) FROM contacts_having($1, NULL)"
    size = [{"size": 1}]
    async with big.database.tenant("small-7") as tx:
        assert await tx.fetchval(having, size) == 0
    async with big.database.tenants([big.tenant_id, "small-7"]) as tx:
        assert await tx.fetchval(having, size) == 0
    async with big.database.tenant(big.tenant_id) as tx:
        assert await tx.fetchval(having, size) > 0
