"""Messages that wait for their time: kept, listed, changed and cancelled by agents."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, Outside
from service_kit.service import Service
from shared_events.messaging.message import (
    DeleteMessage,
    EditMessage,
    GetMessage,
    ListMessages,
    SendMessage,
)
from shared_events.messaging.scheduled import CancelScheduledMessage, ListScheduledMessages

HOUR = timedelta(hours=1)


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service.database)


@pytest.fixture
def stranger(scene: Scene, outside: Outside) -> Company:
    """Asks in the name of another company."""
    return Company(scene.database, outside)


async def request(scene: Scene, **changes: Any) -> SendMessage:
    """A request to send in an hour to somebody who wrote."""
    if not await scene.sessions():
        await scene.apply(on_message_received, scene.received())
    (session,) = await scene.sessions()
    values = {
        "contact_id": session["contact_id"],
        "channel_id": session["channel_id"],
        "content": "Oi!",
        "send_at": datetime.now(UTC) + HOUR,
        **changes,
    }
    return SendMessage.model_validate(values)


async def test_one_waits_without_session_and_place_and_nothing_is_told(
    agent: Company, stranger: Company, scene: Scene
) -> None:
    longest = await request(scene, content="x" * 4096, metadata={"a": 1})
    before = await scene.told()
    kept = await agent.value(longest)
    assert (kept["status"], kept["seq"], kept["session_id"]) == ("scheduled", 0, None)
    assert (kept["content"], kept["metadata"]) == ("x" * 4096, {"a": 1})
    assert kept["sent_by"] == str(agent.user_id)
    assert await agent.value(GetMessage(message_id=kept["id"])) == kept
    (listed,) = (await agent.value(ListScheduledMessages()))["data"]
    assert listed == kept
    assert await scene.told() == before
    assert len((await agent.value(ListMessages()))["data"]) == 1
    assert (await stranger.value(ListScheduledMessages()))["data"] == []
    message_id = kept["id"]
    for theirs in (
        GetMessage(message_id=message_id),
        EditMessage(message_id=message_id, content="x"),
        DeleteMessage(message_id=message_id),
        CancelScheduledMessage(message_id=message_id),
    ):
        assert await stranger.refusal(theirs) == ("not_found", "message_not_found")


async def test_one_with_a_file_keeps_it(agent: Company, scene: Scene) -> None:
    media_id = uuid4()
    kept = await agent.value(await request(scene, content_type="image", media_id=media_id))
    assert await agent.value(GetMessage(message_id=kept["id"])) == kept
    assert (kept["media_id"], kept["media_url"]) == (str(media_id), f"media:{media_id}")


async def test_lists_go_by_time_and_filter(agent: Company, scene: Scene) -> None:
    later, sooner = HOUR * 3, HOUR * 2
    now = datetime.now(UTC)
    sent = [
        (await agent.value(await request(scene, send_at=now + ahead)))["id"]
        for ahead in (later, sooner, HOUR)
    ]
    first = await agent.value(ListScheduledMessages(limit=2))
    assert [m["id"] for m in first["data"]] == [sent[2], sent[1]]
    rest = await agent.value(ListScheduledMessages(limit=2, cursor=first["next_cursor"]))
    assert [m["id"] for m in rest["data"]] == [sent[0]]
    channel = UUID(first["data"][0]["channel_id"])
    for filters, count in (
        ({"channel_id": channel}, 3),
        ({"channel_id": uuid4()}, 0),
        ({"contact_id": uuid4()}, 0),
        ({"status": "cancelled"}, 0),
    ):
        listed = await agent.value(ListScheduledMessages.model_validate(filters))
        assert len(listed["data"]) == count


async def test_text_and_time_can_be_changed_while_it_waits(agent: Company, scene: Scene) -> None:
    kept = await agent.value(await request(scene))
    message_id, at = kept["id"], datetime.now(UTC) + HOUR * 5
    stale = EditMessage(message_id=message_id, content="x")
    assert (await agent.refusal(stale, expected_version=7))[1] == "stale_version"
    both = EditMessage(message_id=message_id, content="Olá!", send_at=at)
    changed = await agent.value(both, expected_version=kept["version"])
    assert (changed["content"], changed["version"]) == ("Olá!", kept["version"] + 1)
    assert datetime.fromisoformat(changed["send_at"]) == at
    assert await agent.value(both) == changed
    past = EditMessage(message_id=message_id, send_at=datetime.now(UTC))
    assert await agent.refusal(past) == ("invalid", "not_in_future")
    assert await agent.refusal(EditMessage(message_id=message_id)) == ("invalid", "missing")
    place = {"latitude": 0, "longitude": 0}
    fields: dict[str, Any] = {"content": None, "content_type": "location", "location": place}
    kept = await agent.value(await request(scene, **fields))
    edit = EditMessage(message_id=kept["id"], content="x")
    assert await agent.refusal(edit) == ("conflict", "not_editable")


@pytest.mark.parametrize("cancel", [DeleteMessage, CancelScheduledMessage])
async def test_a_cancelled_one_stays_so(
    agent: Company,
    scene: Scene,
    cancel: type[DeleteMessage] | type[CancelScheduledMessage],
) -> None:
    message_id = UUID((await agent.value(await request(scene)))["id"])
    stale = await agent.refusal(cancel(message_id=message_id), expected_version=7)
    assert stale[1] == "stale_version"
    for _ in range(2):
        await agent.value(cancel(message_id=message_id))
    shown = await agent.value(GetMessage(message_id=message_id))
    assert (shown["status"], shown["version"]) == ("cancelled", 2)
    (listed,) = (await agent.value(ListScheduledMessages(status="cancelled")))["data"]
    assert listed == shown
    edit = EditMessage(message_id=message_id, send_at=datetime.now(UTC) + HOUR)
    assert await agent.refusal(edit) == ("conflict", "not_scheduled")


async def test_one_that_is_queued_waits_no_more(agent: Company, scene: Scene) -> None:
    queued = UUID((await agent.value(await request(scene, send_at=None)))["id"])
    for asked in (
        CancelScheduledMessage(message_id=queued),
        EditMessage(message_id=queued, send_at=datetime.now(UTC) + HOUR),
    ):
        assert await agent.refusal(asked) == ("conflict", "not_scheduled")


async def test_times_and_what_is_not_there_are_refused(agent: Company, scene: Scene) -> None:
    for ahead, code in ((timedelta(), "not_in_future"), (timedelta(days=91), "too_far_ahead")):
        refused = await request(scene, send_at=datetime.now(UTC) + ahead)
        assert await agent.refusal(refused) == ("invalid", code)
    for field, code in (("contact_id", "contact_not_found"), ("channel_id", "channel_not_found")):
        assert await agent.refusal(await request(scene, **{field: uuid4()})) == ("not_found", code)
    unknown = await request(scene, reply_to_id=uuid4())
    assert await agent.refusal(unknown) == ("invalid", "unknown_message")
    assert (await agent.value(ListScheduledMessages()))["data"] == []
