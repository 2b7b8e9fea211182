"""Messaging's side of the contracts: what it tells can be read, what it is told has its effect."""

from collections.abc import Callable
from uuid import UUID, uuid4

import orjson
from asyncpg import Record
from crm_messaging.app import create_service
from crm_messaging.calls.consumers import on_call_reported
from crm_messaging.conversations.requests import read_conversation
from crm_messaging.groups.consumers import on_group_reported
from crm_messaging.labels.consumers import on_chat_labelled
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import (
    on_change_failed,
    on_message_edited,
    on_reaction_reported,
    on_vote_reported,
)
from crm_messaging.messages.consumers import (
    on_message_failed,
    on_message_revoked,
    on_message_sent,
    on_status_reported,
)
from crm_messaging.messages.media import on_media_failed, on_media_stored
from crm_messaging.messages.service import send
from crm_messaging.sessions import service as sessions
from crm_messaging.settings import MessagingSettings
from crm_testing.limits import largest
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Outside, eventually, read_back, running
from service_kit.calls import Call
from shared_events import examples, registry, topology
from shared_events.channels.group import ChannelGroupReported, GroupMember
from shared_events.channels.label import ChannelChatLabelled
from shared_events.channels.media import ChannelMediaFailed, ChannelMediaStored
from shared_events.channels.traffic import (
    ChannelCallReported,
    ChannelChangeFailed,
    ChannelMessageEdited,
    ChannelMessageFailed,
    ChannelMessageRevoked,
    ChannelMessageSent,
    ChannelReactionReported,
    ChannelVoteReported,
    Media,
)
from shared_events.messaging.call import CallEvent
from shared_events.messaging.conversation import (
    ConversationParticipantsChanged,
    ConversationRead,
    ConversationUpdated,
    ReadConversation,
)
from shared_events.messaging.label import LabelEvent
from shared_events.messaging.message import MessageEvent, SendMessage
from shared_events.messaging.session import SessionEvent
from shared_events.requests import Principal

ConversationEvent = ConversationRead | ConversationUpdated | ConversationParticipantsChanged
TOLD = {
    event.event_type
    for event in registry.PUBLIC
    if event.event_type.split(".")[0] in ("call", "session", "message", "conversation", "label")
}


def aggregate_of(data: object) -> UUID:
    """What an event of messaging is of."""
    match data:
        case MessageEvent(session=session) | SessionEvent(session=session):
            return session.id
        case CallEvent(call=call):
            return call.id
        case LabelEvent(conversation_id=UUID() as conversation_id):
            return conversation_id
        case _:
            assert isinstance(data, ConversationEvent)
            return data.conversation_id


async def tell_everything(scene: Scene) -> None:
    """Let messaging go through all it can tell of."""
    file = Media(id=uuid4(), state="available")
    said = scene.received(content_type="image", media=file)
    await scene.apply(on_message_received, said)
    about = {"channel_id": scene.channel.id, "external_id": said.external_id, "media_id": file.id}
    await scene.apply(on_media_stored, largest(ChannelMediaStored, **about))
    await scene.apply(on_media_failed, largest(ChannelMediaFailed, **about))
    members = [GroupMember(person=said.person)]
    group = {"channel": scene.channel, "chat_id": "120363000000000001@g.us", "members": members}
    await scene.apply(on_group_reported, largest(ChannelGroupReported, **group))
    (session,) = await scene.sessions()
    async with scene.database.tenant(scene.tenant_id) as tx:
        conversation_id = await tx.fetchval("SELECT id FROM conversations WHERE NOT is_group")
        reading = ReadConversation(conversation_id=conversation_id, up_to_seq=9)
        principal = Principal(tenant_id=scene.tenant_id, user_id=None)
        await read_conversation(tx, reading, Call(principal, "request-1", None))
    for n in range(2):
        async with scene.database.tenant(scene.tenant_id) as tx:
            contact_id, channel_id = session["contact_id"], session["channel_id"]
            request = SendMessage(contact_id=contact_id, channel_id=channel_id, content="Oi!")
            message = await send(tx, request, None)
        values = {"channel_id": channel_id, "message_id": message.id}
        at = message.created_at
        if n == 0:
            sent = ChannelMessageSent.model_validate({**values, "external_id": "A", "sent_at": at})
            await scene.apply(on_message_sent, sent)
            for status in ("delivered", "read", "played"):
                await scene.apply(on_status_reported, scene.receipt("A", status))
            revoked = ChannelMessageRevoked(
                channel_id=channel_id, external_id="A", revoked_at=message.created_at
            )
            edited = {**examples.load("channel.message_edited")["data"], "from_us": True}
            named = {"channel_id": channel_id, "external_id": "A", "edited_at": at}
            edit = ChannelMessageEdited.model_validate({**edited, **named})
            await scene.apply(on_message_edited, edit)
            reacted = {**examples.load("channel.reaction_reported")["data"], **named}
            reaction = ChannelReactionReported.model_validate(reacted)
            await scene.apply(on_reaction_reported, reaction)
            await scene.apply(on_message_revoked, revoked)
            refused = largest(ChannelChangeFailed, **values, change="revoke")
            await scene.apply(on_change_failed, refused)
        else:
            failed = ChannelMessageFailed.model_validate(
                {**values, "code": "c", "reason": "r", "failed_at": at}
            )
            await scene.apply(on_message_failed, failed)
    await scene.apply(on_message_received, scene.received(external_id="P1", content_type="poll"))
    voted = {**examples.load("channel.vote_reported")["data"], "channel_id": channel_id}
    vote = ChannelVoteReported.model_validate({**voted, "external_id": "P1"})
    await scene.apply(on_vote_reported, vote)
    call = ChannelCallReported.model_validate(examples.load("channel.call_reported")["data"])
    for status in ("received", "accepted", "rejected"):
        await scene.apply(on_call_reported, call.model_copy(update={"status": status}))
    labelled = {"channel": scene.channel, "person": said.person, "told_at": at}
    for on in (True, False):
        label = largest(ChannelChatLabelled, **labelled, labelled=on)
        await scene.apply(on_chat_labelled, label)
    agent = UUID(examples.load("agent.created")["data"]["agent"]["id"])
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(
            "INSERT INTO agent_refs (tenant_id, agent_id, name, active) VALUES ($1, $2, 'B', true)",
            scene.tenant_id,
            agent,
        )
        await sessions.assign(tx, session["id"], agent, expected_version=None)
        await sessions.end(tx, session["id"], "resolved")
        await sessions.reopen(tx, session["id"], expected_version=None)
        await sessions.end(tx, session["id"], "resolved")
    await scene.apply(on_message_received, scene.received())
    async with scene.database.tenant(scene.tenant_id) as tx:
        (session,) = await tx.fetch("SELECT id FROM sessions WHERE status = 'active'")
        await sessions.end(tx, session["id"], "inactivity")


