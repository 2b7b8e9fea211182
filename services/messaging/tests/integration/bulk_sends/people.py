"""Whom tests of bulk sends write to, bulk sends put by, and a channel that sends."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from crm_messaging.bulk_sends import repository
from crm_messaging.bulk_sends.runner import AT_THE_CHANNEL, Runner
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.consumers import on_message_failed, on_message_sent
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, eventually
from service_kit.jobs.schemas import JobRef
from shared_events.channels.traffic import ChannelMessageFailed, ChannelMessageSent
from shared_events.contacts.contact import Contact
from shared_events.messaging.bulk_send import ListBulkRecipients, SendInBulk

LATER = timedelta(hours=1)


async def people(scene: Scene, count: int) -> list[UUID]:
    """So many who wrote."""
    said = [scene.received(phone=f"55119{n:08}") for n in range(count)]
    await scene.apply(on_message_received, *said)
    found = await scene.rows("SELECT contact_id FROM contact_refs ORDER BY phone")
    return [row["contact_id"] for row in found]


def contact(contact_id: UUID) -> Contact:
    now = datetime.now(UTC)
    return Contact(
        id=contact_id, name="Ana", source="api", version=1, created_at=now, updated_at=now
    )


def to(scene: Scene, contacts: Sequence[UUID] = (), **changes: Any) -> SendInBulk:
    values = {"channel_id": scene.channel.id, "contact_ids": list(contacts), "content": "Oi!"}
    return SendInBulk.model_validate({**values, **changes})


async def put_by(agent: Company, request: SendInBulk) -> JobRef:
    """A bulk send that nobody but the test works on: its time comes when the test says so."""
    ahead = request.model_copy(update={"send_at": datetime.now(UTC) + LATER})
    job = await agent.value(ahead)
    await agent.rows(
        "UPDATE bulk_sends SET send_at = NULL, due_at = now() + interval '1 hour' RETURNING 1"
    )
    return JobRef(tenant_id=agent.id, id=UUID(job["id"]), kind=repository.KIND)


def after(steps: int) -> Callable[[], bool]:
    """Says after so many steps that it is enough."""
    left = iter([False] * steps)
    return lambda: next(left, True)


async def ours(scene: Scene) -> list[dict[str, Any]]:
    query = "SELECT * FROM messages WHERE direction = 'outbound' ORDER BY created_at, id"
    return [dict(row) for row in await scene.rows(query)]


async def sends(scene: Scene, *, but: Sequence[UUID] = ()) -> int:
    """The channel sends what waits, or fails to send it to these contacts; returns how many."""
    waiting = [m for m in await ours(scene) if m["status"] == "queued"]
    now, channel_id = datetime.now(UTC), scene.channel.id
    for message in waiting:
        if message["contact_id"] in but:
            failed = ChannelMessageFailed(
                channel_id=channel_id,
                message_id=message["id"],
                code="rejected",
                reason="No.",
                failed_at=now,
            )
            await scene.apply(on_message_failed, failed)
            continue
        sent = ChannelMessageSent(
            channel_id=channel_id, message_id=message["id"], external_id=uuid4().hex, sent_at=now
        )
        await scene.apply(on_message_sent, sent)
    return len(waiting)


async def finish(scene: Scene, runner: Runner, ref: JobRef, *, but: Sequence[UUID] = ()) -> None:
    """Work on it, the channel sending all the while, until it has ended."""

    async def ended() -> bool:
        more = await runner.advance(ref, is_over=after(2 * AT_THE_CHANNEL))
        await sends(scene, but=but)
        return not more

    await eventually(ended)


async def recipients(agent: Company, ref: JobRef) -> list[dict[str, Any]]:
    """All of them, in pages of three."""
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        request = ListBulkRecipients(bulk_send_id=ref.id, limit=3, cursor=cursor)
        page = await agent.value(request)
        found += page["data"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found
