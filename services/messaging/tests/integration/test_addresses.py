"""Where an answer goes: never to a number that was taken off the contact."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.service import send
from crm_messaging.replicas import consumers
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.errors import ConflictError, InvalidError, NotFoundError
from shared_events import examples
from shared_events.channels.channel import ChannelCreated, ChannelDeleted
from shared_events.contacts.contact import (
    Contact,
    ContactCreated,
    ContactDeleted,
    ContactIdentity,
    ContactIdentityLinked,
    ContactUpdated,
)
from shared_events.messaging.message import SendMessage

NEW_PHONE = "5521977770002"
GROUP: dict[str, Any] = {"chat_id": "120363041234567890@g.us", "is_group": True}


def ana(contact_id: UUID, phone: str | None, phones: Sequence[str]) -> Contact:
    """A contact whose current phone is this, and who was known by all of those."""
    example = examples.load("contact.created")["data"]["contact"]
    identities = [ContactIdentity(kind="phone", value=value) for value in phones]
    return Contact.model_validate(
        {
            **example,
            "id": contact_id,
            "phone": phone and f"+{phone}",
            "identities": identities,
        }
    )


async def write_to(scene: Scene, contact_id: UUID, **changes: object) -> str:
    """Queue a message to the contact; returns where it goes."""
    values = {"contact_id": contact_id, "channel_id": scene.channel.id, "content": "Oi!"}
    async with scene.database.tenant(scene.tenant_id) as tx:
        await send(tx, SendMessage.model_validate({**values, **changes}), None)
    to: str = (await scene.outbox())[-1]["payload"]["to"]
    return to


async def ana_of(scene: Scene, **changes: Any) -> UUID:
    """Ana wrote from her first number."""
    await scene.apply(on_message_received, scene.received(**changes))
    contact_id: UUID = (await scene.messages())[0]["contact_id"]
    return contact_id


async def renumber(scene: Scene, contact_id: UUID, phone: str | None, seq: int) -> None:
    contact = ana(contact_id, phone, [PHONE, NEW_PHONE] if phone else [PHONE])
    await scene.apply(
        consumers.on_contact_changed, ContactUpdated(contact=contact, changed=["phone"]), seq=seq
    )


class TestNumberThatWasEdited:
    async def test_is_written_to_and_the_old_one_never_again(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await renumber(scene, contact_id, NEW_PHONE, 2)
        assert await write_to(scene, contact_id) == f"{NEW_PHONE}@c.us"

    async def test_taken_off_without_another_leaves_nowhere_to_write(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await renumber(scene, contact_id, None, 2)
        with pytest.raises(ConflictError, match="no WhatsApp identity"):
            await write_to(scene, contact_id)

    async def test_taken_off_leaves_the_hidden_id(self, scene: Scene) -> None:
        contact_id = await ana_of(scene, lid="99")
        await renumber(scene, contact_id, None, 2)
        assert await write_to(scene, contact_id) == "99@lid"

    async def test_counts_again_once_a_message_shows_it(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await renumber(scene, contact_id, NEW_PHONE, 2)
        await scene.apply(on_message_received, scene.received("ainda uso este"))
        assert await write_to(scene, contact_id) == f"{PHONE}@c.us"

    async def test_given_back_is_written_to(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await renumber(scene, contact_id, NEW_PHONE, 2)
        await renumber(scene, contact_id, PHONE, 3)
        assert await write_to(scene, contact_id) == f"{PHONE}@c.us"

    async def test_an_older_event_changes_nothing(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await renumber(scene, contact_id, NEW_PHONE, 3)
        await renumber(scene, contact_id, PHONE, 2)
        assert await write_to(scene, contact_id) == f"{NEW_PHONE}@c.us"

    async def test_of_one_contact_is_nothing_to_another(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await scene.apply(on_message_received, scene.received(phone="5511988880009"))
        joao = (await scene.messages())[-1]["contact_id"]
        await renumber(scene, contact_id, NEW_PHONE, 2)
        assert await write_to(scene, joao) == "5511988880009@c.us"


class TestChat:
    async def test_is_the_one_last_written_in(self, scene: Scene) -> None:
        await scene.apply(
            on_message_received,
            scene.received("do telefone", lid="99"),
            scene.received("do id oculto", lid="99", chat_id="99@lid"),
        )
        contact_id = (await scene.messages())[0]["contact_id"]
        assert await write_to(scene, contact_id) == "99@lid"

    async def test_follows_an_identity_that_moves_to_another_contact(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        other = uuid4()
        created = ContactCreated(contact=ana(other, None, []))
        await scene.apply(consumers.on_contact_changed, created)
        linked = ContactIdentityLinked(
            contact_id=other, identity=ContactIdentity(kind="phone", value=PHONE)
        )
        await scene.apply(consumers.on_identity_linked, linked)
        assert await write_to(scene, other) == f"{PHONE}@c.us"
        with pytest.raises(ConflictError):
            await write_to(scene, contact_id)


class TestTypedNumber:
    async def test_is_looked_up_until_whatsapp_shows_it(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(phone="5511988880009"))
        contact_id = uuid4()
        typed = [ContactIdentity(kind="phone", value=PHONE, proved=False)]
        contact = ana(contact_id, PHONE, []).model_copy(update={"identities": typed})
        await scene.apply(consumers.on_contact_changed, ContactCreated(contact=contact))
        for _ in range(2):  # the second into the session that the first one opened
            assert await write_to(scene, contact_id) == f"{PHONE}@c.us"
            assert (await scene.outbox())[-1]["payload"]["proved"] is False
        without_nine = "551188880001"
        await scene.apply(on_message_received, scene.received(phone=without_nine))
        assert await write_to(scene, contact_id) == f"{without_nine}@c.us"
        assert (await scene.outbox())[-1]["payload"]["proved"] is True


class TestQuote:
    async def test_shows_nobody_what_another_customer_wrote(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await scene.apply(
            on_message_received, scene.received("meu CPF é...", phone="5511988880009")
        )
        stranger = (await scene.messages())[-1]
        with pytest.raises(InvalidError):
            await write_to(scene, contact_id, reply_to_id=stranger["id"])

    async def test_stays_on_its_channel(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        elsewhere = scene.channel.model_copy(update={"id": uuid4()})
        await scene.apply(on_message_received, scene.received("lá", channel=elsewhere))
        there = (await scene.messages())[-1]
        assert there["contact_id"] == contact_id
        with pytest.raises(InvalidError):
            await write_to(scene, contact_id, reply_to_id=there["id"])

    async def test_stays_out_of_groups(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await scene.apply(on_message_received, scene.received("no grupo", **GROUP))
        said = (await scene.messages())[-1]
        assert said["contact_id"] == contact_id
        with pytest.raises(InvalidError):
            await write_to(scene, contact_id, reply_to_id=said["id"])


class TestGone:
    async def test_contact_is_not_written_to(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        await scene.apply(consumers.on_contact_deleted, ContactDeleted(contact_id=contact_id))
        with pytest.raises(NotFoundError):
            await write_to(scene, contact_id)

    async def test_channel_is_not_sent_through(self, scene: Scene) -> None:
        contact_id = await ana_of(scene)
        created = ChannelCreated.model_validate(examples.load("channel.created")["data"])
        await scene.apply(consumers.on_channel_changed, created)
        await scene.apply(
            consumers.on_channel_deleted, ChannelDeleted(channel_id=created.channel.id), seq=2
        )
        with pytest.raises(NotFoundError):
            await write_to(scene, contact_id, channel_id=created.channel.id)
