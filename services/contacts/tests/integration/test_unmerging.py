"""A merge undone by request: what went over goes back, and what came since stays."""

from typing import Any
from uuid import UUID, uuid4

from crm_contacts.merging import handing_back
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    PatchContact,
)
from shared_events.contacts.contact_list import CreateContactList, PutOnList
from shared_events.contacts.merge import MergeContacts, UnmergeContacts
from shared_events.contacts.note import CreateNote, ListContactNotes
from shared_events.contacts.pipeline import DeleteStatus, ListStays
from shared_events.contacts.tracking import CreateTracking, ListTrackings

PHONE, LID = ("phone", "5511988880001"), ("lid", "1" * 49)
LONGEST = "é" * 255
MOVING = {"version", "updated_at"}


async def made(company: Shop, name: str = "Maria", **fields: Any) -> UUID:
    return UUID((await company.value(CreateContact(name=name, **fields)))["id"])


async def pair(company: Shop) -> tuple[UUID, UUID]:
    """A customer known by her phone, and one by a hidden id."""
    await company.receive(PHONE, push_name="Maria")
    await company.receive(LID, push_name=LONGEST)
    found = {contact["name"]: UUID(contact["id"]) for contact in await company.contacts()}
    return found["Maria"], found[LONGEST]


async def all_of(company: Shop, contact_id: UUID) -> dict[str, Any]:
    """What is on record of a contact, but for its version."""
    contact = await company.value(GetContact(contact_id=contact_id))
    about = {"contact_id": contact_id}
    notes = (await company.value(ListContactNotes(**about)))["data"]
    trackings = (await company.value(ListTrackings(**about)))["data"]
    stays = (await company.value(ListStays(**about)))["data"]
    lists = await company.rows(
        "SELECT list_id FROM contact_list_members WHERE contact_id = $1 ORDER BY 1", contact_id
    )
    return {
        "contact": {k: v for k, v in contact.items() if k not in MOVING},
        "notes": notes,
        "trackings": trackings,
        "stays": stays,
        "lists": [row["list_id"] for row in lists],
    }


