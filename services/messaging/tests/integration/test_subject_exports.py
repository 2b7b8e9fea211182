"""Messaging's part of subject exports: page by page, each as if by a process of its own."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID, uuid4

import pytest
from crm_messaging.labels.consumers import on_chat_labelled
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.consumers import on_message_edited, on_reaction_reported
from crm_messaging.subject_exports import repository
from crm_messaging.subject_exports.gathering import Gathering
from crm_messaging.subject_exports.requests import read_messages
from crm_testing.scenes.messaging import PHONE, Scene
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import NotFoundError
from shared_events.channels.label import ChannelChatLabelled, Label
from shared_events.channels.traffic import ChannelMessageEdited, ChannelReactionReported, Media
from shared_events.contacts.subject_export import SubjectExportStarted
from shared_events.identity import WhatsAppId, contact_id
from shared_events.messaging.subject_export import ReadSubjectMessages, SubjectMessagesFile
from shared_events.requests import Principal

HER = WhatsAppId("phone", PHONE)
SAID = 103
"""More than one page."""
LONGEST = "ã" * 65_536
PICTURE = Media(id=UUID(int=7), mime_type="image/png", state="available")


async def talk(scene: Scene, name: str) -> UUID:
    """Somebody with whom much was said, something of every kind."""
    her = contact_id(scene.tenant_id, HER)
    said = [scene.received(f"{name} {n}", external_id=f"A{n}") for n in range(SAID - 2)]
    said.append(scene.received(LONGEST, external_id="L"))
    said.append(scene.received(name, external_id="P", content_type="image", media=PICTURE))
    await scene.apply(on_message_received, *said, scene.received("Oi", phone="5511977770002"))
    told: dict[str, Any] = {
        "channel_id": scene.channel.id,
        "external_id": "A1",
        "from_us": False,
        "person": said[0].person,
    }
    now = datetime.now(UTC)
    edited = ChannelMessageEdited(edit_id="E1", content=f"{name} neu", edited_at=now, **told)
    await scene.apply(on_message_edited, edited)
    await scene.apply(
        on_reaction_reported, ChannelReactionReported(emoji="👍", reacted_at=now, **told)
    )
    at = {"label": Label(id="6", name=name), "labelled": True, "told_at": now}
    on_chat = {"channel": scene.channel, "chat_id": HER.chat_id, "person": said[0].person}
    await scene.apply(on_chat_labelled, ChannelChatLabelled.model_validate({**on_chat, **at}))
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(_BESIDE, scene.tenant_id, her, scene.channel.id)
    return her


_BESIDE = """
WITH later AS (
    INSERT INTO scheduled_messages
        (id, tenant_id, contact_id, channel_id, content_type, content, status, send_at)
    VALUES (gen_random_uuid(), $1, $2, $3, 'text', 'Bis bald', 'scheduled', now() + '1 day'))
