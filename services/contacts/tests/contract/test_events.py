"""What this service publishes can be read by everybody; what it subscribes to, it handles."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import orjson
import pytest
from crm_contacts.deletions.purging import purge
from crm_testing.scenes.contacts import Shop
from crm_testing.scenes.pipelines import Funnel
from crm_testing.services import eventually
from shared_events import registry, topology
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactDeleted,
    ContactIdentity,
    ContactIdentityLinked,
    ContactPurged,
    ContactRestored,
    ContactUpdated,
    CreateContact,
    DeleteContact,
    PatchContact,
    RestoreContact,
)
from shared_events.contacts.merge import (
    ContactMerged,
    ContactUnmerged,
    MergeContacts,
    UnmergeContacts,
)
from shared_events.contacts.note import CreateNote, Note, NoteAdded, NoteDeleted, NoteUpdated
from shared_events.contacts.pipeline import ContactPipelineStatusChanged, Place

NOW = "2026-01-01T12:00:00Z"
CONTACT = Contact.model_validate(
    {
        "id": UUID(int=5),
        "name": "Maria",
        "source": "inbound",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
)

NOTE = Note.model_validate(
    {
        "id": UUID(int=6),
        "contact_id": CONTACT.id,
        "content": "Ligar amanhã",
        "type": "general",
        "priority": "normal",
        "pinned": False,
        "author_type": "agent",
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
)


class TestPublished:
    async def test_every_event_can_be_read_back(
        self, company: Shop, overheard: aio_pika.abc.AbstractQueue
    ) -> None:
        funnel = await Funnel.of(company, "Novo")
        created = await company.value(CreateContact(name="Maria"))
        await company.value(funnel.move(created["id"], "Novo"))
        await company.value(PatchContact(contact_id=created["id"], phone="11 98888-0001"))
        await company.value(CreateNote(contact_id=created["id"], content="Ligar amanhã"))
        other = await company.value(CreateContact(name="Mari"))
        await company.value(MergeContacts(contact_id=created["id"], loser_id=other["id"]))
        await company.value(UnmergeContacts(contact_id=created["id"], loser_id=other["id"]))
        await company.value(DeleteContact(contact_id=created["id"]))
        await company.value(RestoreContact(contact_id=created["id"]))
        await company.value(DeleteContact(contact_id=created["id"]))
        async with company.database.system("deletions") as tx:
            await purge(tx, kept=timedelta(0))
        heard: list[Any] = []
        async with asyncio.timeout(60), overheard.iterator() as messages:
            async for message in messages:
                await message.ack()
                if message.headers["tenant_id"] == company.id and other["id"] != str(
                    orjson.loads(message.body)["aggregate_id"]
                ):
                    heard.append(message)
                if len(heard) == 15:
                    break
        envelopes = []
        for message in heard:
            headers = message.headers
            envelope = registry.parse_any(
                str(headers["event_type"]), str(headers["event_version"]), message.body
            )
            assert message.routing_key == envelope.event_type
            assert message.message_id == str(envelope.event_id)
            assert envelope.aggregate_id == UUID(created["id"])
            envelopes.append(envelope)
        assert [type(e.data) for e in envelopes] == [
            ContactCreated,
            ContactUpdated,
            ContactPipelineStatusChanged,
            ContactIdentityLinked,
            ContactUpdated,
            NoteAdded,
            ContactMerged,
            ContactUnmerged,
            ContactUpdated,
            ContactPipelineStatusChanged,
            ContactDeleted,
            ContactUpdated,
            ContactRestored,
            ContactDeleted,
            ContactPurged,
        ]
        sequence = [e.aggregate_seq for e in envelopes]
        assert sequence == sorted(set(sequence))


class TestConsumed:
    @pytest.mark.parametrize(
        "data",
        [
            ContactCreated(contact=CONTACT),
            ContactUpdated(contact=CONTACT, changed=["name"]),
            ContactDeleted(contact_id=CONTACT.id),
            ContactRestored(contact=CONTACT),
            ContactIdentityLinked(
                contact_id=CONTACT.id, identity=ContactIdentity(kind="lid", value="123")
            ),
            ContactMerged(winner=CONTACT, loser=CONTACT, identities=[]),
            ContactUnmerged(winner=CONTACT, loser=CONTACT, identities=[], merged_at=NOW),
            NoteAdded(note=NOTE),
            NoteUpdated(note=NOTE, changed=["content"]),
            NoteDeleted(note_id=NOTE.id, contact_id=CONTACT.id),
            ContactPipelineStatusChanged(contact=CONTACT, before=Place(pipeline_id=UUID(int=7))),
        ],
        ids=lambda data: data.event_type,
    )
    async def test_contact_events_reach_the_timeline(self, company: Shop, data: Any) -> None:
        event_id = await company.publish(data)
        (entry,) = await eventually(
            lambda: company.rows("SELECT id, type FROM contact_events WHERE id = $1", event_id)
        )
        assert entry["type"] == data.event_type

    async def test_messages_make_contacts(self, company: Shop) -> None:
        await company.receive(("group", f"{uuid4().int % 10**18}"))
        assert len(await company.contacts()) == 1

    async def test_an_unreadable_message_becomes_a_dead_letter_and_blocks_nobody(
        self, company: Shop, settings: Any
    ) -> None:
        await company.outside.publisher.publish(
            topology.DOMAIN_EVENTS.name,
            "channel.message_received",
            b'{"event_id": 1}',
            message_id=str(uuid4()),
            headers={"event_type": "channel.message_received", "event_version": "1"},
        )
        await company.receive(("phone", "5511988880001"))
        connection = await aio_pika.connect(settings.amqp_url)
        async with connection:
            channel = await connection.channel()
            dead = await channel.get_queue(topology.CONTACTS_CHANNEL_EVENTS.dead_letters.name)
            letter = await eventually(lambda: dead.get(fail=False))
            await letter.ack()
        assert letter.headers["x-dead-reason"] == "invalid_event"
