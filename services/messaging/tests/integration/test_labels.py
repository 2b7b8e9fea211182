"""Labels on chats: shown on conversations, told once, whoever turns out to be whom."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from asyncpg import Record
from crm_messaging.conversations.requests import get_conversation
from crm_messaging.erasures.purging import on_contact_purged
from crm_messaging.labels.consumers import on_chat_labelled, on_label_changed
from crm_messaging.merging.consumers import on_contact_merged, on_contact_unmerged
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.subject_exports.sections import count, read
from crm_testing.limits import largest
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import read_back
from service_kit import forgotten
from service_kit.calls import Call
from service_kit.database import Database
from shared_events import examples
from shared_events.channels.label import ChannelChatLabelled, ChannelLabelChanged, Label
from shared_events.channels.traffic import Person
from shared_events.contacts.contact import Contact, ContactIdentity, ContactPurged, Identity
from shared_events.contacts.merge import ContactMerged, ContactUnmerged
from shared_events.identity import Forgotten, IdentityKind, WhatsAppId, contact_id
from shared_events.messaging.conversation import GetConversation
from shared_events.messaging.label import LabelAdded, LabelEvent, LabelRemoved
from shared_events.messaging.summaries import ChannelSummary
from shared_events.requests import Principal

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LID, GROUP = "123456789012345", "120363000000000001"
SERVERS = {"phone": "c.us", "lid": "lid", "group": "g.us"}
NOVO = Label(id="6", name="Novo", color="#64c4ff")
SENT: dict[str, Any] = {"chat_id": f"{GROUP}@g.us", "is_group": True}


def labelled(
    scene: Scene, on: bool = True, seconds: int = 0, *, label: Label = NOVO, **ids: str
) -> ChannelChatLabelled:
    """A label put on the chat shown by these ids, Ana's phone by default; or taken off it."""
    shown = list((ids or {"phone": PHONE}).items())
    kind, value = shown[0]
    return ChannelChatLabelled.model_validate(
        {
            "channel": scene.channel,
            "chat_id": f"{value}@{SERVERS[kind]}",
            "person": {"identities": [{"kind": k, "value": v} for k, v in shown]},
            "label": label,
            "labelled": on,
            "told_at": AT + timedelta(seconds=seconds),
        }
    )


def changed(scene: Scene, label: Label, seconds: int = 0, **more: Any) -> ChannelLabelChanged:
    channel = ChannelSummary(id=scene.channel.id, name=scene.channel.name)
    at = AT + timedelta(seconds=seconds)
    return ChannelLabelChanged(channel=channel, label=label, told_at=at, **more)


async def told(scene: Scene) -> list[LabelEvent]:
    """What was told of labels, in order."""
    events = [read_back(row).data for row in await scene.outbox()]
    return [event for event in events if isinstance(event, LabelEvent)]


async def kinds(scene: Scene) -> list[type[LabelEvent]]:
    return [type(event) for event in await told(scene)]


async def shown(scene: Scene) -> list[list[str | None]]:
    """What the labels of each conversation are called, in the order they were begun."""
    found = []
    for row in await scene.rows("SELECT id FROM conversations ORDER BY created_at, id"):
        async with scene.database.tenant(scene.tenant_id) as tx:
            call = Call(Principal(tenant_id=scene.tenant_id), "")
            one = await get_conversation(tx, GetConversation(conversation_id=row["id"]), call)
        found.append([label.name for label in one.labels])
    return found


def contact(scene: Scene, kind: IdentityKind, value: str) -> Contact:
    example = examples.load("contact.created")["data"]["contact"]
    owner = contact_id(scene.tenant_id, WhatsAppId(kind, value))
    return Contact.model_validate({**example, "id": owner, "identities": []})


def merge(scene: Scene) -> dict[str, Any]:
    """Whoever writes from the hidden id is Ana."""
    return {
        "winner": contact(scene, "phone", PHONE),
        "loser": contact(scene, "lid", LID),
        "identities": [ContactIdentity(kind="lid", value=LID)],
    }


async def rows(scene: Scene) -> list[Record]:
    return await scene.rows("SELECT * FROM chat_labels ORDER BY kind, canonical, label_id")