INSERT INTO message_receipts (message_id, participant, tenant_id, read_at)
SELECT id, '5511977770002@c.us', $1, now() FROM messages
WHERE tenant_id = $1 AND external_id = 'A2'
"""


def started(contact: UUID, export_id: UUID, hours: int = 24) -> SubjectExportStarted:
    expires_at = datetime.now(UTC) + timedelta(hours=hours)
    return SubjectExportStarted(export_id=export_id, contact_id=contact, expires_at=expires_at)


async def told(pair: Sequence[tuple[Scene, SubjectExportStarted]]) -> None:
    """A batch of several companies, delivered twice."""
    database = pair[0][0].database
    events = [event for scene, said in pair for event in scene.events([said])]
    for _ in range(2):
        async with database.tenants(sorted(scene.tenant_id for scene, _ in pair)) as tx:
            await Gathering(database).on_started(tx, events)


async def until_nothing_waits(database: Database) -> int:
    """Gather, each page by a process of its own; how many there were."""
    pages = 0
    while await Gathering(database).work():
        pages += 1
    return pages


async def expire(scene: Scene, table: str) -> None:
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(f"UPDATE {table} SET expires_at = now()")  # noqa: S608


async def read(scene: Scene, export_id: UUID, file: SubjectMessagesFile) -> list[Any]:
    found: list[Any] = []
    cursor: int | None = 0
    call = Call(Principal(tenant_id=scene.tenant_id), "request-1")
    while cursor is not None:
        request = ReadSubjectMessages(export_id=export_id, file=file, cursor=cursor)
        async with scene.database.tenant(scene.tenant_id) as tx:
            part = await read_messages(tx, request, call)
        found.extend(map(json.loads, part.content.splitlines()))
        cursor = part.next_cursor
    return found


class TestSubjectExport:
    async def test_holds_all_that_was_said_with_each_of_two(self, database: Database) -> None:
        scene, other = Scene(database), Scene(database)
        hers, theirs = await talk(scene, "Ana"), await talk(other, "Bia")
        export_id, other_id = uuid4(), uuid4()
        await told([(scene, started(hers, export_id)), (other, started(theirs, other_id))])
        assert await until_nothing_waits(database) == 12  # two pages of messages of each

        found = {file: await read(scene, export_id, file) for file in get_args(SubjectMessagesFile)}
        assert {file: len(entries) for file, entries in found.items()} == {
            **{"conversations": 1, "labels": 1, "sessions": 1, "scheduled": 1},
            **{"messages": SAID, "media": 1},
        }
        messages = {message["external_id"]: message for message in found["messages"]}
        assert len(messages) == SAID
        assert {message["contact_id"] for message in messages.values()} == {str(hers)}
        edited = messages["A1"]
        assert edited["content"] == "Ana neu" and edited["reactions"][0]["emoji"] == "👍"
        assert [version["content"] for version in edited["versions"]] == ["Ana 1", "Ana neu"]
        assert messages["A2"]["member_receipts"][0]["participant"] == "5511977770002@c.us"
        assert messages["L"]["content"] == LONGEST
        path = f"media/{PICTURE.id}.png"
        assert messages["P"]["media_url"] == path
        assert found["media"] == [{"media_id": str(PICTURE.id), "path": path}]
        assert found["scheduled"][0]["content"] == "Bis bald"
        theirs_said = await read(other, other_id, "messages")
        assert {m["content"] for m in theirs_said} & {"Bia 0", "Bia neu"}
        assert not {m["id"] for m in theirs_said} & {m["id"] for m in messages.values()}

        reports = [
            row["payload"]
            for row in await scene.outbox()
            if row["event_type"] == "subject.export_gathered"
        ]
        assert [r["complete"] for r in reports] == [False] * (len(reports) - 1) + [True]
        assert 2 <= len(reports) <= 10 and {r["total"] for r in reports} == {SAID + 4}
        last = reports[-1]
        assert (last["done"], last["export_id"]) == (SAID + 4, str(export_id))
        with pytest.raises(NotFoundError):
            await read(other, export_id, "messages")

    async def test_goes_on_behind_what_is_written_and_goes_when_it_expires(
        self, database: Database
    ) -> None:
        scene, other = Scene(database), Scene(database)
        hers, theirs = await talk(scene, "Ana"), await talk(other, "Bia")
        export_id, other_id = uuid4(), uuid4()
        await told([(scene, started(hers, export_id)), (other, started(theirs, other_id))])
        # Whoever waited longest is next: both go on together.
        for _ in range(6):
            assert await Gathering(database).work()
        for company in (scene, other):
            (row,) = await company.rows("SELECT file, position FROM subject_exports")
            assert (row["file"], row["position"]) == ("scheduled", 3)
        await expire(other, "subject_exports")
        assert await until_nothing_waits(database) == 3
        (row,) = await other.rows("SELECT file FROM subject_exports")
        assert row["file"] == "scheduled"  # nobody gathers what nobody may read

        await expire(other, "subject_export_parts")
        async with database.system("gather") as tx:
            assert not await repository.purge(tx)
        assert not await other.rows("SELECT 1 FROM subject_exports")
        assert not await other.rows("SELECT 1 FROM subject_export_parts")
        assert len(await read(scene, export_id, "messages")) == SAID
        with pytest.raises(NotFoundError):
            await read(other, other_id, "messages")
