"""Two contacts made one by request, over the bus as the gateway asks for it."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from crm_testing.services import eventually
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    PatchContact,
    RestoreContact,
)
from shared_events.contacts.contact_list import CreateContactList, ListListed, PutOnList
from shared_events.contacts.merge import MergeContacts
from shared_events.contacts.note import CreateNote, ListContactNotes
from shared_events.contacts.pipeline import ListStays
from shared_events.contacts.timeline import ListTimeline
from shared_events.contacts.tracking import CreateTracking, ListTrackings

PHONE, LID = ("phone", "5511988880001"), ("lid", "1" * 49)
LONGEST = "é" * 255


async def made(company: Shop, name: str = "Maria", **fields: Any) -> UUID:
    return UUID((await company.value(CreateContact(name=name, **fields)))["id"])


async def pair(company: Shop) -> tuple[UUID, UUID]:
    """A customer known by her phone, and by her hidden id."""
    await company.receive(PHONE, push_name="Maria")
    await company.receive(LID, push_name=LONGEST)
    found = {contact["name"]: UUID(contact["id"]) for contact in await company.contacts()}
    return found["Maria"], found[LONGEST]


class TestMerge:
    async def test_leaves_one_with_all_that_both_had(
        self, company: Shop, other_company: Shop
    ) -> None:
        (winner, loser), theirs = await pair(company), await pair(other_company)
        funnel = await Funnel.of(company, "Novo")
        await company.value(funnel.move(loser, "Novo"))
        await company.value(PatchContact(contact_id=winner, tags=["vip"], custom_fields={"a": 1}))
        mail = f"{'a' * 60}@{'b' * 60}.example"
        given = {"email": mail, "tags": ["x" * 64], "custom_fields": {"a": 2, "b": "õ" * 255}}
        was = await company.value(PatchContact.model_validate({"contact_id": loser, **given}))
        for contact_id in (winner, loser):
            await company.value(CreateNote(contact_id=contact_id, content="é" * 10_000))
            await company.value(CreateTracking(contact_id=contact_id, source="direct"))
        lists = [
            UUID((await company.value(CreateContactList(name=name, kind="static")))["id"])
            for name in ("both", "hers")
        ]
        for list_id, members in zip(lists, ([winner, loser], [loser]), strict=True):
            await company.value(PutOnList(list_id=list_id, contact_ids=members))

        request = MergeContacts(contact_id=winner, loser_id=loser)
        stale = await company.refusal(request, expected_version=1)
        assert stale == ("precondition_failed", "stale_version")
        merged = await company.value(request, expected_version=2)
        assert merged["version"] == 3
        assert (merged["name"], merged["phone"]) == ("Maria", "+5511988880001")
        assert (merged["email"], merged["tags"]) == (mail, ["vip", "x" * 64])
        assert merged["custom_fields"] == {"a": 1, "b": "õ" * 255}
        assert [i["kind"] for i in merged["identities"]] == ["phone", "lid"]
        assert merged["pipeline_status_id"] == was["pipeline_status_id"] is not None
        assert await company.value(GetContact(contact_id=winner)) == merged
        assert [c["id"] for c in await company.contacts()] == [str(winner)]
        assert await company.contacts(search="éé") == []

        notes = (await company.value(ListContactNotes(contact_id=winner)))["data"]
        trackings = (await company.value(ListTrackings(contact_id=winner)))["data"]
        assert [n["contact_id"] for n in notes + trackings] == [str(winner)] * 4
        (stay,) = (await company.value(ListStays(contact_id=winner)))["data"]
        assert stay["left_at"] is None
        for list_id in lists:
            (member,) = (await company.value(ListListed(list_id=list_id)))["data"]
            assert member["id"] == str(winner)

        async def on_the_timeline() -> bool:
            page = await company.value(ListTimeline(contact_id=winner))
            titles = [entry["title"] for entry in page["data"]]
            return titles.count("Contact created") == 2 and "Merged with another contact" in titles

        await eventually(on_the_timeline)
        (event,) = await company.outbox("contact.merged")
        assert event["aggregate_id"] == winner
        assert event["payload"]["winner"] == merged
        assert event["payload"]["loser"] == was
        lid = {"kind": "lid", "value": LID[1], "proved": True}
        assert event["payload"]["identities"] == [lid]
        assert {UUID(c["id"]) for c in await other_company.contacts()} == set(theirs)

    async def test_leaves_a_loser_that_only_says_where_it_went(self, company: Shop) -> None:
        winner, loser = await pair(company)
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        third = await made(company)
        for request in (
            GetContact(contact_id=loser),
            PatchContact(contact_id=loser, name="x"),
            DeleteContact(contact_id=loser),
            RestoreContact(contact_id=loser),
            CreateNote(contact_id=loser, content="x"),
            ListTimeline(contact_id=loser),
            MergeContacts(contact_id=loser, loser_id=third),
            MergeContacts(contact_id=third, loser_id=loser),
            MergeContacts(contact_id=winner, loser_id=loser),
        ):
            problem = await company.problem(request)
            assert (problem.kind, problem.code) == ("conflict", "contact_merged")
            assert problem.extra == {"merged_into": str(winner)}

    async def test_brings_later_messages_to_the_winner(self, company: Shop) -> None:
        winner, loser = await pair(company)
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        await company.receive(LID, push_name="Mari")
        (contact,) = await company.contacts()
        assert (contact["id"], contact["name"]) == (str(winner), "Maria")

    async def test_ends_a_stay_where_the_winner_has_a_place(self, company: Shop) -> None:
        winner, loser = await pair(company)
        funnel = await Funnel.of(company, "Novo", "Ganho")
        await company.value(funnel.move(winner, "Novo"))
        await company.value(funnel.move(loser, "Ganho"))
        merged = await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        stays = (await company.value(ListStays(contact_id=winner)))["data"]
        assert {s["status_name"]: s["left_at"] is None for s in stays} == {
            "Novo": True,
            "Ganho": False,
        }
        assert merged["pipeline_status_id"] == str(funnel.statuses["Novo"])

    async def test_releases_a_typed_number_that_is_not_the_winners(self, company: Shop) -> None:
        winner = await made(company, phone="+5511977770002")
        loser = await made(company, phone=f"+{PHONE[1]}")
        merged = await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        assert merged["phone"] == "+5511977770002"
        (event,) = await company.outbox("contact.merged")
        assert event["payload"]["identities"] == []
        (released,) = await company.outbox("contact.identity_released")
        await company.receive(PHONE, push_name="João")
        found = {c["id"]: c["phone"] for c in await company.contacts()}
        assert found == {
            str(winner): "+5511977770002",
            released["payload"]["next_contact_id"]: f"+{PHONE[1]}",
        }

    async def test_gives_a_typed_number_to_a_winner_without_one(self, company: Shop) -> None:
        winner, loser = await made(company), await made(company, phone=f"+{PHONE[1]}")
        merged = await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        assert merged["phone"] == f"+{PHONE[1]}"
        await company.receive(PHONE)
        assert [c["id"] for c in await company.contacts()] == [str(winner)]
        problem = await company.problem(CreateContact(name="x", phone=f"+{PHONE[1]}"))
        assert problem.extra == {"existing_id": str(winner)}


class TestRefused:
    async def test_with_a_code_that_says_why(self, company: Shop, other_company: Shop) -> None:
        winner, theirs, gone = await made(company), await made(other_company), await made(company)
        await company.value(DeleteContact(contact_id=gone))
        await company.receive(("group", "120363-1"))
        group = next(UUID(c["id"]) for c in await company.contacts() if c["source"] != "api")
        await company.receive(PHONE, push_name="Rui")
        rui = next(UUID(c["id"]) for c in await company.contacts() if c["name"] == "Rui")
        not_found = ("not_found", "contact_not_found")
        for one, other, expected in (
            (winner, theirs, not_found),
            (theirs, winner, not_found),
            (winner, gone, not_found),
            (gone, winner, not_found),
            (winner, uuid4(), not_found),
            (rui, group, ("conflict", "not_one_person")),
        ):
            request = MergeContacts(contact_id=one, loser_id=other)
            assert await company.refusal(request) == expected
        itself = await company.problem(MergeContacts(contact_id=winner, loser_id=winner))
        assert [(e.pointer, e.code) for e in itself.errors] == [("/loser_id", "same_contact")]
        assert await company.outbox("contact.merged") == []


class TestAtOnce:
    async def test_both_ways_end_in_one(self, company: Shop) -> None:
        for _ in range(4):
            one, other = await made(company), await made(company)
            replies = await asyncio.gather(
                company.ask(MergeContacts(contact_id=one, loser_id=other)),
                company.ask(MergeContacts(contact_id=other, loser_id=one)),
            )
            problems = [reply.problem.code for reply in replies if reply.problem]
            assert problems == ["contact_merged"]
        assert len(await company.contacts()) == 4

    async def test_with_a_message_and_a_note_leave_nothing_with_the_loser(
        self, company: Shop
    ) -> None:
        """Both have found the loser, and wait for the lock that the merge waits for as well."""
        winner, loser = await pair(company)
        async with company.database.tenant(company.id) as tx:
            await tx.fetch("SELECT 1 FROM contacts WHERE id = $1 FOR UPDATE", loser)
            merging = asyncio.create_task(
                company.value(MergeContacts(contact_id=winner, loser_id=loser))
            )
            await eventually(company.waits_for_a_lock)
            writing = asyncio.create_task(company.receive(LID, push_name="Mari"))
            noting = asyncio.create_task(
                company.refusal(CreateNote(contact_id=loser, content="a note"))
            )

            async def all_wait() -> bool:
                waiting = await company.rows(
                    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND datname = current_database()"
                )
                return len(waiting) == 3

            await eventually(all_wait)
        await asyncio.gather(merging, writing)
        assert await noting == ("conflict", "contact_merged")
        (contact,) = await company.contacts()
        assert contact["id"] == str(winner)
        assert await company.outbox("contact.merged")
