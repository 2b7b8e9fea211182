"""Messages are queued when their time comes: each once, in order, whatever happens meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from crm_messaging.messages import due
from crm_messaging.messages.arrival import on_message_received
from crm_messaging.messages.due import DueMessages
from crm_messaging.messages.scheduled import repository, service
from crm_messaging.messages.service import queue, send
from crm_messaging.replicas.consumers import on_contact_deleted
from crm_testing.scenes.messaging import Scene
from crm_testing.services import eventually
from service_kit.database import Database
from shared_events.contacts.contact import ContactDeleted
from shared_events.messaging.message import Message, SendMessage


@asynccontextmanager
async def awake(database: Database, replicas: int = 1) -> AsyncIterator[None]:
    """So many replicas, each started over when it raises, as the supervisor does."""

    async def run() -> None:
        while True:
            try:
                await DueMessages(database).run()
            except ConnectionError:
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(run()) for _ in range(replicas)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def schedule(scene: Scene, content: str = "Oi!", *, hours: float = 1) -> Message:
    """Keep a message to somebody who wrote."""
    if not await scene.sessions():
        await scene.apply(on_message_received, scene.received())
    (session,) = await scene.sessions()
    async with scene.database.tenant(scene.tenant_id) as tx:
        request = SendMessage(
            contact_id=session["contact_id"],
            channel_id=session["channel_id"],
            content=content,
            send_at=datetime.now(UTC) + timedelta(hours=hours),
        )
        return await send(tx, request, None, f"request of {content}")


async def let_come(scene: Scene) -> None:
    """Let the time of all that waits have come, in its order, without waking anybody."""
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute("UPDATE scheduled_messages SET send_at = send_at - interval '90 days'")


async def ours(scene: Scene) -> list[dict[str, Any]]:
    """What was queued, as it stands in the conversation."""
    query = "SELECT * FROM messages WHERE direction = 'outbound' ORDER BY seq"
    return [dict(row) for row in await scene.rows(query)]


async def until_queued(scene: Scene, count: int) -> list[dict[str, Any]]:
    """Wait until so many are queued."""

    async def look() -> Any:
        found = await ours(scene)
        return found if len(found) >= count else None

    found: list[dict[str, Any]] = await eventually(look)
    return found


async def status_of(scene: Scene, message_id: UUID) -> str:
    """Where a message has got to."""
    async with scene.database.tenant(scene.tenant_id) as tx:
        return (await service.get(tx, message_id)).status


async def test_each_is_queued_once_and_in_order_by_several_replicas(scene: Scene) -> None:
    other = Scene(scene.database)
    texts = [f"mensagem {n}" for n in range(20)]
    for n, text in enumerate(texts):
        for company in (scene, other):
            await schedule(company, text, hours=1 + n)
    await schedule(scene, "amanhã", hours=24 * 90 - 1)
    for company in (scene, other):
        async with company.database.tenant(company.tenant_id) as tx:
            await tx.execute(
                "UPDATE scheduled_messages SET send_at = send_at - interval '60 days'"
                " WHERE content <> 'amanhã'"
            )
    async with awake(scene.database, replicas=3):
        for company in (scene, other):
            queued = await until_queued(company, len(texts))
            assert [row["content"] for row in queued] == texts
            assert [row["seq"] for row in queued] == list(range(2, len(texts) + 2))
            assert all(row["session_id"] and row["placed_at"] for row in queued)
            told = [r for r in await company.outbox() if r["event_type"] == "message.queued"]
            assert [row["payload"]["message"]["content"] for row in told] == texts
            assert [row["correlation_id"] for row in told] == [f"request of {t}" for t in texts]
            assert {row["status"] for row in queued} == {"queued"}
    (waiting,) = await scene.rows("SELECT content FROM scheduled_messages")
    assert waiting["content"] == "amanhã"


async def test_an_earlier_one_wakes_who_sleeps(scene: Scene) -> None:
    message = await schedule(scene)
    async with awake(scene.database):

        async def sleeps() -> Any:
            return await scene.rows(
                "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE '%scheduled'"
                " AND state = 'idle' AND query LIKE '%extract%'"
            )

        await eventually(sleeps)
        async with scene.database.tenant(scene.tenant_id) as tx:
            assert await repository.lock(tx, message.id) is not None
            soon = datetime.now(UTC) + timedelta(milliseconds=50)
            await service.edit(tx, message, "já", soon)
        (queued,) = await until_queued(scene, 1)
    assert (queued["content"], queued["send_at"]) == ("já", soon)


async def test_one_that_cannot_be_queued_says_why_and_holds_nobody_up(scene: Scene) -> None:
    other = Scene(scene.database)
    gone, fine = await schedule(scene), await schedule(other)
    await scene.apply(on_contact_deleted, ContactDeleted(contact_id=gone.contact_id), seq=9)
    for company in (scene, other):
        await let_come(company)
    before = await scene.told()
    async with awake(scene.database):
        await until_queued(other, 1)
    async with scene.database.tenant(scene.tenant_id) as tx:
        failed = await service.get(tx, gone.id)
    assert (failed.status, failed.failure_reason) == (
        "failed",
        "contact_not_found: There is no such contact.",
    )
    assert failed.failed_at is not None
    assert await scene.told() == before
    assert await status_of(other, fine.id) == "queued"


async def test_what_shall_not_wait_or_has_expired_fails(scene: Scene) -> None:
    message, expired = await schedule(scene), await schedule(scene, hours=2)
    await let_come(scene)
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute("UPDATE channel_refs SET status = 'failed'")
        await tx.execute(
            "UPDATE scheduled_messages SET fail_if_offline = id = $1,"
            " expires_at = CASE WHEN id <> $1 THEN now() END",
            message.id,
        )
    async with awake(scene.database):
        for one, code in ((message, "channel_not_connected"), (expired, "expired")):

            async def failed(one: Message = one) -> Any:
                async with scene.database.tenant(scene.tenant_id) as tx:
                    found = await service.get(tx, one.id)
                return found.failure_reason if found.status == "failed" else None

            assert (await eventually(failed)).startswith(f"{code}: ")


async def test_what_breaks_down_on_the_way_loses_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    await schedule(scene)
    await let_come(scene)
    faults: list[BaseException] = [ConnectionError("away"), asyncio.CancelledError()]

    async def breaks(*args: Any, **options: Any) -> Message:
        await queue(*args, **options)
        raise faults.pop(0)

    async def gone() -> bool:
        return not faults

    monkeypatch.setattr(due, "queue", breaks)
    async with awake(scene.database):
        await eventually(gone)
    assert await ours(scene) == []
    monkeypatch.setattr(due, "queue", queue)
    async with awake(scene.database, replicas=2):
        assert len(await until_queued(scene, 1)) == 1


async def test_a_bug_of_ours_fails_one_message_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await schedule(scene, "erro", hours=1)
    await schedule(scene, "bom", hours=2)
    await let_come(scene)

    async def stumbles(tx: Any, draft: Message, **options: Any) -> Message:
        message = await queue(tx, draft, **options)
        if draft.content == "erro":
            raise ValueError("a bug of ours")
        return message

    monkeypatch.setattr(due, "queue", stumbles)
    async with awake(scene.database):
        (queued,) = await until_queued(scene, 1)
    assert (queued["content"], queued["seq"]) == ("bom", 2)
    assert await status_of(scene, first.id) == "failed"


async def test_who_cancels_first_wins(scene: Scene) -> None:
    message = await schedule(scene)
    await let_come(scene)
    async with scene.database.tenant(scene.tenant_id) as tx:
        waiting = await repository.lock(tx, message.id)
        assert waiting is not None
        replica = awake(scene.database)
        await replica.__aenter__()
        await eventually(scene.waits_for_a_lock)
        await service.cancel(tx, waiting)
    last = await schedule(scene, "depois", hours=2)
    await let_come(scene)
    async with scene.database.tenant(scene.tenant_id) as tx:
        await tx.execute("SELECT pg_notify($1, '')", repository.WAKE)
    (queued,) = await until_queued(scene, 1)
    await replica.__aexit__(None, None, None)
    assert queued["id"] == last.id
    assert await status_of(scene, message.id) == "cancelled"
