"""A pipeline at a glance: how many are at each status, and the newest of them."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_contacts.board import requests
from crm_testing.costs import counting
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from service_kit.calls import Call
from shared_events.contacts.contact import DeleteContact
from shared_events.contacts.pipeline import GetBoard, PatchStatus
from shared_events.requests import Principal

_MANY = """
INSERT INTO contacts (id, tenant_id, name, source, search_text, sort_name, version, pipeline_id,
    pipeline_status_id, created_at, updated_at)
SELECT gen_random_uuid(), $1, 'x', 'api', 'x', 'x', 1, $2, $3, now(), now()
FROM generate_series(1, $4)
"""


async def board(company: Shop, funnel: Funnel, **query: Any) -> list[dict[str, Any]]:
    shown = await company.value(GetBoard(pipeline_id=funnel.id, **query))
    assert shown["pipeline"] == await funnel.shown()
    columns: list[dict[str, Any]] = shown["columns"]
    assert [column["status"] for column in columns] == shown["pipeline"]["statuses"]
    return columns


class TestGetBoard:
    async def test_shows_the_newest_of_each_status_and_goes_on_in_the_list(
        self, company: Shop, other_company: Shop
    ) -> None:
        funnel, other = await Funnel.of(company, "a", "b", "c"), await Funnel.of(company, "x")
        theirs = await Funnel.of(other_company, "a")
        for somewhere, status in ((other, "x"), (theirs, "a"), (funnel, None)):
            await somewhere.enter(status)
        for number in range(5):
            await funnel.enter("a", name=f"a{number}")
        whole = [await funnel.enter("b", name=f"b{number}") for number in range(2)]
        gone = await funnel.enter("b", name="gone")
        await company.value(DeleteContact(contact_id=gone))
        first = PatchStatus(pipeline_id=funnel.id, status_id=funnel.statuses["c"], position=0)
        await company.value(first)

        empty, many, few = await board(company, funnel, limit=2)
        assert (empty["count"], empty["contacts"], empty["has_more"]) == (0, [], False)
        assert (many["count"], many["has_more"]) == (5, True)
        assert [contact["name"] for contact in many["contacts"]] == ["a4", "a3"]
        assert (few["count"], few["has_more"], few["next_cursor"]) == (2, False, None)
        assert [UUID(contact["id"]) for contact in few["contacts"]] == whole[::-1]
        assert few["contacts"] == await company.contacts(pipeline_status_id=funnel.statuses["b"])
        rest = await company.contacts(
            pipeline_status_id=funnel.statuses["a"], cursor=many["next_cursor"]
        )
        assert [contact["name"] for contact in rest] == ["a2", "a1", "a0"]

    async def test_counts_only_so_far(self, company: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("crm_contacts.board.repository.MAX_COUNTED", 3)
        funnel = await Funnel.of(company, "a", "b")
        for status, many in (("a", 4), ("b", 2)):
            async with company.database.tenant(company.id) as tx:
                await tx.execute(_MANY, company.id, funnel.id, funnel.statuses[status], many)
        assert [column["count"] for column in await board(company, funnel)] == [3, 2]

    async def test_takes_five_statements_and_no_sort_of_a_full_status(self, company: Shop) -> None:
        funnel = await Funnel.of(company, *"abcdef")
        async with company.database.tenant(company.id) as tx:
            call = Call(Principal(tenant_id=company.id), "req-board")
            asked_for = GetBoard(pipeline_id=funnel.id)
            for status_id in funnel.statuses.values():
                await tx.execute(_MANY, company.id, funnel.id, status_id, 300)
            await requests.board(tx, asked_for, call)  # what a connection learns of types
            with counting(tx) as asked:
                shown = await requests.board(tx, asked_for, call)
            assert [len(column.contacts) for column in shown.columns] == [10] * 6
            assert [column.count for column in shown.columns] == [300] * 6
            statuses = list(funnel.statuses.values())
            for statement in asked[2:4]:
                plan = await tx.fetch(f"EXPLAIN {statement}", company.id, statuses, 11)
                lines = [row["QUERY PLAN"] for row in plan]
                assert any("using idx_contacts_board" in line for line in lines), lines
                assert not any("Sort" in line for line in lines), lines
        assert len(asked) == 5

    async def test_of_another_company_is_not_found(
        self, company: Shop, other_company: Shop
    ) -> None:
        funnel = await Funnel.of(company, "a")
        for pipeline_id in (funnel.id, uuid4()):
            refusal = await other_company.refusal(GetBoard(pipeline_id=pipeline_id))
            assert refusal == ("not_found", "pipeline_not_found")
