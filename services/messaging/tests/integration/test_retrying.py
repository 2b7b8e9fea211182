"""What expires, what is refused while a channel is away, and what is sent once more."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.changes.service import take_back
from crm_messaging.messages.consumers import (
    on_message_failed,
    on_message_sent,
    on_status_reported,
)
from crm_messaging.messages.retrying import retry_message
from crm_messaging.messages.scheduled import service as scheduling
from crm_messaging.messages.service import send
from crm_messaging.replicas.consumers import on_channel_changed
from crm_testing.scenes.messaging import Scene
from service_kit.calls import Call
from service_kit.errors import ProblemError
from shared_events import examples
from shared_events.channels.channel import Channel, ChannelStatus, ChannelStatusChanged
from shared_events.channels.traffic import ChannelMessageFailed, ChannelMessageSent
from shared_events.messaging.message import Message, RetryMessage, SendMessage
from shared_events.requests import Principal

HOUR = timedelta(hours=1)


async def queue(scene: Scene, **changes: Any) -> Message:
    """Send a message to somebody who wrote."""
    if not await scene.sessions():
        await scene.apply(on_message_received, scene.received(external_id="IN1"))
    (session,) = await scene.sessions()
    values = {
        "contact_id": session["contact_id"],
        "channel_id": session["channel_id"],
        "content": "Oi!",
        **changes,
    }
    async with scene.database.tenant(scene.tenant_id) as tx:
        return await send(tx, SendMessage.model_validate(values), None)


async def fail(scene: Scene, message: Message, code: str) -> None:
    """Let a message have failed."""
    failed = ChannelMessageFailed(
        channel_id=message.channel_id,
        message_id=message.id,
        code=code,
        reason="x" * 900,
        failed_at=datetime.now(UTC),
    )
    await scene.apply(on_message_failed, failed)


async def retry(scene: Scene, message_id: UUID, version: int | None = None) -> Message:
    """Ask for a message to be sent once more."""
    call = Call(Principal(tenant_id=scene.tenant_id), "request-2", version)
    async with scene.database.tenant(scene.tenant_id) as tx:
        return await retry_message(tx, RetryMessage(message_id=message_id), call)


async def refusal(scene: Scene, message_id: UUID, version: int | None = None) -> str:
    """Why it is not sent once more."""
    with pytest.raises(ProblemError) as raised:
        await retry(scene, message_id, version)
    return raised.value.problem.code


async def code_of(scene: Scene, **changes: Any) -> str:
    """Why a message is refused, the field's code where it names one."""
    with pytest.raises(ProblemError) as raised:
        await queue(scene, **changes)
    problem = raised.value.problem
    return problem.errors[0].code if problem.errors else problem.code


async def test_one_that_failed_is_queued_again_under_the_same_id_and_place(scene: Scene) -> None:
    await scene.apply(on_message_received, scene.received(external_id="IN1"))
    (received,) = await scene.messages()
    reply = {"reply_to_id": received["id"], "expires_at": datetime.now(UTC) + HOUR}
    message = await queue(scene, **reply)
    assert await refusal(scene, message.id) == "not_failed"
    await fail(scene, message, "expired")
    assert await refusal(scene, message.id, version=1) == "stale_version"
    assert await refusal(Scene(scene.database), message.id) == "message_not_found"
    again = await retry(scene, message.id, version=2)
    assert (again.status, again.failed_at, again.failure_reason) == ("queued", None, None)
    assert (again.expires_at, again.seq, again.version) == (None, message.seq, 3)
    stored = next(row for row in await scene.messages() if row["id"] == message.id)
    assert (stored["status"], stored["failure_reason"], stored["expires_at"]) == (
        "queued",
        None,
        None,
    )
    told = [row for row in await scene.outbox() if row["event_type"] == "message.queued"]
    assert [row["payload"]["message"]["version"] for row in told] == [1, 3]
    assert told[1]["payload"]["to"] == told[0]["payload"]["to"]
    assert told[1]["payload"]["reply_to_external_id"] == "IN1"
    assert await refusal(scene, message.id) == "not_failed"
    sent = ChannelMessageSent(
        channel_id=message.channel_id,
        message_id=message.id,
        external_id="OUT1",
        sent_at=datetime.now(UTC),
    )
    await scene.apply(on_message_sent, sent)
    assert await refusal(scene, message.id) == "not_failed"


