"""Messages make contacts: through the broker, into the database, out as events."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from crm_contacts.contacts.consumers import on_message_received
from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually
from service_kit.cause import Cause
from service_kit.incoming import Event
from shared_events import examples, identity
from shared_events.channels.traffic import ChannelCallReported, Person
from shared_events.contacts.contact import (
    CreateContact,
    DeleteContact,
    GetContact,
    Identity,
    PatchContact,
)
from shared_events.identity import WhatsAppId
from shared_events.topology import CONTACTS_CHANNEL_EVENTS

PHONE = ("phone", "5511988880001")
LID = ("lid", "123456789012345")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class TestUnknownPerson:
    async def test_becomes_a_contact_with_the_id_every_service_derives(self, company: Shop) -> None:
        event_id = await company.receive(PHONE, push_name="Maria", sent_at=NOON)
        (contact,) = await company.contacts()
        derived = identity.contact_id(company.id, WhatsAppId("phone", PHONE[1]))
        assert contact["id"] == str(derived)
        assert (contact["name"], contact["phone"]) == ("Maria", "+5511988880001")
        assert (contact["source"], contact["version"]) == ("inbound", 1)
        assert contact["identities"] == [{"kind": "phone", "value": "5511988880001"}]
        assert contact["first_interaction_at"] == contact["last_interaction_at"]

        (told,) = await company.outbox()
        assert told["event_type"] == "contact.created"
        assert told["aggregate_id"] == derived
        assert (told["causation_id"], told["correlation_id"]) == (event_id, "req-told")
        assert told["payload"]["contact"] == contact

    async def test_who_calls_becomes_one_as_who_writes(self, company: Shop) -> None:
        told = ChannelCallReported.model_validate(examples.load("channel.call_reported")["data"])
        person = Person(identities=[Identity(kind="phone", value=PHONE[1])], push_name="Maria")
        call = told.model_copy(update={"person": person, "happened_at": NOON})
        event_id = await company.publish(call)
        await eventually(lambda: company.applied(event_id, CONTACTS_CHANNEL_EVENTS.name))
        await company.receive(PHONE, push_name="Maria", sent_at=NOON + timedelta(hours=1))
        (contact,) = await company.contacts()
        derived = identity.contact_id(company.id, WhatsAppId("phone", PHONE[1]))
        assert (contact["id"], contact["name"]) == (str(derived), "Maria")
        assert contact["source"] == "inbound"
        assert contact["first_interaction_at"] == "2026-01-01T12:00:00Z"
        assert [e["event_type"] for e in await company.outbox()] == ["contact.created"]

    async def test_is_made_once_however_many_messages_come_at_once(self, company: Shop) -> None:
        await asyncio.gather(*(company.receive(PHONE, push_name="Maria") for _ in range(50)))
        assert len(await company.contacts()) == 1
        assert [e["event_type"] for e in await company.outbox()] == ["contact.created"]

    async def test_is_called_by_phone_when_nameless_and_not_at_all_when_hidden(
        self, company: Shop
    ) -> None:
        await company.receive(PHONE)
        await company.receive(LID)
        names = {c["name"]: c["phone"] for c in await company.contacts()}
        assert names == {"+5511988880001": "+5511988880001", "WhatsApp contact": None}

    async def test_of_our_own_phone_does_not_get_our_own_name(self, company: Shop) -> None:
        await company.receive(PHONE, push_name="Our shop", direction="outbound", origin="phone")
        (contact,) = await company.contacts()
        assert (contact["name"], contact["source"]) == ("+5511988880001", "phone")

    async def test_may_have_a_name_that_postgresql_cannot_store(self, company: Shop) -> None:
        await company.receive(PHONE, push_name="Ma\x00ria")
        assert [c["name"] for c in await company.contacts()] == ["Maria"]


class TestKnownPerson:
    async def test_writing_again_moves_the_last_interaction_and_tells_nobody(
        self, company: Shop
    ) -> None:
        for minutes in (0, 10, 5):
            await company.receive(PHONE, sent_at=NOON + timedelta(minutes=minutes))
        (contact,) = await company.contacts()
        assert contact["first_interaction_at"] == "2026-01-01T12:00:00Z"
        assert contact["last_interaction_at"] == "2026-01-01T12:10:00Z"
        assert contact["version"] == 1
        assert len(await company.outbox()) == 1

    async def test_a_time_to_come_is_not_the_last_interaction(self, company: Shop) -> None:
        begun = datetime.now(UTC)
        for sent_at in (begun + timedelta(days=9000), begun):
            await company.receive(PHONE, sent_at=sent_at)
        (contact,) = await company.contacts()
        last = datetime.fromisoformat(contact["last_interaction_at"])
        assert begun - timedelta(minutes=1) <= last <= datetime.now(UTC)

    async def test_keeps_the_name_an_agent_gave(self, company: Shop) -> None:
        await company.receive(PHONE, push_name="Maria")
        (contact,) = await company.contacts()
        await company.value(PatchContact(contact_id=contact["id"], name="Dona Maria"))
        await company.receive(PHONE, push_name="Mari")
        (contact,) = await company.contacts()
        assert contact["name"] == "Dona Maria"
        (row,) = await company.rows("SELECT push_name FROM contacts")
        assert row["push_name"] == "Mari"

    async def test_keeps_the_name_an_agent_gives_at_the_very_moment(self, company: Shop) -> None:
        await company.receive(PHONE)
        (contact,) = await company.contacts()
        async with company.database.tenant(company.id) as tx:
            await tx.execute("UPDATE contacts SET name = 'Maria' WHERE id = $1", contact["id"])
            arriving = asyncio.create_task(company.receive(PHONE, push_name="Mari"))
            await eventually(company.waits_for_a_lock)
        await arriving
        (contact,) = await company.contacts()
        assert contact["name"] == "Maria"

    async def test_gets_the_push_name_while_it_has_only_a_placeholder(self, company: Shop) -> None:
        await company.receive(PHONE)
        await company.receive(PHONE, push_name="Maria")
        (contact,) = await company.contacts()
        assert (contact["name"], contact["version"]) == ("Maria", 2)
        (updated,) = await company.outbox("contact.updated")
        assert updated["payload"]["changed"] == ["name"]

    async def test_that_was_deleted_is_restored(self, company: Shop) -> None:
        await company.receive(PHONE, push_name="Maria")
        (contact,) = await company.contacts()
        await company.value(DeleteContact(contact_id=contact["id"]))
        assert await company.contacts() == []
        await company.receive(PHONE)
        (restored,) = await company.contacts()
        assert (restored["id"], restored["version"]) == (contact["id"], 3)
        (updated,) = await company.outbox("contact.updated")
        assert updated["payload"]["changed"] == ["deleted_at"]


class TestIdentities:
    async def test_a_phone_found_for_a_hidden_person_completes_the_contact(
        self, company: Shop
    ) -> None:
        await company.receive(LID)
        (hidden,) = await company.contacts()
        await company.receive(PHONE, LID)
        (contact,) = await company.contacts()
        assert contact["id"] == hidden["id"]
        assert (contact["phone"], contact["name"]) == ("+5511988880001", "+5511988880001")
        assert [i["kind"] for i in contact["identities"]] == ["phone", "lid"]
        linked, updated = (await company.outbox())[1:]
        assert linked["event_type"] == "contact.identity_linked"
        assert linked["payload"] == {
            "contact_id": contact["id"],
            "identity": {"kind": "phone", "value": "5511988880001", "proved": True},
        }
        assert updated["payload"]["changed"] == ["name", "phone"]

    async def test_a_lid_seen_beside_a_known_phone_leads_to_its_contact(
        self, company: Shop
    ) -> None:
        await company.receive(PHONE)
        await company.receive(PHONE, LID)
        await company.receive(LID)
        (contact,) = await company.contacts()
        assert len(contact["identities"]) == 2
        assert len(await company.outbox("contact.identity_linked")) == 1

    async def test_one_person_without_and_with_ninth_digit_is_one_contact(
        self, company: Shop
    ) -> None:
        await company.receive(PHONE)
        await company.receive(("phone", "551188880001"))
        (contact,) = await company.contacts()
        assert contact["phone"] == "+5511988880001"
        # The alias WhatsApp reported last is the one it answers to.
        assert [i["value"] for i in contact["identities"]] == ["551188880001"]

    async def test_first_seen_together_and_apart_in_one_batch_is_one_contact(
        self, company: Shop
    ) -> None:
        people = [(LID,), (PHONE, LID), (PHONE,)] * 5
        batch = [company.envelope(company.message(*person)) for person in people]
        async with company.database.tenant(company.id) as tx:
            events = [Event(e.event_id, e.tenant_id, e, {}, Cause("r")) for e in batch]
            await on_message_received(tx, events)
        (contact,) = await company.contacts()
        assert {identity["kind"] for identity in contact["identities"]} == {"phone", "lid"}

    async def test_a_mexican_typed_with_52_and_reported_with_521_is_one_contact(
        self, company: Shop
    ) -> None:
        typed = await company.value(CreateContact(name="Cliente", phone="+52 55 1204 3001"))
        await company.receive(("phone", "5215512043001"))
        (contact,) = await company.contacts()
        assert (contact["id"], contact["phone"]) == (typed["id"], "+525512043001")
        assert [i["value"] for i in contact["identities"]] == ["5215512043001"]
        same = PatchContact(contact_id=UUID(contact["id"]), phone=contact["phone"])
        assert (await company.value(same))["version"] == contact["version"]

    async def test_who_comes_back_without_the_phone_does_not_take_it_back(
        self, company: Shop
    ) -> None:
        """Their phone was given to somebody else while they were deleted."""
        hidden = ("lid", "182736451928374")
        await company.receive(PHONE, hidden, push_name="Maria")
        (maria,) = await company.contacts()
        await company.value(DeleteContact(contact_id=maria["id"]))
        ana = await company.value(CreateContact(name="Ana"))
        await company.value(PatchContact(contact_id=ana["id"], phone=maria["phone"]))
        await company.receive(hidden)
        phones = {c["name"]: c["phone"] for c in await company.contacts()}
        assert phones == {"Maria": None, "Ana": maria["phone"]}

    async def test_of_two_on_record_the_strongest_decides(self, company: Shop) -> None:
        await company.receive(LID, push_name="Oculta")
        await company.receive(PHONE, push_name="Maria")
        await company.receive(PHONE, LID, push_name="Maria de novo")
        maria = next(c for c in await company.contacts() if c["phone"])
        assert [identity["kind"] for identity in maria["identities"]] == ["phone", "lid"]
        rows = await company.rows("SELECT push_name FROM contacts WHERE merged_into IS NULL")
        assert [row["push_name"] for row in rows] == ["Maria de novo"]

    @pytest.mark.parametrize(
        "name", ["\u3164", "\u115f\u1160\uffa0", "\u2800", "\u200b\u200d\ufeff", "\u00ad", " "]
    )
    async def test_a_name_nobody_can_see_is_none(self, company: Shop, name: str) -> None:
        await company.receive(PHONE, push_name=name)
        (contact,) = await company.contacts()
        assert contact["name"] == contact["phone"]


class TestDelivery:
    async def test_a_redelivered_event_has_no_second_effect(self, company: Shop) -> None:
        envelope = company.envelope(company.message(PHONE))
        for _ in range(3):
            await company.outside.publish(envelope)
        await company.receive(("phone", "5511988880002"))  # in order: the three are done by now
        assert len(await company.contacts()) == 2
        assert len(await company.outbox("contact.created")) == 2

    async def test_batches_hold_several_tenants(self, company: Shop, other_company: Shop) -> None:
        await asyncio.gather(
            *(c.receive(PHONE, push_name="Maria") for c in (company, other_company) * 10)
        )
        (ours,), (theirs,) = await company.contacts(), await other_company.contacts()
        assert ours["id"] != theirs["id"]
        problem = await company.problem(GetContact(contact_id=UUID(theirs["id"])))
        assert problem.code == "contact_not_found"
