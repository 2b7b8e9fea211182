"""What is read from the history of chats makes contacts, and changes little of those that are."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from crm_contacts.contacts.consumers import on_history_read, on_message_received
from crm_testing.scenes.contacts import Shop, apply, delivered
from crm_testing.services import eventually
from service_kit import forgotten
from shared_events import topology
from shared_events.channels.history import ChannelHistoryRead
from shared_events.contacts.contact import DeleteContact
from shared_events.identity import Forgotten, WhatsAppId

PERSON = ("phone", "5511988880001")
DAY = datetime(2025, 3, 14, 12, tzinfo=UTC)


def page(*days: int, notify: bool = False, **said: Any) -> ChannelHistoryRead:
    """A page of a person's chat, newest first; so many days after the first."""
    messages = [Shop.message(PERSON, sent_at=DAY + timedelta(n), **said) for n in sorted(days)]
    return ChannelHistoryRead(import_id=uuid4(), notify=notify, messages=messages[::-1])


async def read(company: Shop, told: ChannelHistoryRead) -> None:
    await apply(company.database, on_history_read, [delivered(company.id, told)])


class TestHistory:
    async def test_makes_contacts_quietly_unless_somebody_asks(
        self, company: Shop, other_company: Shop
    ) -> None:
        event_id = await company.publish(page(0, 9, push_name="Ana"))
        await eventually(lambda: company.applied(event_id, topology.CONTACTS_HISTORY.name))
        await read(other_company, page(3, notify=True, push_name="Bia"))
        for each, name, quiet in ((company, "Ana", True), (other_company, "Bia", False)):
            (created,) = await each.told("contact.created")
            assert (created["contact"]["name"], created["quiet"]) == (name, quiet)
        (contact,) = await company.contacts()
        assert datetime.fromisoformat(contact["first_interaction_at"]) == DAY
        assert datetime.fromisoformat(contact["last_interaction_at"]) == DAY + timedelta(9)

    async def test_brings_nobody_back_and_teaches_no_old_name(self, company: Shop) -> None:
        live = Shop.message(PERSON, sent_at=DAY + timedelta(5), push_name="Ana Lima")
        await apply(company.database, on_message_received, [delivered(company.id, live)])
        await read(company, page(0, 7, push_name="Aninha"))
        (contact,) = await company.contacts()
        assert contact["name"] == "Ana Lima"
        (row,) = await company.rows("SELECT push_name, first_interaction_at FROM contacts")
        assert [*row.values()] == ["Ana Lima", DAY]
        await company.value(DeleteContact(contact_id=contact["id"]))
        await read(company, page(1))
        assert await company.contacts() == []

    async def test_what_was_missed_is_as_if_it_had_come_live(self, company: Shop) -> None:
        missed = page(0, notify=True, push_name="Ana").model_copy(update={"recovered": True})
        await read(company, missed)
        (created,) = await company.told("contact.created")
        assert (created["contact"]["name"], created["quiet"]) == ("Ana", False)
        renamed = page(5, notify=True, push_name="Aninha").model_copy(update={"recovered": True})
        await read(company, renamed)
        (row,) = await company.rows("SELECT push_name FROM contacts")
        assert row["push_name"] == "Aninha"  # history would teach no name

    async def test_of_an_erased_person_makes_none(self, company: Shop) -> None:
        identity = (company.id, WhatsAppId("phone", PERSON[1]).key)
        async with company.database.tenant(company.id) as tx:
            await forgotten.add(tx, [(identity, Forgotten(uuid4(), DAY + timedelta(2)))])
        await read(company, page(0, 1))
        assert await company.contacts() == []
        await read(company, page(1, 3))
        assert len(await company.contacts()) == 1

    async def test_of_an_advertisement_makes_no_tracking(self, company: Shop) -> None:
        advertised = {"referral": {"source_id": "1", "source_type": "ad", "ctwa_clid": "x"}}
        await read(company, page(0, details=advertised))
        assert await company.rows("SELECT * FROM trackings") == []