async def test_what_whatsapp_may_have_is_never_queued_again(scene: Scene) -> None:
    unknown = await queue(scene)
    await fail(scene, unknown, "outcome_unknown")
    assert await refusal(scene, unknown.id) == "outcome_unknown"
    for external_id in ("OUT1", None):
        taken = await queue(scene)
        sent = ChannelMessageSent(
            channel_id=taken.channel_id,
            message_id=taken.id,
            external_id=external_id,
            sent_at=datetime.now(UTC),
        )
        await scene.apply(on_message_sent, sent)
        await fail(scene, taken, "no")
        assert await refusal(scene, taken.id) == "outcome_unknown"
    revoked = await queue(scene)
    async with scene.database.tenant(scene.tenant_id) as tx:
        await take_back(tx, revoked.id, Call(Principal(tenant_id=scene.tenant_id), "r"))
    await fail(scene, revoked, "cancelled")
    assert await refusal(scene, revoked.id) == "message_revoked"
    received = (await scene.messages())[0]
    await scene.apply(on_status_reported, scene.receipt("IN1", "failed", from_us=False))
    assert await refusal(scene, received["id"]) == "not_failed"


async def test_one_that_could_not_be_queued_at_its_time_is_queued_now(scene: Scene) -> None:
    message = await queue(scene, send_at=datetime.now(UTC) + HOUR)
    assert await refusal(scene, message.id) == "not_failed"
    async with scene.database.tenant(scene.tenant_id) as tx:
        await scheduling.fail(tx, message, "contact_not_found: There is no such contact.")
    assert await refusal(scene, message.id, version=1) == "stale_version"
    again = await retry(scene, message.id, version=2)
    assert (again.status, again.seq, again.failed_at, again.version) == ("queued", 2, None, 3)
    async with scene.database.tenant(scene.tenant_id) as tx:
        assert await scheduling.get(tx, message.id) == again
    assert (await scene.told())[-1] == "message.queued"
    assert await scene.rows("SELECT * FROM scheduled_messages") == []


async def test_expiry_is_told_to_channels_and_must_come_after_the_send(scene: Scene) -> None:
    now = datetime.now(UTC)
    message = await queue(scene, expires_at=now + HOUR)
    assert message.expires_at == now + HOUR
    told = (await scene.outbox())[-1]["payload"]["message"]
    assert datetime.fromisoformat(told["expires_at"]) == now + HOUR
    assert await code_of(scene, expires_at=now) == "not_in_future"
    late = {"send_at": now + HOUR, "expires_at": now + HOUR}
    assert await code_of(scene, **late) == "before_send_at"


async def test_a_channel_that_is_away_refuses_what_shall_not_wait(scene: Scene) -> None:
    other = Scene(scene.database)
    now_or_never = {"fail_if_offline": True}
    assert (await queue(scene, **now_or_never)).status == "queued"  # nobody told how it is
    example = examples.load("channel.created")["data"]["channel"]
    statuses: tuple[ChannelStatus, ...] = ("failed", "degraded", "connected")
    for seq, status in enumerate(statuses, start=1):
        channel = Channel.model_validate({**example, "id": scene.channel.id, "status": status})
        changed = ChannelStatusChanged(channel=channel, previous_status="x", waha_status="X")
        await scene.apply(on_channel_changed, changed, seq=seq)
        assert (await queue(other, **now_or_never)).status == "queued"
        if status == "connected":
            assert (await queue(scene, **now_or_never)).status == "queued"
            break
        assert await code_of(scene, **now_or_never) == "channel_not_connected"
        assert (await queue(scene)).status == "queued"
    assert await refusal(scene, uuid4()) == "message_not_found"