class TestConversation:
    async def test_shows_its_labels_and_each_change_is_told_once(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_chat_labelled, labelled(scene), labelled(scene))
        await scene.apply(on_chat_labelled, labelled(scene, seconds=1), seq=9)
        assert await shown(scene) == [["Novo"]]
        (added,) = await told(scene)
        (thread,) = await scene.rows("SELECT id FROM conversations")
        assert isinstance(added, LabelAdded)
        assert (added.label, added.changed_at) == (NOVO, AT)
        assert added.conversation_id == thread["id"]
        assert added.contact is not None
        assert added.contact.id == contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        assert (added.contact.name, added.channel.name) == ("Ana", "Loja")
        for _ in range(2):
            await scene.apply(on_chat_labelled, labelled(scene, False, 2), seq=10)
        assert await shown(scene) == [[]]
        assert await kinds(scene) == [LabelAdded, LabelRemoved]
        outbox = [r for r in await scene.outbox() if r["event_type"].startswith("label.")]
        assert {row["aggregate_id"] for row in outbox} == {thread["id"]}

    async def test_late_word_undoes_nothing(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_chat_labelled, labelled(scene, False, 5), labelled(scene, seconds=4))
        assert await shown(scene) == [[]]
        assert await told(scene) == []
        await scene.apply(on_chat_labelled, labelled(scene, seconds=7), labelled(scene, False, 6))
        assert await shown(scene) == [["Novo"]]

    async def test_time_to_come_does_not_hold_against_what_follows(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_chat_labelled, labelled(scene, seconds=10**9))
        now = int((datetime.now(UTC) - AT).total_seconds()) + 5
        await scene.apply(on_chat_labelled, labelled(scene, False, now))
        assert await shown(scene) == [[]]

    async def test_takes_the_labels_names_of_now(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        unknown = Label(id="7")
        await scene.apply(on_chat_labelled, labelled(scene), labelled(scene, label=unknown))
        assert await shown(scene) == [["Novo", None]]
        vip = changed(scene, Label(id="7", name="VIP"))
        await scene.apply(on_label_changed, changed(scene, Label(id="6", name="Pago")), vip, seq=5)
        await scene.apply(on_label_changed, changed(scene, Label(id="6", name="Antigo")), seq=4)
        assert await shown(scene) == [["Pago", "VIP"]]

    async def test_has_no_label_that_was_deleted(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_chat_labelled, labelled(scene))
        await scene.apply(on_label_changed, changed(scene, NOVO, 5, deleted=True), seq=5)
        await scene.apply(on_chat_labelled, labelled(scene, seconds=4), labelled(scene, lid=LID))
        assert await shown(scene) == [[]]
        # WhatsApp gives the id to another label: chats of before have nothing to do with it.
        await scene.apply(on_label_changed, changed(scene, Label(id="6", name="Outra"), 9), seq=6)
        assert await shown(scene) == [[]]
        await scene.apply(on_chat_labelled, labelled(scene, seconds=10))
        assert await shown(scene) == [["Outra"]]

    async def test_of_a_group_has_labels_and_no_contact(self, scene: Scene) -> None:
        await scene.apply(on_chat_labelled, labelled(scene, group=GROUP))
        assert await told(scene) == []
        await scene.apply(on_message_received, scene.received(**SENT))
        assert await shown(scene) == [["Novo"]]
        await scene.apply(on_chat_labelled, labelled(scene, False, 1, group=GROUP))
        (removed,) = await told(scene)
        assert isinstance(removed, LabelRemoved)
        assert removed.contact is None
        (thread,) = await scene.rows("SELECT id FROM conversations")
        assert removed.conversation_id == thread["id"]


class TestWhoseItIs:
    async def test_of_a_stranger_nobody_is_made_and_it_shows_once_they_write(
        self, scene: Scene
    ) -> None:
        await scene.apply(on_chat_labelled, labelled(scene))
        for table in ("contact_refs", "identity_refs", "conversations"):
            assert await scene.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608 - our own
        assert await told(scene) == []
        await scene.apply(on_message_received, scene.received())
        assert await shown(scene) == [["Novo"]]

    async def test_phone_and_hidden_id_are_one_chat(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(lid=LID))
        await scene.apply(on_chat_labelled, labelled(scene, lid=LID))
        await scene.apply(on_chat_labelled, labelled(scene, seconds=1))
        assert await shown(scene) == [["Novo"]]
        await scene.apply(on_chat_labelled, labelled(scene, False, 2, phone="551188880001"))
        assert await shown(scene) == [[]]
        assert await kinds(scene) == [LabelAdded, LabelRemoved]

    async def test_label_by_both_ids_is_found_by_either(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(phone=None, lid=LID))
        await scene.apply(on_chat_labelled, labelled(scene, phone=PHONE, lid=LID))
        assert await shown(scene) == [["Novo"]]

    async def test_merging_loses_no_label_and_unmerging_gives_it_back(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_message_received, scene.received(phone=None, lid=LID))
        await scene.apply(on_chat_labelled, labelled(scene, lid=LID))
        assert await shown(scene) == [[], ["Novo"]]
        await scene.apply(on_contact_merged, ContactMerged(**merge(scene)), seq=100)
        assert await shown(scene) == [["Novo"], ["Novo"]]
        now = datetime.now(UTC)
        undone = ContactUnmerged(**merge(scene), merged_at=now)
        await scene.apply(on_contact_unmerged, undone, seq=101)
        assert await shown(scene) == [[], ["Novo"]]
        (added,) = await told(scene)
        assert added.contact is not None
        assert added.contact.id == contact_id(scene.tenant_id, WhatsAppId("lid", LID))

    async def test_of_whom_is_merged_is_told_of_the_winner(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        await scene.apply(on_message_received, scene.received(phone=None, lid=LID))
        await scene.apply(on_contact_merged, ContactMerged(**merge(scene)), seq=100)
        await scene.apply(on_chat_labelled, labelled(scene, lid=LID))
        (added,) = await told(scene)
        assert added.contact is not None
        assert added.contact.id == contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))

    async def test_channels_and_companies_have_labels_of_their_own(
        self, scene: Scene, database: Database
    ) -> None:
        other = Scene(database)
        for one in (scene, other):
            await one.apply(on_message_received, one.received())
        filial = scene.channel.model_copy(update={"id": uuid4(), "name": "Filial"})
        there = labelled(scene, label=Label(id="6", name="Filial")).model_copy(
            update={"channel": filial}
        )
        await scene.apply(on_message_received, scene.received(channel=filial))
        async with database.tenants(sorted((scene.tenant_id, other.tenant_id))) as tx:
            batch = scene.events([labelled(scene), there])
            foreign = other.events([labelled(scene, False, 5), labelled(other, False, 5)])
            await on_chat_labelled(tx, [*batch, *foreign])
        assert await shown(scene) == [["Novo"], ["Filial"]]
        assert await shown(other) == [[]]
        gone = changed(scene, NOVO, 9, deleted=True)
        await other.apply(on_label_changed, gone)
        assert await shown(scene) == [["Novo"], ["Filial"]]

    async def test_longest_values_go_through(self, scene: Scene) -> None:
        who = Person(identities=[Identity(kind="phone", value=PHONE)])
        await scene.apply(on_message_received, scene.received())
        said = largest(ChannelChatLabelled, channel=scene.channel, person=who, labelled=True)
        await scene.apply(on_chat_labelled, said)
        await scene.apply(on_label_changed, largest(ChannelLabelChanged, deleted=False))
        (event,) = await told(scene)
        assert event.label == said.label


