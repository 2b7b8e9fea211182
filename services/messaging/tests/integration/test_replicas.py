import asyncio
from uuid import UUID, uuid4

from crm_messaging.consent.consumers import on_opted_out
from crm_messaging.erasures.purging import on_contact_purged
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.replicas import consumers
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.database import Database
from shared_events import examples
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactDeleted,
    ContactIdentity,
    ContactIdentityLinked,
    ContactIdentityReleased,
    ContactPurged,
    ContactUpdated,
)
from shared_events.contacts.opt_out import ContactOptedOut, OptOut
from shared_events.gateway.agent import AgentCreated, AgentUpdated
from shared_events.identity import WhatsAppId, contact_id, released


def mistyped(phone: str) -> ContactIdentity:
    return ContactIdentity(kind="phone", value=phone, proved=False)


def contact(owner: UUID, name: str, *identities: ContactIdentity) -> Contact:
    example = examples.load("contact.created")["data"]["contact"]
    return Contact.model_validate(
        {**example, "id": owner, "name": name, "identities": list(identities)}
    )


class TestContacts:
    async def test_the_newest_event_wins(self, scene: Scene) -> None:
        owner = uuid4()
        newer = ContactUpdated(contact=contact(owner, "Ana Souza"), changed=["name"])
        older = ContactCreated(contact=contact(owner, "Ana"))
        await scene.apply(consumers.on_contact_changed, newer, seq=9)
        await scene.apply(consumers.on_contact_changed, older, seq=3)
        (row,) = await scene.rows("SELECT * FROM contact_refs")
        assert row["name"] == "Ana Souza"

    async def test_the_name_an_agent_gave_is_shown_with_messages(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        owner = contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        renamed = ContactUpdated(contact=contact(owner, "Dona Ana"), changed=["name"])
        await scene.apply(consumers.on_contact_changed, renamed)
        await scene.apply(on_message_received, scene.received())
        assert (await scene.outbox())[-1]["payload"]["contact"]["name"] == "Dona Ana"

    async def test_deleted_contact_comes_back_with_an_update(self, scene: Scene) -> None:
        owner = uuid4()
        await scene.apply(consumers.on_contact_deleted, ContactDeleted(contact_id=owner), seq=5)
        stale = ContactCreated(contact=contact(owner, "Ana"))
        await scene.apply(consumers.on_contact_changed, stale, seq=4)
        (row,) = await scene.rows("SELECT * FROM contact_refs")
        assert row["deleted"]
        back = ContactUpdated(contact=contact(owner, "Ana"), changed=["deleted_at"])
        await scene.apply(consumers.on_contact_changed, back, seq=6)
        (row,) = await scene.rows("SELECT * FROM contact_refs")
        assert not row["deleted"]

    async def test_messages_of_a_linked_identity_join_its_contact(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        owner = contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        linked = ContactIdentityLinked(
            contact_id=owner, identity=ContactIdentity(kind="lid", value="123456789")
        )
        await scene.apply(consumers.on_identity_linked, linked)
        await scene.apply(on_message_received, scene.received(phone=None, lid="123456789"))
        assert {row["contact_id"] for row in await scene.messages()} == {owner}


class TestPurged:
    async def test_is_a_tombstone_with_messages_until_they_write_again(
        self, scene: Scene, database: Database
    ) -> None:
        other = Scene(database)
        for company in (scene, other):
            await company.apply(on_message_received, company.received("é" * 100, lid="123456789"))
        owner = contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        loser = uuid4()
        named = contact(owner, "é" * 255, ContactIdentity(kind="phone", value=PHONE))
        await scene.apply(consumers.on_contact_changed, ContactCreated(contact=named), seq=3)
        optout = examples.load("contact.opted_out")["data"]["opt_out"]
        out = OptOut.model_validate({**optout, "contact_id": owner, "channel_id": "all"})
        await scene.apply(on_opted_out, ContactOptedOut(opt_out=out), seq=4)
        gone = ContactPurged(contact_id=owner, merged=[loser])
        await scene.apply(on_contact_purged, gone, seq=2)  # what is older than what is known
        ((known,)) = await scene.rows("SELECT * FROM contact_refs WHERE contact_id = $1", owner)
        assert (known["name"], known["deleted"]) == ("é" * 255, False)

        await scene.apply(on_contact_purged, gone, seq=5)
        refs = await scene.rows("SELECT * FROM contact_refs")
        assert {row["contact_id"] for row in refs} == {owner, loser}
        left = {(row["name"], row["phone"], row["search_text"], row["deleted"]) for row in refs}
        assert left == {("", None, "", True)}
        assert await scene.rows("SELECT 1 FROM identity_refs") == []
        assert await scene.rows("SELECT 1 FROM opt_out_refs") == []
        assert [row["content"] for row in await scene.messages()] == ["é" * 100]
        assert len(await other.rows("SELECT 1 FROM identity_refs")) == 2
        assert (await other.rows("SELECT deleted FROM contact_refs"))[0]["deleted"] is False

        hers = ContactIdentity(kind="phone", value=PHONE)
        back = ContactCreated(contact=contact(owner, "Ana", hers))
        await scene.apply(consumers.on_contact_changed, back, seq=6)
        await scene.apply(on_message_received, scene.received())
        assert {row["contact_id"] for row in await scene.messages()} == {owner}
        assert (await scene.outbox())[-1]["payload"]["contact"]["name"] == "Ana"


class TestTypedNumber:
    """What an agent typed may be mistyped; messages go to whom contacts gives them as well."""

    async def test_that_was_corrected_is_its_owners(self, scene: Scene) -> None:
        phone = WhatsAppId("phone", PHONE)
        maria, typed = contact_id(scene.tenant_id, phone), mistyped(PHONE)
        created = ContactCreated(contact=contact(maria, "Maria", typed))
        await scene.apply(consumers.on_contact_changed, created, seq=1)
        stranger = released(maria, phone)
        gone = ContactIdentityReleased(contact_id=maria, identity=typed, next_contact_id=stranger)
        await scene.apply(consumers.on_identity_released, gone, seq=2)
        await scene.apply(on_message_received, scene.received())
        (message,) = await scene.messages()
        (session,) = await scene.sessions()
        assert message["contact_id"] == session["contact_id"] == stranger
        names = {r["contact_id"]: r["name"] for r in await scene.rows("SELECT * FROM contact_refs")}
        assert names == {maria: "Maria", stranger: "Ana"}

    async def test_yields_to_whom_a_message_proves_to_be_another(self, scene: Scene) -> None:
        created = ContactCreated(contact=contact(uuid4(), "Maria", mistyped(PHONE)))
        await scene.apply(consumers.on_contact_changed, created, seq=1)
        await scene.apply(on_message_received, scene.received(phone=None, lid="123456789"))
        await scene.apply(on_message_received, scene.received(lid="123456789"))
        await scene.apply(on_message_received, scene.received())
        joao = contact_id(scene.tenant_id, WhatsAppId("lid", "123456789"))
        assert {row["contact_id"] for row in await scene.messages()} == {joao}

    async def test_is_proved_by_its_first_message(self, scene: Scene) -> None:
        maria = uuid4()
        created = ContactCreated(contact=contact(maria, "Maria", mistyped(PHONE)))
        await scene.apply(consumers.on_contact_changed, created, seq=1)
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_message_received, scene.received(phone=None, lid="123456789"))
        await scene.apply(on_message_received, scene.received(lid="123456789"))
        (first, _, last) = await scene.messages()
        assert first["contact_id"] == maria
        # Strongest first among those that are proved: the number, not the hidden id.
        assert last["contact_id"] == maria


class TestMeetingAtTheFirstMessage:
    async def test_messages_and_contact_events_never_wait_in_a_circle(self, scene: Scene) -> None:
        for n in range(10):
            phones = [f"55119{n:02}{person:06}" for person in range(30)]
            created = [
                ContactCreated(
                    contact=contact(
                        contact_id(scene.tenant_id, WhatsAppId("phone", phone)),
                        "Ana",
                        ContactIdentity(kind="phone", value=phone),
                    )
                )
                for phone in reversed(phones)
            ]
            await asyncio.gather(
                scene.apply(on_message_received, *(scene.received(phone=p) for p in phones)),
                scene.apply(consumers.on_contact_changed, *created),
            )
        assert len(await scene.rows("SELECT 1 FROM contact_refs WHERE seq > 0")) == 300


class TestAgents:
    async def test_follow_their_newest_event(self, scene: Scene) -> None:
        agent = AgentCreated.model_validate(examples.load("agent.created")["data"]).agent
        gone = agent.model_copy(update={"active": False})
        await scene.apply(consumers.on_agent_changed, AgentCreated(agent=agent), seq=1)
        await scene.apply(consumers.on_agent_changed, AgentUpdated(agent=gone), seq=2)
        await scene.apply(consumers.on_agent_changed, AgentUpdated(agent=agent), seq=1)
        (row,) = await scene.rows("SELECT * FROM agent_refs")
        assert not row["active"]
