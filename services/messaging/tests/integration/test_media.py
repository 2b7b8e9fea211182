"""Messages with files: named by our id, pending until channels tells more, sent by id."""

from typing import Any
from uuid import uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.media import on_media_failed, on_media_stored
from crm_messaging.messages.service import send
from crm_testing.limits import largest
from crm_testing.scenes.messaging import Scene
from crm_testing.services import read_back
from service_kit.database import Database
from service_kit.errors import InvalidError
from shared_events.channels.media import ChannelMediaFailed, ChannelMediaStored
from shared_events.channels.traffic import ChannelMessageReceived, Media
from shared_events.messaging.message import MessageQueued, SendMessage


def picture(scene: Scene) -> ChannelMessageReceived:
    media = Media(
        id=uuid4(),
        url="http://waha:3000/api/files/a.jpeg",
        mime_type="image/x",
        filename="f" * 255,
        state="available",
    )
    return scene.received("Veja", content_type="image", media=media)


def about(said: ChannelMessageReceived, **more: Any) -> dict[str, Any]:
    assert said.media
    ids = {"channel_id": said.channel.id, "media_id": said.media.id}
    return {**ids, "external_id": said.external_id, **more}


class TestFilesOfMessages:
    async def test_are_pending_then_stored_each_companys_own(self, database: Database) -> None:
        ours, theirs = Scene(database), Scene(database)
        for scene in (ours, theirs):
            said = picture(scene)
            await scene.apply(on_message_received, said)
            (message,) = await scene.messages()
            assert said.media
            assert message["media_id"] == said.media.id
            assert message["media_url"] == f"media:{said.media.id}"
            assert message["metadata"]["media"] == {"filename": "f" * 255, "state": "pending"}
            stored = largest(ChannelMediaStored, **about(said))
            await theirs.apply(on_media_stored, stored)
            await ours.apply(on_media_stored, stored, stored)
            (message,) = await scene.messages()
            assert message["metadata"]["media"]["state"] == "stored"
            assert (message["media_mime_type"], message["version"]) == (stored.mime_type, 2)
            assert await scene.told() == [
                *("session.started", "message.received", "message.media_stored")
            ]
            told = read_back((await scene.outbox())[-1]).data
            assert told.message.media_id == said.media.id
            assert told.message.metadata["media"]["size"] == stored.size

    async def test_that_cannot_be_had_leave_their_message_as_it_is(self, scene: Scene) -> None:
        said, plain = picture(scene), scene.received("Oi", external_id="T1")
        await scene.apply(on_message_received, said, plain)
        failed = ChannelMediaFailed(**about(said, reason="r" * 50))
        other = failed.model_copy(update={"external_id": "T1"})
        await scene.apply(on_media_failed, failed, failed, other)
        message, text = await scene.messages()
        assert (message["content"], message["status"]) == ("Veja", "received")
        assert message["metadata"]["media"]["reason"] == "r" * 50
        assert (text["version"], text["media_id"]) == (1, None)
        told = read_back((await scene.outbox())[-1])
        assert (told.event_type, told.data.reason) == ("message.media_failed", "r" * 50)


class TestSendingAFile:
    async def test_by_its_id(self, scene: Scene) -> None:
        await scene.apply(on_message_received, scene.received())
        (session,) = await scene.sessions()
        to = {"contact_id": session["contact_id"], "channel_id": session["channel_id"]}
        media_id, photo = uuid4(), {**to, "content_type": "image"}
        async with scene.database.tenant(scene.tenant_id) as tx:
            message = await send(tx, SendMessage(**photo, media_id=media_id), None)
        assert (message.media_id, message.media_url) == (media_id, f"media:{media_id}")
        queued = read_back((await scene.outbox())[-1]).data
        assert isinstance(queued, MessageQueued)
        assert queued.message.media_id == media_id
        both = {"media_url": "https://example.com/a.jpg", "media_id": media_id}
        for media, code in (({}, "missing"), (both, "ambiguous")):
            async with scene.database.tenant(scene.tenant_id) as tx:
                with pytest.raises(InvalidError) as refused:
                    await send(tx, SendMessage.model_validate({**photo, **media}), None)
            assert refused.value.problem.errors[0].code == code
