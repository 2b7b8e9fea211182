"""Scheduling into groups: by the conversation, on channels that allow it, never by accident."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.groups.consumers import on_group_reported
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_failed
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, Outside, eventually
from service_kit.service import Service
from shared_events.channels.group import ChannelGroupReported
from shared_events.channels.traffic import ChannelMessageFailed
from shared_events.identity import conversation_id
from shared_events.messaging.message import EditMessage, GetMessage, RetryMessage, SendMessage
from shared_events.messaging.scheduled import CancelScheduledMessage, ListScheduledMessages

GROUP = "120363000000000001@g.us"
IN_GROUP: dict[str, Any] = {"chat_id": GROUP, "is_group": True}
HOUR = timedelta(hours=1)


def id_of(scene: Scene) -> UUID:
    return conversation_id(scene.channel.id, GROUP)


@pytest.fixture
async def pair(service: Service, outside: Outside) -> tuple[tuple[Scene, Company], ...]:
    """Two companies in one group, in which Ana wrote; she wrote to each alone, too."""
    found = []
    for _ in range(2):
        scene = Scene(service.database)
        told = {"chat_id": GROUP, "subject": "Turma", "told_at": datetime.now(UTC)}
        report = ChannelGroupReported.model_validate({"channel": scene.channel, **told})
        await scene.apply(on_group_reported, report)
        await scene.apply(on_message_received, scene.received("só nós", external_id="D"))
        said = scene.received("no grupo", external_id="G", **IN_GROUP)
        await scene.apply(on_message_received, said)
        found.append((scene, Company(service.database, outside, id=scene.tenant_id)))
    return tuple(found)


def later(scene: Scene, **changes: Any) -> SendMessage:
    """A request to send into the group in an hour."""
    values = {
        "channel_id": scene.channel.id,
        "conversation_id": id_of(scene),
        "content": "Oi, turma!",
        "send_at": datetime.now(UTC) + HOUR,
        **changes,
    }
    return SendMessage.model_validate(values)


async def let_come(scene: Scene) -> None:
    """Let the time of what waits have come, and whoever sends it know."""
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute("UPDATE scheduled_messages SET send_at = send_at - interval '2 hours'")
        await tx.execute("SELECT pg_notify('messaging_scheduled', '')")


async def until(company: Company, message_id: str, status: str) -> dict[str, Any]:
    async def look() -> Any:
        shown = await company.value(GetMessage(message_id=UUID(message_id)))
        return shown if shown["status"] == status else None

    found: dict[str, Any] = await eventually(look)
    return found


async def switch(scene: Scene, allow_groups: bool) -> None:
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute("UPDATE channel_refs SET allow_groups = $1", allow_groups)


async def test_one_waits_is_listed_changed_and_cancelled(
    pair: tuple[tuple[Scene, Company], ...],
) -> None:
    (scene, company), (_, other) = pair
    before = await scene.told()
    kept = await company.value(later(scene))
    assert (kept["status"], kept["seq"], kept["session_id"]) == ("scheduled", 0, None)
    assert kept["conversation_id"] == str(id_of(scene))
    alone = (await scene.messages())[0]
    direct = later(scene, conversation_id=alone["conversation_id"])
    to_ana = await company.value(direct)
    assert to_ana["contact_id"] == str(alone["contact_id"]) != kept["contact_id"]
    for wanted, found in (
        ({"conversation_id": id_of(scene)}, [kept["id"]]),
        ({"contact_id": kept["contact_id"]}, [kept["id"]]),
        ({"conversation_id": alone["conversation_id"]}, [to_ana["id"]]),
        ({"conversation_id": id_of(scene), "channel_id": uuid4()}, []),
        ({"conversation_id": uuid4()}, []),
        ({}, [kept["id"], to_ana["id"]]),
    ):
        asked = ListScheduledMessages.model_validate(wanted)
        assert [one["id"] for one in (await company.value(asked))["data"]] == found
        assert (await other.value(asked))["data"] == []
    edit = EditMessage(message_id=UUID(kept["id"]), content="Bom dia!")
    assert (await company.value(edit))["content"] == "Bom dia!"
    cancel = CancelScheduledMessage(message_id=UUID(kept["id"]))
    assert await other.refusal(cancel) == ("not_found", "message_not_found")
    await company.value(cancel)
    listed = ListScheduledMessages(conversation_id=id_of(scene))
    assert (await company.value(listed))["data"] == []
    assert await scene.told() == before


async def test_one_is_queued_into_the_group_at_its_time(
    pair: tuple[tuple[Scene, Company], ...],
) -> None:
    (scene, company), (theirs, _) = pair
    _, heard = await scene.messages()
    kept = await company.value(later(scene, reply_to_id=heard["id"]))
    await let_come(scene)
    sent = await until(company, kept["id"], "queued")
    assert (sent["seq"], sent["session_id"]) == (2, str(heard["session_id"]))
    assert (sent["conversation_id"], sent["receipts"]) == (
        str(id_of(scene)),
        {"delivered": 0, "read": 0, "played": 0},
    )
    queued = (await scene.outbox())[-1]["payload"]
    assert (queued["to"], queued["reply_to_external_id"]) == (GROUP, "G")
    assert queued["contact"]["name"] == "Turma"
    assert (await company.value(ListScheduledMessages()))["data"] == []
    assert len(await theirs.messages()) == 2


async def test_one_asks_the_channel_twice(pair: tuple[tuple[Scene, Company], ...]) -> None:
    """When it is asked for, and at its time; then it can be sent once groups are on again."""
    (scene, company), (_, other) = pair
    kept = await company.value(later(scene))
    await switch(scene, allow_groups=False)
    assert await company.refusal(later(scene)) == ("conflict", "groups_are_off")
    assert await other.value(later(pair[1][0]))
    await let_come(scene)
    failed = await until(company, kept["id"], "failed")
    assert failed["failure_reason"].startswith("groups_are_off")
    assert len(await scene.messages()) == 2
    retry = RetryMessage(message_id=UUID(kept["id"]))
    assert await company.refusal(retry) == ("conflict", "groups_are_off")
    await switch(scene, allow_groups=True)
    assert (await company.value(retry))["seq"] == 2
    assert (await scene.outbox())[-1]["payload"]["to"] == GROUP
    # So it is with one that failed after it was queued.
    at = datetime.now(UTC)
    why = {"code": "waha_rejected", "reason": "no", "failed_at": at, "message_id": kept["id"]}
    data = ChannelMessageFailed.model_validate({"channel_id": scene.channel.id, **why})
    await scene.apply(on_message_failed, data)
    await switch(scene, allow_groups=False)
    assert await company.refusal(retry) == ("conflict", "groups_are_off")


async def test_never_by_accident(pair: tuple[tuple[Scene, Company], ...]) -> None:
    """A group's id in sessions is no contact; what was said alone is not quoted before all."""
    (scene, company), (_, other) = pair
    (group,) = (row["contact_id"] for row in await scene.sessions() if row["conversation_id"])
    alone, _ = await scene.messages()
    by_contact = later(scene, conversation_id=None, contact_id=group)
    assert await company.refusal(by_contact) == ("conflict", "contact_is_group")
    quoting = later(scene, reply_to_id=alone["id"])
    assert await company.refusal(quoting) == ("invalid", "unknown_message")
    assert await other.refusal(later(scene)) == ("not_found", "conversation_not_found")
    past = later(scene, send_at=datetime.now(UTC))
    assert await company.refusal(past) == ("invalid", "not_in_future")
    assert await scene.rows("SELECT 1 FROM scheduled_messages") == []


async def test_one_written_by_the_release_before_is_still_a_persons(
    pair: tuple[tuple[Scene, Company], ...],
) -> None:
    (scene, company), _ = pair
    alone, _ = await scene.messages()
    kept = await company.value(later(scene, conversation_id=None, contact_id=alone["contact_id"]))
    assert kept["conversation_id"] is None
    await let_come(scene)
    sent = await until(company, kept["id"], "queued")
    assert sent["conversation_id"] == str(alone["conversation_id"])
