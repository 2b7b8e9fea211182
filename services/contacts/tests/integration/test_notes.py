"""Notes about a contact, over the bus as the gateway asks for them."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from shared_events.contacts.contact import CreateContact, DeleteContact
from shared_events.contacts.note import CreateNote, GetNote, ListContactNotes


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


class TestListContactNotes:
    async def test_shows_the_newest_first_page_by_page(self, company: Shop) -> None:
        contact_id, another = await contact(company), await contact(company)
        for content in ("a", "b", "c"):
            await company.value(
                CreateNote(contact_id=contact_id, content=content, pinned=content == "b")
            )
        await company.value(CreateNote(contact_id=another, content="x"))
        page = await company.value(ListContactNotes(contact_id=contact_id, limit=2))
        assert [note["content"] for note in page["data"]] == ["c", "b"]
        assert page["has_more"]
        assert await contents(company, contact_id, cursor=page["next_cursor"]) == ["a"]
        assert await contents(company, contact_id, pinned=True) == ["b"]
        assert await contents(company, contact_id, pinned=False) == ["c", "a"]
        assert await contents(company, another) == ["x"]


class TestNobodyElse:
    async def test_reads_or_writes_about_a_contact_of_ours(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id = await contact(company)
        note_id = (await company.value(CreateNote(contact_id=contact_id, content="a")))["id"]
        for request in (
            CreateNote(contact_id=contact_id, content="b"),
            GetNote(contact_id=contact_id, note_id=note_id),
            ListContactNotes(contact_id=contact_id),
        ):
            assert await other_company.refusal(request) == ("not_found", "contact_not_found")
        assert await contents(company, contact_id) == ["a"]

    async def test_reads_it_as_a_note_about_another_contact(self, company: Shop) -> None:
        contact_id, another = await contact(company), await contact(company)
        note_id = (await company.value(CreateNote(contact_id=contact_id, content="a")))["id"]
        asked = GetNote(contact_id=another, note_id=note_id)
        assert await company.refusal(asked) == ("not_found", "note_not_found")

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
