"""Who opted out is sent nothing, but for answers; two companies know one customer."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_messaging.consent.consumers import on_opted_in, on_opted_out
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_failed
from crm_messaging.messages.due import DueMessages
from crm_messaging.messages.retrying import retry_message
from crm_messaging.messages.service import send
from crm_testing.scenes.messaging import PHONE, Scene
from crm_testing.services import eventually
from service_kit.calls import Call
from service_kit.database import Database
from service_kit.errors import ConflictError
from shared_events.channels.traffic import ChannelMessageFailed
from shared_events.contacts.opt_out import Channel, ContactOptedIn, ContactOptedOut, OptOut
from shared_events.identity import WhatsAppId, contact_id
from shared_events.messaging.message import Message, RetryMessage, SendMessage
from shared_events.requests import Principal

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def hers(scene: Scene) -> UUID:
    return contact_id(scene.tenant_id, WhatsAppId("phone", PHONE))


def opted_out(scene: Scene, channel: Channel) -> ContactOptedOut:
    return ContactOptedOut(
        opt_out=OptOut(
            contact_id=hers(scene),
            channel_id=channel,
            reason="ã" * 1000,
            source="agent",
            opted_out_at=NOW,
        )
    )


def opted_in(scene: Scene, channel: Channel) -> ContactOptedIn:
    return ContactOptedIn(contact_id=hers(scene), channel_id=channel)


async def sent(scene: Scene, **said: Any) -> Message:
    request = SendMessage(
        contact_id=hers(scene), channel_id=scene.channel.id, **{"content": "Oi!", **said}
    )
    async with scene.database.tenant(scene.tenant_id) as tx:
        return await send(tx, request, None)


async def refused(scene: Scene, **said: Any) -> None:
    with pytest.raises(ConflictError) as raised:
        await sent(scene, **said)
    assert raised.value.problem.code == "contact_opted_out"


async def wrote(scene: Scene, *, hours_ago: int) -> None:
    """Let all that customers wrote be of then."""
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute(
            "UPDATE messages SET placed_at = now() - make_interval(hours => $1)"
            " WHERE direction = 'inbound'",
            hours_ago,
        )


@pytest.fixture
async def pair(database: Database) -> Sequence[Scene]:
    """Two companies to which she wrote two days ago."""
    pair = Scene(database), Scene(database)
    for scene in pair:
        await scene.apply(on_message_received, scene.received())
        await wrote(scene, hours_ago=48)
    return pair


class TestConsent:
    async def test_is_asked_of_the_channel_and_of_all_and_only_in_its_company(
        self, pair: Sequence[Scene]
    ) -> None:
        scene, other = pair
        batch = [
            *scene.events([opted_out(scene, "all")]),
            *other.events([opted_out(other, uuid4())]),  # another channel of theirs
        ]
        for _ in range(2):
            async with scene.database.tenants(sorted(s.tenant_id for s in pair)) as tx:
                await on_opted_out(tx, batch)
        await refused(scene)
        await refused(scene, send_at=datetime.now(UTC) + timedelta(hours=1))
        await sent(other)

        await scene.apply(on_opted_out, opted_out(scene, scene.channel.id), seq=5)
        await scene.apply(on_opted_in, opted_in(scene, "all"), seq=6)
        await refused(scene)  # the channel's own is another
        await scene.apply(on_opted_in, opted_in(scene, scene.channel.id), seq=7)
        await sent(scene)
        await scene.apply(on_opted_out, opted_out(scene, scene.channel.id), seq=5)  # told before
        await sent(scene)
        await scene.apply(
            on_opted_out, opted_out(scene, scene.channel.id), opted_out(scene, "all"), seq=8
        )
        await refused(scene)

    async def test_does_not_keep_answers_from_who_wrote_within_a_day(
        self, pair: Sequence[Scene]
    ) -> None:
        scene, other = pair
        for one in pair:
            await one.apply(on_opted_out, opted_out(one, "all"))
        await wrote(scene, hours_ago=23)
        await sent(scene)
        await refused(other)
        await wrote(scene, hours_ago=25)
        await refused(scene)
        await wrote(scene, hours_ago=1)
        async with scene.database.tenant(scene.tenant_id) as tx:
            await tx.execute("UPDATE sessions SET status = 'closed'")
        await refused(scene)  # nothing is open that could be answered

    async def test_is_asked_again_when_a_message_is_due_or_tried_once_more(
        self, pair: Sequence[Scene]
    ) -> None:
        scene, other = pair
        failed = await sent(scene)
        at = datetime.now(UTC) + timedelta(hours=1)
        later = [await sent(one, send_at=at) for one in pair]
        await scene.apply(
            on_message_failed,
            ChannelMessageFailed(
                channel_id=scene.channel.id,
                message_id=failed.id,
                code="refused",
                reason="refused",
                failed_at=datetime.now(UTC),
            ),
        )
        await scene.apply(on_opted_out, opted_out(scene, "all"))
        call = Call(Principal(tenant_id=scene.tenant_id), "request-1")
        with pytest.raises(ConflictError) as raised:
            async with scene.database.tenant(scene.tenant_id) as tx:
                await retry_message(tx, RetryMessage(message_id=failed.id), call)
        assert raised.value.problem.code == "contact_opted_out"
        for one in pair:
            async with one.database.tenant(one.tenant_id) as tx:
                await tx.execute("UPDATE scheduled_messages SET send_at = now()")

        async def over() -> bool:
            waiting = "SELECT 1 FROM scheduled_messages WHERE status = 'scheduled'"
            return not any([await one.rows(waiting) for one in pair])

        task = asyncio.create_task(DueMessages(scene.database).run())
        try:
            await eventually(over)
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        (row,) = await scene.rows("SELECT * FROM scheduled_messages")
        assert (row["id"], row["status"]) == (later[0].id, "failed")
        assert row["failure_reason"].startswith("contact_opted_out: ")
        queued = await other.rows("SELECT id FROM messages WHERE direction = 'outbound'")
        assert [row["id"] for row in queued] == [later[1].id]
