"""A number that somebody typed may be mistyped: it never keeps its real owner's messages."""

import asyncio

import pytest
from crm_testing.scenes.contacts import Shop
from shared_events.contacts.contact import CreateContact, GetContact, PatchContact, ReplaceContact

MISTYPED = ("phone", "5511988880001")
RIGHT = ("phone", "5511988880002")
LID = ("lid", "123456789012345")


async def maria(company: Shop, phone: str = "+5511988880001") -> str:
    """A contact that an agent made, with a phone."""
    created = await company.value(CreateContact(name="Maria", phone=phone))
    contact_id: str = created["id"]
    return contact_id


def corrected(contact_id: str, how: str) -> ReplaceContact | PatchContact:
    """Her phone as it should have been."""
    if how == "replaced":
        return ReplaceContact(contact_id=contact_id, name="Maria", phone="+5511988880002")
    return PatchContact(contact_id=contact_id, phone=None if how == "cleared" else "+5511988880002")


class TestShownByWhatsApp:
    """A number in service that no plan has: a test number, or one of before its plan changed."""

    SHOWN = ("phone", "22522123456")

    @pytest.mark.parametrize("change", [ReplaceContact, PatchContact])
    async def test_number_that_no_plan_has_may_be_sent_back(
        self, company: Shop, change: type[ReplaceContact | PatchContact]
    ) -> None:
        await company.receive(self.SHOWN, push_name="Awa")
        (awa,) = await company.contacts()
        changed = change(contact_id=awa["id"], name="Awa Koné", phone=awa["phone"])
        found = await company.value(changed)
        assert (found["name"], found["phone"]) == ("Awa Koné", "+22522123456")
        await company.receive(self.SHOWN)
        assert [one["id"] for one in await company.contacts()] == [awa["id"]]

    async def test_number_that_no_plan_has_may_not_be_typed_anew(self, company: Shop) -> None:
        await company.receive(self.SHOWN, push_name="Awa")
        (awa,) = await company.contacts()
        problem = await company.problem(PatchContact(contact_id=awa["id"], phone="+22522123457"))
        assert problem.errors[0].code == "invalid_phone"


class TestMistyped:
    @pytest.mark.parametrize("how", ["patched", "cleared", "replaced"])
    async def test_number_is_its_owners_once_it_is_corrected(
        self, company: Shop, other_company: Shop, how: str
    ) -> None:
        contact_id, untouched = await asyncio.gather(maria(company), maria(other_company))
        await company.value(corrected(contact_id, how))
        (released,) = await company.outbox("contact.identity_released")
        assert released["payload"]["identity"]["value"] == MISTYPED[1]

        for shop in (company, other_company):
            await shop.receive(MISTYPED, push_name="João")
        found = {c["id"]: c for c in await company.contacts()}
        assert found[contact_id]["phone"] == (None if how == "cleared" else "+5511988880002")
        stranger = found[released["payload"]["next_contact_id"]]
        assert (stranger["name"], stranger["phone"]) == ("João", "+5511988880001")
        assert stranger["identities"] == [{"kind": "phone", "value": MISTYPED[1]}]
        assert len(found) == 2
        (hers,) = await other_company.contacts()
        assert hers["id"] == untouched

    async def test_number_can_be_given_to_its_owner_before_they_write(self, company: Shop) -> None:
        contact_id = await maria(company)
        await company.value(corrected(contact_id, "patched"))
        owner = await company.value(CreateContact(name="João", phone="+5511988880001"))
        (released,) = await company.outbox("contact.identity_released")
        assert owner["id"] == released["payload"]["next_contact_id"] != contact_id
        await company.receive(MISTYPED, push_name="Jo")
        assert {c["name"] for c in await company.contacts()} == {"Maria", "João"}

    async def test_number_goes_round_among_contacts_and_back(self, company: Shop) -> None:
        first = await maria(company)
        await company.value(corrected(first, "patched"))
        second = (await company.value(CreateContact(name="Ana", phone="+5511988880001")))["id"]
        await company.value(PatchContact(contact_id=second, phone=None))
        await company.value(PatchContact(contact_id=first, phone="+5511988880001"))
        await company.receive(MISTYPED)
        shown = await company.value(GetContact(contact_id=first))
        assert [i["value"] for i in shown["identities"]] == [MISTYPED[1]]
        assert len(await company.contacts()) == 2


class TestProved:
    async def test_number_stays_whatever_is_edited(self, company: Shop) -> None:
        contact_id = await maria(company)
        await company.receive(MISTYPED)
        await company.value(corrected(contact_id, "patched"))
        assert await company.outbox("contact.identity_released") == []
        await company.receive(MISTYPED)
        assert [c["id"] for c in await company.contacts()] == [contact_id]

    async def test_owner_takes_a_number_from_whom_it_was_typed_for(self, company: Shop) -> None:
        """A message shows the number beside a hidden id that is known to be somebody else's."""
        contact_id = await maria(company)
        await company.receive(LID, push_name="João")
        await company.receive(MISTYPED, LID)
        found = {c["name"]: c for c in await company.contacts()}
        assert found["João"]["phone"] == "+5511988880001"
        assert [i["kind"] for i in found["João"]["identities"]] == ["phone", "lid"]
        assert (found["Maria"]["id"], found["Maria"]["phone"]) == (contact_id, None)
        assert found["Maria"]["identities"] == []
        kinds = [e["event_type"] for e in await company.outbox()]
        assert kinds[-3:].count("contact.updated") == 2
        assert kinds[-3:].count("contact.identity_linked") == 1

    async def test_number_of_another_is_never_taken(self, company: Shop) -> None:
        await company.receive(MISTYPED, push_name="Ana")
        await company.receive(RIGHT, LID, push_name="João")
        await company.receive(MISTYPED, LID)
        assert {c["name"]: c["phone"] for c in await company.contacts()} == {
            "Ana": "+5511988880001",
            "João": "+5511988880002",
        }


async def test_an_argentine_is_one_person_with_and_without_the_nine(company: Shop) -> None:
    created = await company.value(CreateContact(name="Sofía", phone="+54 11 4321-5678"))
    await company.receive(("phone", "5491143215678"))
    (contact,) = await company.contacts()
    assert contact["id"] == created["id"]