class TestWhatMessagingTells:
    async def test_every_event_is_read_back_by_the_registry(self, scene: Scene) -> None:
        await tell_everything(scene)
        rows: list[Record] = await scene.outbox()
        for row in rows:
            envelope = read_back(row)
            assert aggregate_of(envelope.data) == envelope.aggregate_id
        assert {row["event_type"] for row in rows} == TOLD


class TestWhatMessagingIsTold:
    async def test_every_example_on_its_queues_has_its_effect(
        self, scene: Scene, make_settings: Callable[..., MessagingSettings]
    ) -> None:
        scene.tenant_id = examples.load("channel.created")["tenant_id"]
        settings = make_settings()
        keys = (
            *topology.MESSAGING_REPLICAS.keys,
            *topology.MESSAGING_CHANNEL_EVENTS.keys,
            *topology.MESSAGING_HISTORY.keys,
        )
        async with running(create_service(settings)), Outside(settings.amqp_url) as outside:
            for seq, key in enumerate(keys, start=1):
                event = {**examples.load(key), "aggregate_seq": seq}
                await outside.publish_body(orjson.dumps(event), event_type=key)

            async def applied() -> bool:
                rows = await scene.rows("SELECT consumer_name FROM processed_events")
                mine = [r for r in rows if r["consumer_name"] != "messaging.workflows"]
                return len(mine) == len(keys)

            await eventually(applied)
        rows = await scene.rows("SELECT * FROM contact_refs WHERE seq > 0")
        contacts = {str(row["contact_id"]): (row["deleted"], row["merged_into"]) for row in rows}
        deleted = examples.load("contact.deleted")["data"]["contact_id"]
        (purged_with,) = examples.load("contact.purged")["data"]["merged"]
        merged = examples.load("contact.unmerged")["data"]
        winner, loser = merged["winner"]["id"], merged["loser"]["id"]
        erased = examples.load("erasure.started")["data"]
        (erased_with,) = erased["merged"]
        assert contacts == {
            deleted: (True, None),
            purged_with: (True, None),
            winner: (False, None),
            loser: (False, None),  # the last word is that they are two again
            erased_with: (True, UUID(erased["contact_id"])),
        }
        (channel,) = await scene.rows("SELECT * FROM channel_refs WHERE seq > 0")
        assert channel["deleted"]
        assert await scene.rows("SELECT 1 FROM agent_refs")
        assert await scene.rows("SELECT 1 FROM identity_refs WHERE kind = 'lid'")
        received = examples.load("channel.message_received")["data"]
        (message,) = await scene.rows("SELECT * FROM messages WHERE NOT historical")
        assert message["external_id"] == received["external_id"]

    async def test_session_started_is_taken_even_without_temporal(
        self, scene: Scene, make_settings: Callable[..., MessagingSettings]
    ) -> None:
        away = make_settings(temporal_address="127.0.0.1:1")
        async with running(create_service(away)):
            await scene.apply(on_message_received, *(scene.received(f"{n}") for n in range(50)))

            async def consumed() -> bool:
                return bool(await scene.rows("SELECT 1 FROM processed_events"))

            await eventually(consumed)
