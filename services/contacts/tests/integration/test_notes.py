"""Notes about a contact, over the bus as the gateway asks for them."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from shared_events.contacts.contact import CreateContact, DeleteContact
from shared_events.contacts.note import (
    CreateNote,
    DeleteNote,
    GetNote,
    ListContactNotes,
    ListSessionNotes,
    PatchNote,
)


async def contact(company: Shop) -> UUID:
    return UUID((await company.value(CreateContact(name="Maria")))["id"])


async def contents(company: Shop, contact_id: UUID, **query: Any) -> list[str]:
    page = await company.value(ListContactNotes(contact_id=contact_id, **query))
    return [note["content"] for note in page["data"]]


class TestCreateNote:
    async def test_is_written_in_the_callers_name(self, company: Shop) -> None:
        contact_id = await contact(company)
        written = await company.value(
            CreateNote(
                contact_id=contact_id,
                content="Ligar amanhã",
                type="follow_up",
                priority="urgent",
                pinned=True,
            )
        )
        assert (written["content"], written["type"]) == ("Ligar amanhã", "follow_up")
        assert (written["priority"], written["pinned"]) == ("urgent", True)
        assert (written["author_id"], written["author_type"]) == (str(company.user_id), "agent")
        assert (written["contact_id"], written["version"]) == (str(contact_id), 1)
        assert written["created_at"] == written["updated_at"]
        note_id = UUID(written["id"])
        assert await company.value(GetNote(contact_id=contact_id, note_id=note_id)) == written

    async def test_needs_only_its_content(self, company: Shop) -> None:
        written = await company.value(CreateNote(contact_id=await contact(company), content="Oi"))
        assert (written["type"], written["priority"]) == ("general", "normal")
        assert not written["pinned"]

    async def test_holds_the_longest_content(self, company: Shop) -> None:
        longest = "é" * 10_000
        contact_id = await contact(company)
        await company.value(CreateNote(contact_id=contact_id, content=longest))
        assert await contents(company, contact_id) == [longest]


class TestPatchNote:
    async def test_changes_what_is_sent_and_tells_of_it(self, company: Shop) -> None:
        contact_id, session_id = await contact(company), uuid4()
        written = await company.value(
            CreateNote(contact_id=contact_id, content="a", session_id=session_id)
        )
        here = {"contact_id": contact_id, "note_id": UUID(written["id"])}
        longest = "é" * 10_000
        other_agent = replace(company, user_id=uuid4())
        changed = await other_agent.value(
            PatchNote(**here, content=longest, pinned=True), expected_version=1
        )
        assert (changed["content"], changed["pinned"], changed["version"]) == (longest, True, 2)
        assert (changed["type"], changed["session_id"]) == ("general", str(session_id))
        assert changed["author_id"] == str(company.user_id)
        assert changed["updated_at"] > changed["created_at"]
        assert await company.value(GetNote(**here)) == changed
        assert await company.value(PatchNote(**here, pinned=True, priority=None)) == changed
        (told,) = await company.told("note.updated")
        assert told == {"note": changed, "changed": ["content", "pinned"]}
        for stale in (PatchNote(**here, content="x"), DeleteNote(**here)):
            refusal = await company.refusal(stale, expected_version=1)
            assert refusal == ("precondition_failed", "stale_version")

    async def test_of_many_at_once_loses_none(self, company: Shop) -> None:
        contact_id = await contact(company)
        written = await company.value(CreateNote(contact_id=contact_id, content="a"))
        here = {"contact_id": contact_id, "note_id": written["id"]}
        changes: list[dict[str, Any]] = [
            {"content": "b"},
            {"type": "complaint"},
            {"priority": "high"},
            {"pinned": True},
        ]
        await asyncio.gather(*(company.value(PatchNote(**here, **one)) for one in changes))
        found = await company.value(GetNote(**here))
        assert all(found.items() >= one.items() for one in changes)
        assert found["version"] == 5


class TestDeleteNote:
    async def test_removes_it_and_tells_of_it(self, company: Shop) -> None:
        contact_id = await contact(company)
        _, gone = [
            await company.value(CreateNote(contact_id=contact_id, content=content))
            for content in ("kept", "gone")
        ]
        request = DeleteNote(contact_id=contact_id, note_id=gone["id"])
        await company.value(request, expected_version=1)
        assert await contents(company, contact_id) == ["kept"]
        assert await company.refusal(request) == ("not_found", "note_not_found")
        (told,) = await company.told("note.deleted")
        assert told == {"note_id": gone["id"], "contact_id": str(contact_id), "session_id": None}


class TestListContactNotes:
    async def test_shows_pinned_ones_first_then_the_newest_page_by_page(
        self, company: Shop
    ) -> None:
        contact_id, another = await contact(company), await contact(company)
        for content in ("a", "B", "c", "D"):
            await company.value(
                CreateNote(contact_id=contact_id, content=content, pinned=content.isupper())
            )
        await company.value(CreateNote(contact_id=another, content="x", pinned=True))
        walked: list[str] = []
        cursor = None
        for more in (True, True, True, False):
            page = await company.value(
                ListContactNotes(contact_id=contact_id, limit=1, cursor=cursor)
            )
            walked += [note["content"] for note in page["data"]]
            assert page["has_more"] is more
            cursor = page["next_cursor"]
        assert walked == ["D", "B", "c", "a"]
        assert await contents(company, contact_id, pinned=True) == ["D", "B"]
        assert await contents(company, contact_id, pinned=False) == ["c", "a"]
        assert await contents(company, another) == ["x"]


class TestListSessionNotes:
    async def test_shows_what_was_written_about_a_session(
        self, company: Shop, other_company: Shop
    ) -> None:
        session_id = uuid4()
        one, gone = await contact(company), await contact(company)
        for contact_id, content, about in (
            (one, "A", session_id),
            (one, "b", session_id),
            (one, "elsewhere", uuid4()),
            (one, "nowhere", None),
            (gone, "of a contact that is gone", session_id),
        ):
            await company.value(
                CreateNote(
                    contact_id=contact_id,
                    content=content,
                    session_id=about,
                    pinned=content.isupper(),
                )
            )
        await company.value(DeleteContact(contact_id=gone))
        page = await company.value(ListSessionNotes(session_id=session_id, limit=1))
        assert ([note["content"] for note in page["data"]], page["has_more"]) == (["A"], True)
        rest = ListSessionNotes(session_id=session_id, cursor=page["next_cursor"])
        assert [note["content"] for note in (await company.value(rest))["data"]] == ["b"]
        for nobody, asked in ((other_company, session_id), (company, uuid4())):
            none = await nobody.value(ListSessionNotes(session_id=asked))
            assert none == {"data": [], "has_more": False, "next_cursor": None}


class TestNobodyElse:
    async def test_reads_or_writes_about_a_contact_of_ours(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id = await contact(company)
        note_id = (await company.value(CreateNote(contact_id=contact_id, content="a")))["id"]
        for request in (
            CreateNote(contact_id=contact_id, content="b"),
            GetNote(contact_id=contact_id, note_id=note_id),
            PatchNote(contact_id=contact_id, note_id=note_id, content="b"),
            DeleteNote(contact_id=contact_id, note_id=note_id),
            ListContactNotes(contact_id=contact_id),
        ):
            assert await other_company.refusal(request) == ("not_found", "contact_not_found")
        assert await contents(company, contact_id) == ["a"]

    async def test_reads_or_changes_it_as_a_note_about_another_contact(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id, another = await contact(company), await contact(company)
        note_id = (await company.value(CreateNote(contact_id=contact_id, content="a")))["id"]
        theirs = await contact(other_company)
        for whose, about in ((company, another), (other_company, theirs)):
            here = {"contact_id": about, "note_id": note_id}
            for asked in (GetNote(**here), PatchNote(**here, content="b"), DeleteNote(**here)):
                assert await whose.refusal(asked) == ("not_found", "note_not_found")
        assert await contents(company, contact_id) == ["a"]

    async def test_sees_notes_of_a_contact_that_was_deleted(self, company: Shop) -> None:
        contact_id = await contact(company)
        await company.value(CreateNote(contact_id=contact_id, content="a"))
        await company.value(DeleteContact(contact_id=contact_id))
        for request in (
            CreateNote(contact_id=contact_id, content="b"),
            ListContactNotes(contact_id=contact_id),
        ):
            assert await company.refusal(request) == ("not_found", "contact_not_found")


class TestContent:
    @pytest.mark.parametrize("wrong", [{"content": ""}, {"content": "x" * 10_001}, {"type": "x"}])
    def test_is_bounded(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="validation error"):
            CreateNote.model_validate({"contact_id": uuid4(), "content": "a", **wrong})