class TestForgetting:
    async def test_of_whom_is_purged_nothing_is_kept(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(lid=LID))
        await scene.apply(on_chat_labelled, labelled(scene), labelled(scene, lid=LID))
        await scene.apply(on_chat_labelled, labelled(scene, phone="5511977770002"))
        purged = contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        await scene.apply(on_contact_purged, ContactPurged(contact_id=purged), seq=50)
        assert [row["canonical"] for row in await rows(scene)] == ["5511977770002"]

    async def test_what_was_told_before_an_erasure_is_not_kept_after(self, scene: Scene) -> None:
        erased_at, key = datetime.now(UTC) + timedelta(hours=1), WhatsAppId("phone", PHONE).key
        async with scene.database.tenant(scene.tenant_id) as tx:
            after = Forgotten(uuid4(), erased_at)
            await forgotten.add(tx, [((scene.tenant_id, key), after)])
        await scene.apply(on_chat_labelled, labelled(scene))
        assert await rows(scene) == []

    async def test_export_holds_the_labels_of_all_chats(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received(lid=LID))
        filial = scene.channel.model_copy(update={"id": uuid4()})
        there = labelled(scene, label=Label(id="6", name="Filial"), lid=LID)
        await scene.apply(
            on_chat_labelled,
            labelled(scene),
            labelled(scene, False, label=Label(id="9", name="Outra")),
            there.model_copy(update={"channel": filial}),
        )
        her: UUID = contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))
        async with scene.database.tenant(scene.tenant_id) as tx:
            found = await read(tx, "labels", her, None)
            total = await count(tx, her)
        by_channel = {one["channel_id"]: one for one in found.entries}
        assert by_channel[str(scene.channel.id)] == {
            "channel_id": str(scene.channel.id),
            **NOVO.model_dump(),
            "since": AT.isoformat(),
        }
        assert by_channel[str(filial.id)]["name"] == "Filial"
        assert total == 5  # with the message, its session and its conversation
