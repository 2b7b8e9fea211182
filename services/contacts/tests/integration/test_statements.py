"""What lists and jobs cost: as many statements for a crowd as for one person (no N+1)."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest
from crm_contacts.contact_lists import members
from crm_contacts.contact_lists import requests as lists
from crm_contacts.contacts import listing
from crm_contacts.deletions.listing import Deleted
from crm_contacts.exports.job import Exports
from crm_contacts.imports.job import BATCH_ROWS, ROWS, Imports
from crm_contacts.jobs import repository
from crm_contacts.jobs.models import Job
from crm_testing.costs import counting
from crm_testing.scenes.contacts import Shop
from service_kit.calls import Call
from service_kit.database import Transaction
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    ListContacts,
    ListDeletedContacts,
)
from shared_events.contacts.contact_filter import Filter, Group, Rule
from shared_events.contacts.contact_list import (
    CountListed,
    CreateContactList,
    ListContactLists,
    ListListed,
    PreviewContacts,
    PutOnList,
)
from shared_events.requests import Principal

CROWD = 30
KEPT = timedelta(days=30)
VIPS = Filter(groups=[Group(rules=[Rule(field="tags", operator="contains", value="vip")])])
EXPORT: dict[str, Any] = {
    "contact_list_id": None,
    "filters": {},
    "format": "csv",
    "masked": True,
    "keys": ["a"],
}
IMPORT: dict[str, Any] = {
    "headers": ["nome", "telefone", "email", "tags"],
    "targets": ["name", "phone", "email", "tags"],
    "upsert_key": "phone",
    "dry_run": False,
}
Work = Callable[[Transaction, Call], Awaitable[Any]]


async def cost(company: Shop, work: Work) -> int:
    """Statements of the work and of the events it tells, once a connection has learned of types."""
    call = Call(Principal(tenant_id=company.id), "req-cost")
    for _ in range(2):
        async with company.database.tenant(company.id) as tx:
            with counting(tx) as asked:
                await work(tx, call)
                await tx.write_events()
                await asyncio.sleep(0)  # the driver tells of a statement in the loop's next turn
            ours = [query for query in asked if "pg_catalog." not in query]
            await tx.execute("ROLLBACK; BEGIN")
    return len(ours)


async def people(company: Shop, count: int) -> list[Any]:
    """So many people, each with a phone, and as many who were deleted."""
    ids = []
    for number in range(count):
        new = {"name": f"Ana {number}", "phone": f"+55119{number:08}", "tags": ["vip"]}
        ids.append((await company.value(CreateContact.model_validate(new)))["id"])
        gone = await company.value(CreateContact(name=f"Bia {number}"))
        await company.value(DeleteContact(contact_id=gone["id"]))
    return ids


def job_of(tenant_id: str, options: dict[str, Any], total: int) -> Job:
    now = datetime.now(UTC)
    return Job(
        id=uuid4(),
        tenant_id=tenant_id,
        kind="x",
        state="running",
        options=options,
        total=total,
        correlation_id="req-cost",
        due_at=now,
        created_at=now,
        updated_at=now,
    )


def importing(rows: int) -> Work:
    async def work(tx: Transaction, _: Call) -> None:
        job = job_of(tx.tenant_id, IMPORT, rows)
        # The first is known by its phone; the last is no row one can take.
        cells = [(n + 2, ["Eva", f"+55119{n:08}", f"a{n}@b.com", "x"]) for n in range(rows)]
        content = orjson.dumps([*cells[:-1], (rows + 1, ["", "1"])])
        await repository.put(tx, [repository.part(tx, job.id, ROWS, 0, content, KEPT)])
        done = await Imports("BR", KEPT).batch(tx, job)
        assert done.done == rows and 0 < done.errors <= 2

    return work


def sorted_by(sort: str) -> Work:
    request = ListContacts.model_validate({"sort": sort, "limit": 100})
    return lambda tx, _: listing.list_contacts(tx, request)


class TestStatements:
    async def test_of_lists_and_exports_are_few_however_many_are_shown(
        self, company: Shop, other_company: Shop
    ) -> None:
        found: list[dict[str, int]] = []
        for who, count in ((company, 1), (other_company, CROWD)):
            ids = await people(who, count)
            static = (await who.value(CreateContactList(name="s")))["id"]
            await who.value(PutOnList(list_id=static, contact_ids=ids))
            made = {"name": "d", "kind": "dynamic", "filter": VIPS}
            dynamic = (await who.value(CreateContactList.model_validate(made)))["id"]
            for number in range(count):
                await who.value(CreateContactList(name=str(number)))
            job = job_of(who.id, EXPORT, count)
            listed = job_of(who.id, EXPORT | {"contact_list_id": static}, count)
            sorts = ("-created_at", "name", "-last_interaction_at")
            works: dict[str, Work] = {
                **{f"by {sort}": sorted_by(sort) for sort in sorts},
                "search": lambda tx, _: listing.list_contacts(tx, ListContacts(search="ana")),
                "tags": lambda tx, _: listing.list_contacts(tx, ListContacts(tags=["VIP"])),
                "deleted": lambda tx, c: Deleted(KEPT).page(tx, ListDeletedContacts(), c),
                "lists": lambda tx, c: lists.list_lists(tx, ListContactLists(), c),
                "static": lambda tx, c: members.list_contacts(tx, ListListed(list_id=static), c),  # noqa: B023
                "dynamic": lambda tx, c: members.list_contacts(tx, ListListed(list_id=dynamic), c),  # noqa: B023
                "count": lambda tx, c: members.count(tx, CountListed(list_id=dynamic), c),  # noqa: B023
                "preview": lambda tx, c: members.preview(tx, PreviewContacts(filter=VIPS), c),
                "export": lambda tx, _: Exports().batch(tx, job),  # noqa: B023
                "export of a list": lambda tx, _: Exports().batch(tx, listed),  # noqa: B023
            }
            found.append({name: await cost(who, work) for name, work in works.items()})
        few, many = found
        # A search looks once more where it found a part of a page.
        searches = ("search", "tags", "dynamic", "preview")
        assert many == {**few, **{name: few[name] + 1 for name in searches}}
        assert max(many.values()) <= 7, many

    @pytest.mark.parametrize("upsert_key", ["phone", "email"])
    async def test_of_a_batch_of_an_import_are_as_many_as_of_a_few_rows(
        self, company: Shop, monkeypatch: pytest.MonkeyPatch, upsert_key: str
    ) -> None:
        monkeypatch.setitem(IMPORT, "upsert_key", upsert_key)
        await people(company, 1)
        few, many = [await cost(company, importing(rows)) for rows in (4, BATCH_ROWS)]
        assert few == many <= 20
