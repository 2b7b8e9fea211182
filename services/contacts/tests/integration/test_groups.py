"""What companies write into groups on their phones: it shows nobody, and makes nobody a contact."""

from typing import Any
from uuid import uuid4

from crm_contacts.contacts.consumers import on_history_read, on_message_received
from crm_testing.scenes.contacts import Shop, apply, delivered
from shared_events.channels.history import ChannelHistoryRead
from shared_events.channels.traffic import ChannelMessageReceived
from shared_events.contacts.contact import DeleteContact, UpsertContact
from shared_events.envelope import EventData

GROUP = "120363000000000001"
ITSELF = ("group", GROUP)
IN_GROUP: dict[str, Any] = {"chat_id": f"{GROUP}@g.us", "is_group": True}
OURS: dict[str, Any] = {**IN_GROUP, "direction": "outbound", "origin": "phone"}
PERSON = ("phone", "5511988880001")


def history(*messages: ChannelMessageReceived, **more: Any) -> ChannelHistoryRead:
    return ChannelHistoryRead(import_id=uuid4(), messages=list(messages), **more)


async def tell(handler: Any, data: EventData, *companies: Shop) -> None:
    """One batch tells all of them the same."""
    events = [delivered(company.id, data) for company in companies]
    await apply(companies[0].database, handler, events)


async def test_make_no_contact(company: Shop, other_company: Shop) -> None:
    said = Shop.message(ITSELF, **OURS)
    pair = company, other_company
    await tell(on_message_received, said, *pair)
    await tell(on_history_read, history(said), *pair)
    await tell(on_history_read, history(said, recovered=True, notify=True), *pair)
    await tell(on_message_received, Shop.message(PERSON, push_name="Ana", **IN_GROUP), *pair)
    for each in pair:
        assert [contact["name"] for contact in await each.contacts()] == ["Ana"]
        assert len(await each.told("contact.created")) == 1


async def test_do_not_bring_a_group_back_that_was_deleted(company: Shop) -> None:
    asked = UpsertContact(identity_kind="group", value=GROUP, name="Turma")
    group = await company.value(asked)
    await tell(on_message_received, Shop.message(ITSELF, **OURS), company)
    (known,) = await company.contacts()
    assert (known["id"], known["name"]) == (group["id"], "Turma")
    await company.value(DeleteContact(contact_id=group["id"]))
    await tell(on_message_received, Shop.message(ITSELF, **OURS), company)
    assert await company.contacts() == []
