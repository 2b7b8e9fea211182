"""The timeline: written from the events themselves, after their trip through the broker."""

import dataclasses
from typing import Any
from uuid import UUID, uuid4

from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually
from shared_events import examples, topology
from shared_events.contacts.contact import (
    ContactDeleted,
    CreateContact,
    DeleteContact,
    PatchContact,
)
from shared_events.contacts.timeline import ListTimeline
from shared_events.contacts.tracking import CreateTracking
from shared_events.messaging.call import CallReceived
from shared_events.messaging.label import LabelAdded
from shared_events.messaging.session import SessionStarted

ENTRIES = "SELECT * FROM contact_events WHERE contact_id = $1 ORDER BY occurred_at, created_at"


class TestTimeline:
    async def test_has_one_entry_per_event_of_the_contact(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria"))
        contact_id = UUID(created["id"])
        await company.value(
            PatchContact(contact_id=contact_id, name="Joana", phone="11 98888-0001")
        )
        await company.value(DeleteContact(contact_id=contact_id))

        async def complete() -> list[dict[str, Any]] | None:
            entries: list[dict[str, Any]] = await company.rows(ENTRIES, contact_id)
            return entries if len(entries) == 4 else None

        entries = {entry["type"]: entry for entry in await eventually(complete)}
        assert set(entries) == {
            "contact.created",
            "contact.identity_linked",
            "contact.updated",
            "contact.deleted",
        }
        assert entries["contact.created"]["payload"] == {
            "name": "Maria",
            "phone": None,
            "source": "api",
        }
        updated = entries["contact.updated"]
        assert updated["title"] == "Contact changed: name, phone"
        assert updated["payload"]["new"] == {"name": "Joana", "phone": "+5511988880001"}
        assert {entry["category"] for entry in entries.values()} == {"general"}

    async def test_takes_a_redelivered_event_once(self, company: Shop) -> None:
        contact_id = uuid4()
        envelope = company.envelope(ContactDeleted(contact_id=contact_id))
        envelope = envelope.model_copy(update={"aggregate_id": contact_id})
        for _ in range(3):
            await company.outside.publish(envelope)
        last = await company.publish(ContactDeleted(contact_id=contact_id))
        await eventually(lambda: company.applied(last, topology.CONTACT_ENRICHMENT.name))
        assert [e["id"] for e in await company.rows(ENTRIES, contact_id)] == [envelope.event_id]


class TestListTimeline:
    async def test_shows_what_others_tell_of_the_contact_too_the_latest_first(
        self, company: Shop, other_company: Shop
    ) -> None:
        contact_id = UUID((await company.value(CreateContact(name="Maria")))["id"])
        await company.value(CreateTracking(contact_id=contact_id, source="meta_ads"))
        started = SessionStarted.model_validate(examples.load("session.started")["data"])
        session = started.session.model_copy(update={"contact_id": contact_id})
        for _ in range(2):
            await company.publish(started.model_copy(update={"session": session}))
        rang = CallReceived.model_validate(examples.load("call.received")["data"])
        call = rang.call.model_copy(update={"contact_id": contact_id})
        await company.publish(rang.model_copy(update={"call": call}))
        added = LabelAdded.model_validate(examples.load("label.added")["data"])
        assert added.contact is not None
        whose = added.contact.model_copy(update={"id": contact_id})
        await company.publish(added.model_copy(update={"contact": whose}))
        of_a_group = await company.publish(added.model_copy(update={"contact": None}))
        await eventually(lambda: company.applied(of_a_group, topology.CONTACTS_TIMELINE.name))

        async def complete() -> list[dict[str, Any]] | None:
            page = await company.value(ListTimeline(contact_id=contact_id))
            return page["data"] if len(page["data"]) == 6 else None

        entries = await eventually(complete)
        moments = [entry["occurred_at"] for entry in entries]
        assert moments == sorted(moments, reverse=True)
        assert sorted(entry["category"] for entry in entries) == [
            *("call", "general", "label", "session", "session", "tracking")
        ]
        shown = next(entry for entry in entries if entry["category"] == "session")
        assert shown["payload"]["id"] == str(session.id)
        calls = await company.value(ListTimeline(contact_id=contact_id, category="call"))
        (shown,) = calls["data"]
        assert (shown["type"], shown["title"]) == ("call.received", "A customer calls")
        assert shown["payload"]["external_id"] == call.external_id
        labels = await company.value(ListTimeline(contact_id=contact_id, category="label"))
        (shown,) = labels["data"]
        assert (shown["type"], shown["title"]) == ("label.added", "A label was put on a chat")
        assert shown["payload"]["label"] == added.label.model_dump()
        assert shown["payload"]["channel_id"] == str(added.channel.id)
        (kept,) = await company.rows("SELECT count(*) AS n FROM contact_events")
        assert kept["n"] == len(entries)

        page = await company.value(ListTimeline(contact_id=contact_id, category="session", limit=1))
        assert page["has_more"]
        rest = await company.value(
            ListTimeline(contact_id=contact_id, category="session", cursor=page["next_cursor"])
        )
        assert {page["data"][0]["id"], rest["data"][0]["id"]} == {
            entry["id"] for entry in entries if entry["category"] == "session"
        }
        asked = ListTimeline(contact_id=contact_id)
        # Whose sessions they are is not known here: who sees only their own sees none.
        restricted = dataclasses.replace(company, own_only=True)
        seen = (await restricted.value(asked))["data"]
        assert [e["id"] for e in seen] == [e["id"] for e in entries if e["category"] != "session"]
        assert await other_company.refusal(asked) == ("not_found", "contact_not_found")