class TestUnmerge:
    async def test_gives_both_what_they_had(self, company: Shop, other_company: Shop) -> None:
        (winner, loser), theirs = await pair(company), await pair(other_company)
        await other_company.value(MergeContacts(contact_id=theirs[0], loser_id=theirs[1]))
        funnel = await Funnel.of(company, "Novo")
        await company.value(funnel.move(loser, "Novo"))
        await company.value(PatchContact(contact_id=winner, tags=["vip"], custom_fields={"a": 1}))
        given = {"email": "ana@example.com", "tags": ["x" * 64, "VIP"], "custom_fields": {"b": 2}}
        await company.value(PatchContact.model_validate({"contact_id": loser, **given}))
        for contact_id in (winner, loser):
            await company.value(CreateNote(contact_id=contact_id, content="é" * 10_000))
            await company.value(CreateTracking(contact_id=contact_id, source="direct"))
        for name, members in (("both", [winner, loser]), ("hers", [loser])):
            list_id = (await company.value(CreateContactList(name=name, kind="static")))["id"]
            await company.value(PutOnList(list_id=list_id, contact_ids=members))
        before = [await all_of(company, one) for one in (winner, loser)]
        merged = await company.value(MergeContacts(contact_id=winner, loser_id=loser))

        request = UnmergeContacts(contact_id=winner, loser_id=loser)
        stale = await company.refusal(request, expected_version=merged["version"] - 1)
        assert stale == ("precondition_failed", "stale_version")
        parted = await company.value(request, expected_version=merged["version"])
        assert parted["id"] == str(loser)
        assert parted == await company.value(GetContact(contact_id=loser))
        assert [await all_of(company, one) for one in (winner, loser)] == before
        (event,) = await company.outbox("contact.unmerged")
        assert event["aggregate_id"] == winner
        assert event["payload"]["loser"] == parted
        assert event["payload"]["winner"]["version"] == merged["version"] + 1
        lid = {"kind": "lid", "value": LID[1], "proved": True}
        assert event["payload"]["identities"] == [lid]
        await company.receive(LID, push_name="Mari")
        assert {UUID(c["id"]) for c in await company.contacts()} == {winner, loser}
        assert [UUID(c["id"]) for c in await other_company.contacts()] == [theirs[0]]

    async def test_leaves_what_was_changed_since(self, company: Shop) -> None:
        winner, loser = await pair(company)
        funnel = await Funnel.of(company, "Novo", "Ganho")
        await company.value(funnel.move(loser, "Novo"))
        given = {"email": "ana@example.com", "tags": ["x"], "custom_fields": {"b": 2, "c": 3}}
        await company.value(PatchContact.model_validate({"contact_id": loser, **given}))
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        for place in ("Ganho", "Novo"):
            await company.value(funnel.move(winner, place))
        since = {"email": "eva@example.com", "tags": ["x", "new"], "custom_fields": {"b": 5}}
        await company.value(PatchContact.model_validate({"contact_id": winner, **since}))
        note = await company.value(CreateNote(contact_id=winner, content="since"))
        parted = await company.value(UnmergeContacts(contact_id=winner, loser_id=loser))
        kept = await all_of(company, winner)
        shown = kept["contact"]
        assert (shown["email"], shown["tags"]) == ("eva@example.com", ["new"])
        assert shown["custom_fields"] == {"b": 5}
        assert shown["pipeline_status_id"] == str(funnel.statuses["Novo"])
        assert [n["id"] for n in kept["notes"]] == [note["id"]]
        assert [s["left_at"] is None for s in kept["stays"]] == [True, False]
        assert (parted["email"], parted["custom_fields"]) == ("ana@example.com", {"b": 2, "c": 3})
        assert parted["pipeline_status_id"] == str(funnel.statuses["Novo"])
        (stay,) = (await all_of(company, loser))["stays"]
        assert (stay["status_name"], stay["left_at"]) == ("Novo", None)

    async def test_of_who_stood_where_nothing_is_any_more_stands_nowhere(
        self, company: Shop
    ) -> None:
        winner, loser = await pair(company)
        funnel = await Funnel.of(company, "Novo", "Ganho")
        await company.value(funnel.move(loser, "Novo"))
        await company.value(funnel.move(winner, "Ganho"))
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        gone = {"pipeline_id": funnel.id, "status_id": funnel.statuses["Novo"]}
        await company.value(DeleteStatus.model_validate(gone))
        parted = await company.value(UnmergeContacts(contact_id=winner, loser_id=loser))
        assert (parted["pipeline_id"], parted["pipeline_status_id"]) == (None, None)
        (stay,) = (await all_of(company, loser))["stays"]
        assert stay["left_at"] is not None

    async def test_brings_back_a_typed_number_that_was_let_go_of(self, company: Shop) -> None:
        winner = await made(company, phone="+5511977770002")
        loser = await made(company, phone=f"+{PHONE[1]}")
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        parted = await company.value(UnmergeContacts(contact_id=winner, loser_id=loser))
        assert parted["phone"] == f"+{PHONE[1]}"
        await company.receive(PHONE, push_name="João")
        assert {UUID(c["id"]) for c in await company.contacts()} == {winner, loser}

    async def test_leaves_a_number_that_is_anothers_by_now(self, company: Shop) -> None:
        for by_message in (True, False):
            number = f"55119888800{10 + by_message}"
            winner, loser = await made(company), await made(company, phone=f"+{number}")
            third = await made(company, "João", phone=None)
            await company.value(
                PatchContact(contact_id=winner, phone=f"+55119777700{by_message:d}")
            )
            await company.value(MergeContacts(contact_id=winner, loser_id=loser))
            if by_message:
                await company.receive(("phone", number), push_name="João")
            else:
                await company.value(PatchContact(contact_id=third, phone=f"+{number}"))
            parted = await company.value(UnmergeContacts(contact_id=winner, loser_id=loser))
            assert (parted["phone"], parted["identities"]) == (None, [])

    async def test_takes_a_number_from_a_winner_that_had_none(self, company: Shop) -> None:
        winner, loser = await made(company), await made(company, phone=f"+{PHONE[1]}")
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        parted = await company.value(UnmergeContacts(contact_id=winner, loser_id=loser))
        assert parted["phone"] == f"+{PHONE[1]}"
        assert (await company.value(GetContact(contact_id=winner)))["phone"] is None
        await company.receive(PHONE)
        assert len(await company.contacts()) == 2

    async def test_of_merges_of_merged_ones_goes_back_step_by_step(self, company: Shop) -> None:
        first, second, third = [await made(company, name) for name in ("a", "b", "c")]
        for one in (first, second, third):
            await company.value(CreateNote(contact_id=one, content=str(one)))
        before = [await all_of(company, one) for one in (first, second, third)]
        await company.value(MergeContacts(contact_id=second, loser_id=third))
        await company.value(MergeContacts(contact_id=first, loser_id=second))
        early = UnmergeContacts(contact_id=second, loser_id=third)
        assert await company.refusal(early) == ("conflict", "contact_merged")
        skipping = UnmergeContacts(contact_id=first, loser_id=third)
        assert await company.refusal(skipping) == ("conflict", "not_merged")
        await company.value(UnmergeContacts(contact_id=first, loser_id=second))
        assert len((await all_of(company, second))["notes"]) == 2
        await company.value(early)
        assert [await all_of(company, one) for one in (first, second, third)] == before

    async def test_of_one_pair_again_and_again(self, company: Shop) -> None:
        winner, loser = await pair(company)
        before = [await all_of(company, one) for one in (winner, loser)]
        for _ in range(3):
            await company.value(MergeContacts(contact_id=winner, loser_id=loser))
            await company.value(UnmergeContacts(contact_id=winner, loser_id=loser))
        assert [await all_of(company, one) for one in (winner, loser)] == before
        assert await company.rows("SELECT 1 FROM contact_merges") == []


class TestRefused:
    async def test_with_a_code_that_says_why(self, company: Shop, other_company: Shop) -> None:
        (winner, loser), theirs = await pair(company), await pair(other_company)
        third = await made(company)
        await company.value(MergeContacts(contact_id=winner, loser_id=loser))
        await other_company.value(MergeContacts(contact_id=theirs[0], loser_id=theirs[1]))
        gone = await made(company)
        await company.value(DeleteContact(contact_id=gone))
        not_found = ("not_found", "contact_not_found")
        for one, other, expected in (
            (theirs[0], theirs[1], not_found),
            (winner, theirs[1], not_found),
            (winner, uuid4(), not_found),
            (gone, loser, not_found),
            (winner, third, ("conflict", "not_merged")),
            (third, loser, ("conflict", "not_merged")),
            (winner, winner, ("conflict", "not_merged")),
        ):
            request = UnmergeContacts(contact_id=one, loser_id=other)
            assert await company.refusal(request) == expected
        async with company.database.tenant(company.id) as tx:
            await tx.execute("UPDATE contact_merges SET merged_at = now() - interval '31 days'")
        old = UnmergeContacts(contact_id=winner, loser_id=loser)
        assert await company.refusal(old) == ("conflict", "not_undoable")
        assert await company.outbox("contact.unmerged") == []
        async with company.database.system("merges") as tx:
            assert not await handing_back.purge(tx)
        assert await company.rows("SELECT 1 FROM contact_merges") == []
        assert len(await other_company.rows("SELECT 1 FROM contact_merges")) == 1
