"""Pipelines and their statuses, over the bus as the gateway asks for them."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from shared_events.contacts.pipeline import (
    MAX_PIPELINES,
    MAX_STATUSES,
    CreatePipeline,
    CreateStatus,
    DeletePipeline,
    DeleteStatus,
    GetPipeline,
    GetStatus,
    ListPipelines,
    ListStatuses,
    PatchPipeline,
    PatchStatus,
    ReplacePipeline,
    ReplaceStatus,
)
from shared_events.requests import Request

LONGEST: dict[str, Any] = {
    "name": "ã" * 255,
    "description": "é" * 1000,
    "color": "#A1b2C3",
    "position": 10_000,
}


class TestPipelines:
    async def test_are_written_changed_and_removed(self, company: Shop) -> None:
        made = await company.value(CreatePipeline(**LONGEST))
        assert {name: made[name] for name in LONGEST} == LONGEST
        assert (made["version"], made["statuses"]) == (1, [])
        one = UUID(made["id"])
        assert await company.value(GetPipeline(pipeline_id=one)) == made
        patched = await company.value(PatchPipeline(pipeline_id=one, name="B", description=None))
        assert (patched["name"], patched["description"]) == ("B", None)
        assert (patched["color"], patched["position"]) == (LONGEST["color"], 10_000)
        assert patched["version"] == 2
        assert await company.value(PatchPipeline(pipeline_id=one, name="B")) == patched
        replaced = await company.value(ReplacePipeline(pipeline_id=one, name="C"))
        assert (replaced["color"], replaced["position"]) == (None, 0)
        for stale in (
            PatchPipeline(pipeline_id=one, name="x"),
            ReplacePipeline(pipeline_id=one, name="x"),
            DeletePipeline(pipeline_id=one),
        ):
            refusal = await company.refusal(stale, expected_version=1)
            assert refusal == ("precondition_failed", "stale_version")
        await company.value(DeletePipeline(pipeline_id=one), expected_version=3)
        assert await company.refusal(GetPipeline(pipeline_id=one)) == (
            "not_found",
            "pipeline_not_found",
        )

    async def test_are_listed_by_position_page_by_page(
        self, company: Shop, other_company: Shop
    ) -> None:
        await Funnel.of(other_company, "Z", name="other")
        for name, position in (("late", 5), ("first", 0), ("second", 0)):
            made = await company.value(CreatePipeline(name=name, position=position))
            await company.value(CreateStatus(pipeline_id=made["id"], name=f"{name} status"))
        page = await company.value(ListPipelines(limit=2))
        assert [pipeline["name"] for pipeline in page["data"]] == ["first", "second"]
        rest = await company.value(ListPipelines(limit=2, cursor=page["next_cursor"]))
        assert [pipeline["name"] for pipeline in rest["data"]] == ["late"]
        assert not rest["has_more"]
        shown = [[s["name"] for s in p["statuses"]] for p in (*page["data"], *rest["data"])]
        assert shown == [["first status"], ["second status"], ["late status"]]

    async def test_are_not_more_than_a_company_can_oversee(self, company: Shop) -> None:
        async with company.database.tenant(company.id) as tx:
            await tx.execute(
                "INSERT INTO pipelines SELECT gen_random_uuid(), $1, 'x', NULL, NULL, 0, 1, now(),"
                " now() FROM generate_series(1, $2)",
                company.id,
                MAX_PIPELINES,
            )
        refusal = await company.refusal(CreatePipeline(name="one more"))
        assert refusal == ("conflict", "too_many_pipelines")


class TestStatuses:
    async def test_have_places_without_gaps(self, company: Shop) -> None:
        funnel = await Funnel.of(company, "a", "b", "c")
        await funnel.add("d", position=1)
        assert await funnel.names() == ["a", "d", "b", "c"]
        await funnel.add("e", position=MAX_STATUSES)
        assert await funnel.names() == ["a", "d", "b", "c", "e"]

        async def to(name: str, position: int) -> list[str]:
            moved = PatchStatus(
                pipeline_id=funnel.id, status_id=funnel.statuses[name], position=position
            )
            assert (await company.value(moved))["position"] <= position
            return await funnel.names()

        assert await to("c", 0) == ["c", "a", "d", "b", "e"]
        assert await to("c", 3) == ["a", "d", "b", "c", "e"]
        assert await to("a", MAX_STATUSES) == ["d", "b", "c", "e", "a"]
        listed = await company.value(ListStatuses(pipeline_id=funnel.id, limit=3))
        assert [status["name"] for status in listed["data"]] == ["d", "b", "c"]
        rest = ListStatuses(pipeline_id=funnel.id, cursor=listed["next_cursor"])
        assert [s["name"] for s in (await company.value(rest))["data"]] == ["e", "a"]
        await company.value(DeleteStatus(pipeline_id=funnel.id, status_id=funnel.statuses["b"]))
        assert await funnel.names() == ["d", "c", "e", "a"]

    async def test_keep_their_places_when_many_are_added_at_once(self, company: Shop) -> None:
        funnel = await Funnel.of(company)
        await asyncio.gather(*(funnel.add(str(n), position=0) for n in range(8)))
        assert sorted(await funnel.names()) == [str(n) for n in range(8)]
        assert (await funnel.shown())["version"] == 9

    async def test_are_changed(self, company: Shop) -> None:
        funnel = await Funnel.of(company, "first")
        made = await funnel.add("ã" * 255, type="won", color="#A1b2C3")
        here = {"pipeline_id": funnel.id, "status_id": UUID(made["id"])}
        assert await company.value(GetStatus(**here)) == made
        assert (made["type"], made["color"], made["position"]) == ("won", "#A1b2C3", 1)
        before = (await funnel.shown())["version"]
        patched = await company.value(PatchStatus(**here, type="lost"))
        assert (patched["type"], patched["color"]) == ("lost", "#A1b2C3")
        assert (patched["name"], patched["version"]) == ("ã" * 255, 2)
        assert (await funnel.shown())["version"] == before + 1
        assert await company.value(PatchStatus(**here, type="lost")) == patched
        assert (await funnel.shown())["version"] == before + 1
        replaced = await company.value(ReplaceStatus(**here, name="b"))
        assert (replaced["type"], replaced["color"]) == ("open", None)
        assert replaced["position"] == 1
        for stale in (
            PatchStatus(**here, name="x"),
            ReplaceStatus(**here, name="x"),
            DeleteStatus(**here),
        ):
            refusal = await company.refusal(stale, expected_version=2)
            assert refusal == ("precondition_failed", "stale_version")

    async def test_have_names_of_their_own(self, company: Shop) -> None:
        funnel, other = await Funnel.of(company, "Novo", "b"), await Funnel.of(company, "Novo")
        existing = str(funnel.statuses["Novo"])
        renamed = PatchStatus(pipeline_id=funnel.id, status_id=funnel.statuses["b"], name="NOVO")
        for request in (CreateStatus(pipeline_id=funnel.id, name="novo"), renamed):
            problem = await company.problem(request)
            assert (problem.kind, problem.code) == ("conflict", "status_exists")
            assert problem.extra == {"existing_id": existing}
        assert await other.names() == ["Novo"]
        itself = PatchStatus(pipeline_id=funnel.id, status_id=funnel.statuses["Novo"], name="novo")
        assert (await company.value(itself))["name"] == "novo"

    async def test_are_not_more_than_a_board_shows(self, company: Shop) -> None:
        funnel = await Funnel.of(company, *map(str, range(MAX_STATUSES)))
        refusal = await company.refusal(CreateStatus(pipeline_id=funnel.id, name="one more"))
        assert refusal == ("conflict", "too_many_statuses")


class TestNobodyElse:
    async def test_sees_or_changes_a_pipeline_of_ours(
        self, company: Shop, other_company: Shop
    ) -> None:
        funnel = await Funnel.of(company, "a")
        theirs = await Funnel.of(other_company, "a")
        here: dict[str, Any] = {"pipeline_id": funnel.id}
        status = {**here, "status_id": funnel.statuses["a"]}
        mixed = {"pipeline_id": theirs.id, "status_id": funnel.statuses["a"]}
        asked: list[tuple[Request[Any], str]] = [
            (GetPipeline(**here), "pipeline"),
            (PatchPipeline(**here, name="x"), "pipeline"),
            (ReplacePipeline(**here, name="x"), "pipeline"),
            (DeletePipeline(**here), "pipeline"),
            (CreateStatus(**here, name="x"), "pipeline"),
            (ListStatuses(**here), "pipeline"),
            (GetStatus(**status), "pipeline"),
            (PatchStatus(**status, name="x"), "pipeline"),
            (DeleteStatus(**status), "pipeline"),
            (GetStatus(**mixed), "pipeline_status"),
            (PatchStatus(**mixed, name="x"), "pipeline_status"),
            (DeleteStatus(**mixed), "pipeline_status"),
        ]
        for request, noun in asked:
            refusal = await other_company.refusal(request)
            assert refusal == ("not_found", f"{noun}_not_found"), request
        assert (await funnel.shown())["version"] == 2


class TestWhatIsGiven:
    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": ""},
            {"name": "x" * 256},
            {"color": "red"},
            {"color": "#12345"},
            {"description": "x" * 1001},
            {"position": -1},
        ],
    )
    def test_is_bounded(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="validation error"):
            ReplacePipeline.model_validate({"pipeline_id": uuid4(), "name": "a", **wrong})

    def test_a_status_has_a_type_that_we_know(self) -> None:
        with pytest.raises(ValueError, match="validation error"):
            CreateStatus.model_validate({"pipeline_id": uuid4(), "name": "a", "type": "x"})
