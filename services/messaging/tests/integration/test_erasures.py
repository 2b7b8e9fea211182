"""Messaging forgets a person: what was said is emptied, and who writes again is somebody else."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from crm_messaging.app import create_service
from crm_messaging.calls.consumers import on_call_reported
from crm_messaging.labels.consumers import on_chat_labelled
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import (
    on_message_edited,
    on_reaction_reported,
    on_vote_reported,
)
from crm_messaging.messages.consumers import on_status_reported
from crm_messaging.replicas.consumers import on_contact_changed
from crm_messaging.subject_exports.gathering import Gathering
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.schemas import MigratedDatabase
from crm_testing.services import Outside, eventually, running
from crm_testing.traces import erasure_of, traces_of, until_erased
from service_kit import forgotten
from shared_events import topology
from shared_events.channels.label import ChannelChatLabelled, Label
from shared_events.channels.traffic import (
    ChannelCallReported,
    ChannelMessageEdited,
    ChannelReactionReported,
    ChannelVoteReported,
    Media,
    Person,
)
from shared_events.contacts.contact import Contact, ContactCreated, Identity
from shared_events.contacts.subject_export import SubjectExportStarted
from shared_events.identity import Forgotten, WhatsAppId, contact_id, released
from shared_events.services import MESSAGING

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARK, LID = "Zwölfkäse", "123456789012345"
SPELLINGS = [PHONE, "551188880001", LID]
HER = (WhatsAppId("phone", PHONE), WhatsAppId("lid", LID))
PERSON = Person(identities=[Identity(kind=i.kind, value=i.value) for i in HER], push_name=MARK)

GROUP: dict[str, Any] = {"chat_id": "120363000000000001@g.us", "is_group": True}


async def person(scene: Scene) -> None:
    """Somebody of whom there is something in every table, all of it marked."""
    said = scene.received(f"{MARK} 1", lid=LID, external_id="A1", details={"wo": MARK})
    media = Media(
        url=f"https://example.com/{MARK}", mime_type="image/png", filename=MARK, state="available"
    )
    her = contact_id(scene.tenant_id, HER[0])
    now = datetime.now(UTC)
    shown = Contact(
        id=her,
        name=MARK,
        phone=f"+{PHONE}",
        profile_picture_url=f"https://example.com/{MARK}.png",
        identities=PERSON.identities,
        source="inbound",
        version=1,
        created_at=now,
        updated_at=now,
    )
    told: dict[str, Any] = {"channel_id": scene.channel.id, "from_us": False, "person": PERSON}
    await scene.apply(
        on_message_received,
        said,
        scene.received(MARK, lid=LID, external_id="A2", content_type="image", media=media),
        scene.received(MARK, lid=LID, **GROUP),
        scene.received("von jemandem", phone="5511977770002", external_id="B1"),
        scene.received(
            "was?", phone="5511977770002", external_id="B2", content_type="poll", **GROUP
        ),
        scene.received(MARK, lid=LID, external_id="A5", content_type="poll"),
    )
    await scene.apply(on_contact_changed, ContactCreated(contact=shown))
    await scene.apply(
        on_message_edited,
        *(
            ChannelMessageEdited(
                external_id=external_id, edit_id="E1", content=f"{MARK} 2", edited_at=now, **told
            )
            for external_id in ("A1", "unknown")
        ),
    )
    await scene.apply(
        on_reaction_reported,
        *(
            ChannelReactionReported(external_id=external_id, emoji="👍", reacted_at=now, **told)
            for external_id in ("A2", "unknown")
        ),
    )
    await scene.apply(
        on_vote_reported,
        *(
            ChannelVoteReported(external_id=external_id, options=[MARK], voted_at=now, **told)
            for external_id in ("A5", "B2", "unknown")
        ),
    )
    called = {"channel": scene.channel, "chat_id": f"{PHONE}@c.us", "call_id": MARK}
    call = ChannelCallReported.model_validate(
        {**called, "status": "received", "person": PERSON, "happened_at": now}
    )
    await scene.apply(on_call_reported, call)
    label = Label(id="6", name="VIP")
    on_chat = {"channel": scene.channel, "chat_id": f"{PHONE}@c.us", "person": PERSON}
    put_on = {**on_chat, "label": label, "labelled": True, "told_at": now}
    await scene.apply(on_chat_labelled, ChannelChatLabelled.model_validate(put_on))
    await scene.apply(on_status_reported, scene.receipt("C1", "read", participant=f"{PHONE}@c.us"))


async def beside(scene: Scene, merged: UUID) -> None:
    """What waits for its time, for her and for whom she was too, and how far groups' messages got.

    `merged` is a contact that was merged into hers, and wrote as itself.
    """
    her = contact_id(scene.tenant_id, HER[0])
    ours = (await scene.rows("SELECT id FROM messages WHERE external_id = 'B1'"))[0]["id"]
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO contact_refs (tenant_id, contact_id, name, deleted, merged_into)"
            " VALUES ($1, $2, $3, true, $4)",
            scene.tenant_id,
            merged,
            MARK,
            her,
        )
        await tx.execute("UPDATE messages SET contact_id = $1 WHERE external_id = 'A2'", merged)
        for one in (her, merged):
            await tx.execute(
                "INSERT INTO scheduled_messages (id, tenant_id, contact_id, channel_id,"
                " content_type, content, status, send_at) VALUES ($1, $2, $3, $4, 'text', $5,"
                " 'scheduled', now() + interval '1 day')",
                uuid4(),
                scene.tenant_id,
                one,
                scene.channel.id,
                MARK,
            )
        for identity in HER:
            await tx.execute(
                "INSERT INTO message_receipts (message_id, participant, tenant_id)"
                " VALUES ($1, $2, $3)",
                ours,
                identity.chat_id,
                scene.tenant_id,
            )


async def gathered(scene: Scene, contact: UUID) -> int:
    """Her subject export, which a service at work gathers; how many pieces it has."""
    expires_at = datetime.now(UTC) + timedelta(days=1)
    said = SubjectExportStarted(export_id=uuid4(), contact_id=contact, expires_at=expires_at)
    await scene.apply(Gathering(scene.database).on_started, said)

    async def complete() -> bool:
        return not await scene.rows("SELECT 1 FROM subject_exports WHERE file IS NOT NULL")

    await eventually(complete)
    return len(await scene.rows("SELECT 1 FROM subject_export_parts"))


class TestErasure:
    async def test_empties_what_was_said_and_whoever_comes_after_is_another(
        self, own_database: MigratedDatabase, scene: Scene, make_settings: Any
    ) -> None:
        other = Scene(scene.database)
        await person(scene)
        await person(other)
        merged = uuid4()
        await beside(scene, merged)
        her = contact_id(scene.tenant_id, HER[0])
        assert {"messages.content", "message_versions.content", "contact_refs.name"} <= (
            await traces_of(own_database, scene.tenant_id, [MARK])
        )
        before = await scene.messages()
        old = scene.envelope(scene.received(f"{MARK} unterwegs", lid=LID, external_id="A3"))
        envelope = erasure_of(MESSAGING, scene.tenant_id, her, *HER)
        settings = make_settings(erasure_settle_seconds=0)
        async with running(create_service(settings)), Outside(settings.amqp_url) as outside:
            await outside.publish_body(
                PHONE.encode(), event_type="contact.created", tenant_id=scene.tenant_id
            )
            await outside.publish_body(
                PHONE.encode(), event_type="contact.created", tenant_id=other.tenant_id
            )
            exported = await gathered(scene, her)
            await outside.buried(topology.MESSAGING_REPLICAS.dead_letters, 2)
            for _ in range(2):
                await outside.publish(envelope)
            report = await until_erased(scene.database, envelope)
            assert report["erased"]["messages"] == 4
            assert report["erased"]["message_versions"] == 2
            assert report["erased"]["message_reactions"] == 1
            assert report["erased"]["parked_receipts"] == 1
            assert report["erased"]["message_votes"] == 2
            assert report["erased"]["calls"] == 1
            assert report["erased"]["parked_changes"] == 3
            assert report["erased"]["messaging.replicas.dlq"] == 1
            assert report["erased"]["scheduled_messages"] == 2
            assert report["erased"]["subject_exports"] == 1
            assert report["erased"]["subject_export_parts"] == exported > 0
            assert report["erased"]["message_receipts"] == 2
            left = await traces_of(own_database, scene.tenant_id, [MARK, *SPELLINGS])
            assert left == set()
            mine = await scene.rows("SELECT * FROM contact_refs WHERE contact_id = $1", merged)
            assert [(row["name"], row["deleted"]) for row in mine] == [("", True)]

            # Husks keep their places, and WhatsApp's ids, by which they are known again.
            after = await scene.messages()
            assert [(m["id"], m["seq"], m["external_id"]) for m in after] == [
                (m["id"], m["seq"], m["external_id"]) for m in before
            ]
            assert [m["content"] for m in after] == [None, None, None, "von jemandem", "was?", None]
            # Told before she was erased, and come after: it goes with her.
            await outside.publish(old)
            again = scene.envelope(scene.received("neu", lid=LID, external_id="A4"))
            in_order = {"aggregate_id": old.aggregate_id}
            await outside.publish(again.model_copy(update=in_order))

            async def arrived() -> Any:
                return await scene.rows("SELECT * FROM messages WHERE external_id = 'A4'")

            ((fresh,)) = await eventually(arrived)
            assert fresh["contact_id"] == released(her, HER[0]) != her
            assert len(await scene.messages()) == len(before) + 1

        theirs = {m["content"] for m in await other.messages()}
        assert f"{MARK} 2" in theirs
        # Both people of the chats, one by two names, and the group.
        assert len(await other.rows("SELECT 1 FROM identity_refs")) == 4

    async def test_leaves_messages_of_who_comes_after_where_batches_are_of_many_companies(
        self, scene: Scene
    ) -> None:
        """Both companies know the number; one of them has had its owner erased."""
        other = Scene(scene.database)
        her = contact_id(scene.tenant_id, HER[0])
        async with scene.database.tenant(scene.tenant_id) as tx:
            await forgotten.add(
                tx, [((scene.tenant_id, HER[0].key), Forgotten(released(her, HER[0]), NOW))]
            )
        batch = [*scene.events([scene.received("neu")]), *other.events([other.received("alt")])]
        async with scene.database.tenants(sorted((scene.tenant_id, other.tenant_id))) as tx:
            await on_message_received(tx, batch)
        ((ours,), (theirs,)) = await scene.messages(), await other.messages()
        assert ours["contact_id"] == released(her, HER[0])
        assert theirs["contact_id"] == contact_id(other.tenant_id, HER[0])
