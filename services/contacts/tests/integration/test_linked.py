"""Contacts that a message shows to be one person are merged without being asked."""

from typing import Any

from crm_contacts.contacts.consumers import on_message_received
from crm_testing.scenes.contacts import Shop, apply, delivered
from shared_events.contacts.contact import DeleteContact, GetContact

PHONE, LID = ("phone", "5511988880001"), ("lid", "1" * 49)


async def known(company: Shop) -> tuple[str, str]:
    """Ana wrote from her phone, and from her hidden id."""
    await company.receive(PHONE, push_name="Ana")
    await company.receive(LID, push_name="é" * 255)
    found = {contact["name"]: contact["id"] for contact in await company.contacts()}
    return found["Ana"], found["é" * 255]


async def both(company: Shop, *people: tuple[tuple[str, str], ...], **said: Any) -> None:
    """One batch of messages, each of a person that shows these identities."""
    batch = [delivered(company.id, company.message(*person, **said)) for person in people]
    await apply(company.database, on_message_received, batch)


class TestLinked:
    async def test_are_one_the_phones_contact_of_each_company(
        self, company: Shop, other_company: Shop
    ) -> None:
        (winner, loser), theirs = await known(company), await known(other_company)
        await company.receive(PHONE, LID)
        (contact,) = await company.contacts()
        assert (contact["id"], contact["name"]) == (winner, "Ana")
        assert [identity["kind"] for identity in contact["identities"]] == ["phone", "lid"]
        problem = await company.problem(GetContact(contact_id=loser))
        assert (problem.code, problem.extra) == ("contact_merged", {"merged_into": winner})
        (event,) = await company.outbox("contact.merged")
        assert event["causation_id"] is not None
        assert {c["id"] for c in await other_company.contacts()} == set(theirs)
        await company.receive(LID)
        assert len(await company.contacts()) == 1

    async def test_twice_in_a_batch_or_both_ways_are_merged_once(self, company: Shop) -> None:
        winner, _ = await known(company)
        await both(company, (PHONE, LID), (LID,), (PHONE, LID), (PHONE,))
        await both(company, (PHONE, LID))
        assert [c["id"] for c in await company.contacts()] == [winner]
        assert len(await company.told("contact.merged")) == 1

    async def test_with_a_second_hidden_id_are_merged_by_the_next_message(
        self, company: Shop
    ) -> None:
        winner, _ = await known(company)
        another = ("lid", "77")
        await company.receive(another)
        await both(company, (PHONE, LID), (PHONE, another))
        assert len(await company.contacts()) == 2
        await both(company, (PHONE, another))
        assert [c["id"] for c in await company.contacts()] == [winner]

    async def test_come_back_together_where_the_phones_was_deleted(self, company: Shop) -> None:
        winner, _ = await known(company)
        await company.value(DeleteContact(contact_id=winner))
        await company.receive(PHONE, LID)
        assert [c["id"] for c in await company.contacts()] == [winner]

    async def test_stay_apart_where_the_other_has_a_number_of_its_own(self, company: Shop) -> None:
        """A number that was somebody's may be given to another."""
        await company.receive(PHONE, push_name="Ana")
        await company.receive(("phone", "5511977770002"), LID, push_name="João")
        await company.receive(PHONE, LID)
        assert len(await company.contacts()) == 2
        assert await company.told("contact.merged") == []
