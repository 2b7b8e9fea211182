"""Contacts that move through pipelines: where they are, where they were, and what is told."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    PatchContact,
    ReplaceContact,
)
from shared_events.contacts.pipeline import (
    DeletePipeline,
    DeleteStatus,
    ListStays,
    MoveContact,
    PatchPipeline,
    PatchStatus,
)

MOVED = "contact.pipeline_status_changed"


async def place(company: Shop, contact_id: UUID) -> tuple[str | None, str | None]:
    contact = await company.value(GetContact(contact_id=contact_id))
    return contact["pipeline_id"], contact["pipeline_status_id"]


class TestMoveContact:
    async def test_is_told_and_kept_with_its_time_its_reason_and_who_did_it(
        self, company: Shop
    ) -> None:
        funnel = await Funnel.of(company, "Novo", "Ganho")
        contact_id = await funnel.enter("Novo")
        reason = "é" * 1000
        moved = await company.value(funnel.move(contact_id, "Ganho", reason=reason))
        assert moved["pipeline_status_id"] == str(funnel.statuses["Ganho"])
        assert moved["version"] == 2
        # The names of today say nothing of yesterday.
        await company.value(PatchPipeline(pipeline_id=funnel.id, name="Outra"))
        now, then = await funnel.stays(contact_id)
        assert (then["pipeline_name"], then["status_name"]) == ("Vendas", "Novo")
        assert (now["status_id"], now["left_at"]) == (str(funnel.statuses["Ganho"]), None)
        assert (now["reason"], now["moved_by"]) == (reason, str(company.user_id))
        assert now["duration_seconds"] is None
        assert now["entered_at"] == then["left_at"] > then["entered_at"]
        assert 0 < then["duration_seconds"] < 60
        entered, told = await company.told(MOVED)
        assert (entered["before"], entered["after"]["status_name"]) == (None, "Novo")
        assert told["contact"] == moved
        assert told["before"] == entered["after"]
        assert told["after"] == {
            "pipeline_id": str(funnel.id),
            "pipeline_name": "Vendas",
            "status_id": str(funnel.statuses["Ganho"]),
            "status_name": "Ganho",
        }
        assert (told["reason"], told["moved_by"]) == (reason, str(company.user_id))
        (updated,) = await company.told("contact.updated")
        assert updated["changed"] == ["pipeline_status_id"]

    async def test_to_where_it_is_changes_nothing(self, company: Shop) -> None:
        funnel = await Funnel.of(company, "a")
        contact_id = await funnel.enter("a")
        again = await company.value(funnel.move(contact_id, "a"))
        assert again["version"] == 1
        assert len(await company.told(MOVED)) == len(await funnel.stays(contact_id)) == 1

    async def test_twice_under_one_key_is_one_move(self, company: Shop) -> None:
        funnel = await Funnel.of(company, "a", "b")
        contact_id = await funnel.enter("a")
        first = await company.ask(funnel.move(contact_id, "b"), idempotency_key="k")
        second = await company.ask(funnel.move(contact_id, "b"), idempotency_key="k")
        assert second.replayed
        assert second.value == first.value
        assert len(await funnel.stays(contact_id)) == 2

    async def test_needs_a_status_of_that_pipeline(
        self, company: Shop, other_company: Shop
    ) -> None:
        funnel, other = await Funnel.of(company, "a"), await Funnel.of(company, "b")
        theirs = await Funnel.of(other_company, "a")
        contact_id = await funnel.enter("a")
        status = ("invalid", "status_not_in_pipeline")
        for pipeline_id, status_id in (
            (funnel.id, other.statuses["b"]),
            (funnel.id, theirs.statuses["a"]),
            (theirs.id, theirs.statuses["a"]),
            (funnel.id, uuid4()),
        ):
            request = MoveContact(
                contact_id=contact_id, pipeline_id=pipeline_id, status_id=status_id
            )
            problem = await company.problem(request)
            assert (problem.kind, problem.errors[0].code) == status
            assert problem.errors[0].pointer == "/status_id"
        assert await other_company.refusal(theirs.move(contact_id, "a")) == (
            "not_found",
            "contact_not_found",
        )
        stale = await company.refusal(funnel.move(contact_id, "a"), expected_version=7)
        assert stale == ("precondition_failed", "stale_version")
        stays = await other_company.refusal(ListStays(contact_id=contact_id))
        assert stays == ("not_found", "contact_not_found")

    async def test_of_many_at_once_leaves_one_stay_open(self, company: Shop) -> None:
        names = [str(n) for n in range(8)]
        funnel = await Funnel.of(company, *names)
        contact_id = await funnel.enter()
        await asyncio.gather(*(company.value(funnel.move(contact_id, name)) for name in names))
        stays = await funnel.stays(contact_id)
        assert len(stays) == 9
        assert [stay["left_at"] is None for stay in stays].count(True) == 1
        told = await company.told(MOVED)
        assert [t["before"] for t in told[1:]] == [t["after"] for t in told[:-1]]


class TestWriteContact:
    async def test_takes_the_pipeline_of_a_status(self, company: Shop) -> None:
        funnel, other = await Funnel.of(company, "a", "b"), await Funnel.of(company, "c")
        contact_id = await funnel.enter()
        assert await place(company, contact_id) == (str(funnel.id), None)

        async def patched(**fields: Any) -> tuple[str | None, str | None]:
            await company.value(PatchContact(contact_id=contact_id, **fields))
            return await place(company, contact_id)

        a, c = funnel.statuses["a"], other.statuses["c"]
        assert await patched(pipeline_status_id=a) == (str(funnel.id), str(a))
        assert await patched(pipeline_id=funnel.id, name="x") == (str(funnel.id), str(a))
        assert await patched(pipeline_status_id=None) == (str(funnel.id), None)
        assert await patched(pipeline_status_id=c) == (str(other.id), str(c))
        assert await patched(pipeline_id=funnel.id) == (str(funnel.id), None)
        assert await patched(pipeline_status_id=a) == (str(funnel.id), str(a))
        assert await patched(pipeline_id=None) == (None, None)
        whole = ReplaceContact(contact_id=contact_id, name="y", pipeline_status_id=c)
        assert (await company.value(whole))["pipeline_id"] == str(other.id)
        await company.value(ReplaceContact(contact_id=contact_id, name="y"))
        assert await place(company, contact_id) == (None, None)
        told = await company.told(MOVED)
        assert [t["after"] and t["after"]["status_name"] for t in told] == [
            *(None, "a", None, "c", None, "a", None, "c", None)
        ]
        assert [t["after"] and t["after"]["pipeline_name"] for t in told] == [
            *["Vendas"] * 6,
            *(None, "Vendas", None),
        ]

    async def test_refuses_what_does_not_belong(self, company: Shop, other_company: Shop) -> None:
        funnel, theirs = await Funnel.of(company, "a"), await Funnel.of(other_company, "a")
        contact_id = await funnel.enter("a")
        for fields, code in (
            ({"pipeline_id": uuid4()}, "unknown_pipeline"),
            ({"pipeline_id": theirs.id}, "unknown_pipeline"),
            ({"pipeline_status_id": theirs.statuses["a"]}, "status_not_in_pipeline"),
            (
                {"pipeline_id": uuid4(), "pipeline_status_id": funnel.statuses["a"]},
                "status_not_in_pipeline",
            ),
        ):
            for request in (
                CreateContact(name="x", **fields),
                PatchContact(contact_id=contact_id, **fields),
                ReplaceContact(contact_id=contact_id, name="x", **fields),
            ):
                assert await company.refusal(request) == ("invalid", code)
        assert len(await company.contacts()) == 1

    async def test_lists_by_pipeline_and_status(self, company: Shop, other_company: Shop) -> None:
        funnel, other = await Funnel.of(company, "a", "b"), await Funnel.of(company, "c")
        for where, status in ((funnel, "a"), (funnel, "b"), (other, "c")):
            await where.enter(status, name=status)

        async def names(**query: Any) -> list[str]:
            return [contact["name"] for contact in await company.contacts(**query)]

        assert await names(pipeline_id=funnel.id) == ["b", "a"]
        assert await names(pipeline_status_id=other.statuses["c"]) == ["c"]
        assert await other_company.contacts(pipeline_id=funnel.id) == []


class TestDeleted:
    async def test_contacts_leave_their_pipeline(self, company: Shop) -> None:
        funnel = await Funnel.of(company, "a")
        phone = ("phone", "5511988880001")
        await company.receive(phone)
        (contact,) = await company.contacts()
        await company.value(funnel.move(contact["id"], "a"))
        await company.value(DeleteContact(contact_id=contact["id"]), expected_version=2)
        assert (await company.told(MOVED))[-1]["after"] is None
        await company.value(DeleteStatus(pipeline_id=funnel.id, status_id=funnel.statuses["a"]))
        await company.receive(phone)
        (back,) = await company.contacts()
        assert (back["pipeline_id"], back["pipeline_status_id"]) == (None, None)
        assert [s["left_at"] is None for s in await funnel.stays(contact["id"])] == [False]

    async def test_statuses_send_their_contacts_on(self, company: Shop) -> None:
        funnel, other = await Funnel.of(company, "a", "b"), await Funnel.of(company, "c")
        inside = [await funnel.enter("a") for _ in range(3)]
        stranger = await other.enter("c")
        gone = {"pipeline_id": funnel.id, "status_id": funnel.statuses["a"]}
        assert await company.refusal(DeleteStatus(**gone)) == ("conflict", "status_in_use")
        for wrong, code in (
            (funnel.statuses["a"], "invalid_target"),
            (other.statuses["c"], "invalid_target"),
            (uuid4(), "status_not_in_pipeline"),
        ):
            problem = await company.problem(DeleteStatus(**gone, move_to=wrong))
            assert (problem.kind, problem.errors[0].code) == ("invalid", code)
            assert problem.errors[0].pointer == "/move_to"
        await company.value(DeleteStatus(**gone, move_to=funnel.statuses["b"]))
        assert await funnel.names() == ["b"]
        for contact_id in inside:
            now, then = await funnel.stays(contact_id)
            assert (now["status_name"], then["status_name"]) == ("b", "a")
        assert await place(company, stranger) == (str(other.id), str(other.statuses["c"]))
        sent = [told for told in await company.told(MOVED) if told["before"]]
        assert {told["contact"]["id"] for told in sent} == {str(one) for one in inside}

    async def test_pipelines_send_their_contacts_on(self, company: Shop) -> None:
        funnel, other = await Funnel.of(company, "a", "b"), await Funnel.of(company, "c")
        inside = [await funnel.enter("a"), await funnel.enter()]
        gone = DeletePipeline(pipeline_id=funnel.id)
        assert await company.refusal(gone) == ("conflict", "pipeline_in_use")
        within = DeletePipeline(pipeline_id=funnel.id, move_to=funnel.statuses["b"])
        assert await company.refusal(within) == ("invalid", "invalid_target")
        await company.value(DeletePipeline(pipeline_id=funnel.id, move_to=other.statuses["c"]))
        for contact_id in inside:
            assert await place(company, contact_id) == (str(other.id), str(other.statuses["c"]))
        assert await company.refusal(gone) == ("not_found", "pipeline_not_found")

    async def test_statuses_take_nobody_in_meanwhile(self, company: Shop) -> None:
        """Whoever is sent to a status while it is deleted is refused, or sent on."""
        for _ in range(3):
            funnel = await Funnel.of(company, "a", "b")
            contacts = [await funnel.enter("b") for _ in range(5)]
            gone = DeleteStatus(
                pipeline_id=funnel.id,
                status_id=funnel.statuses["a"],
                move_to=funnel.statuses["b"],
            )
            moves = [company.ask(funnel.move(one, "a")) for one in contacts]
            *replies, deleted = await asyncio.gather(*moves, company.ask(gone))
            assert deleted.problem is None
            refused = [reply.problem for reply in replies if reply.problem]
            assert {problem.errors[0].code for problem in refused} <= {"status_not_in_pipeline"}
            for contact_id in contacts:
                assert await place(company, contact_id) == (
                    str(funnel.id),
                    str(funnel.statuses["b"]),
                )

    async def test_only_so_many_contacts_go_at_once(
        self, company: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("crm_contacts.board.requests.MAX_MOVED", 1)
        funnel = await Funnel.of(company, "a", "b")
        first, _ = [await funnel.enter("a") for _ in range(2)]
        gone = DeleteStatus(
            pipeline_id=funnel.id, status_id=funnel.statuses["a"], move_to=funnel.statuses["b"]
        )
        assert await company.refusal(gone) == ("conflict", "too_many_contacts")
        await company.value(funnel.move(first, "b"))
        assert await company.value(gone) == {}

    async def test_a_renamed_status_is_told_by_its_new_name(self, company: Shop) -> None:
        funnel = await Funnel.of(company, "a")
        await company.value(
            PatchStatus(pipeline_id=funnel.id, status_id=funnel.statuses["a"], name="A1")
        )
        contact_id = await funnel.enter("a")
        assert (await funnel.stays(contact_id))[0]["status_name"] == "A1"
