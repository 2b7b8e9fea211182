"""Bulk sends: each person once, at the channel's pace, held, ended and begun again."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4, uuid5

import pytest
from crm_messaging.bulk_sends import progress, repository
from crm_messaging.bulk_sends.runner import AT_THE_CHANNEL, Runner
from crm_messaging.consent.consumers import on_opted_out
from crm_messaging.merging.consumers import on_contact_merged
from crm_messaging.messages import service as messages
from crm_messaging.replicas.consumers import on_contact_deleted
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, eventually
from shared_events.contacts.contact import ContactDeleted
from shared_events.contacts.merge import ContactMerged
from shared_events.contacts.opt_out import ContactOptedOut, OptOut
from shared_events.messaging.bulk_send import (
    DriveBulkSend,
    GetBulkSend,
    ListBulkRecipients,
)

from services.messaging.tests.integration.bulk_sends.people import (
    after,
    contact,
    finish,
    ours,
    people,
    put_by,
    recipients,
    sends,
    to,
)


async def test_each_gets_it_once_and_what_became_of_each_is_told(
    agent: Company, stranger: Company, scene: Scene, runner: Runner
) -> None:
    contacts = await people(scene, 7)
    gone, unlucky, unknown = contacts[1], contacts[2], uuid4()
    await scene.apply(on_contact_deleted, ContactDeleted(contact_id=gone))
    asked = [*contacts, unknown, contacts[0]]
    longest = "x" * 4096
    ref = await put_by(agent, to(scene, asked, content=longest, metadata={"campaign": "a"}))
    await agent.rows("UPDATE bulk_sends SET created_at = now() - interval '1 minute' RETURNING 1")
    job = await agent.value(GetBulkSend(bulk_send_id=ref.id))
    assert (job["state"], job["done"], job["total"], job["errors"]) == ("queued", 0, 8, 0)
    listed = await recipients(agent, ref)
    assert [one["contact_id"] for one in listed] == [str(one) for one in asked[:-1]]
    assert {one["status"] for one in listed} == {"pending"}

    await finish(scene, runner, ref, but=[unlucky])
    job = await agent.value(GetBulkSend(bulk_send_id=ref.id))
    assert (job["state"], job["done"], job["total"], job["errors"]) == ("completed", 8, 8, 3)
    assert job["finished_at"] is not None
    sent = await ours(scene)
    assert [m["contact_id"] for m in sent] == [c for c in contacts if c != gone]
    assert {m["content"] for m in sent} == {longest}
    assert {m["sent_by"] for m in sent} == {agent.user_id}
    assert [m["id"] for m in sent] == [uuid5(ref.id, str(m["contact_id"])) for m in sent]
    queued = await agent.told("message.queued")
    assert len(queued) == 6 and all(one["bulk"] for one in queued)
    became = {UUID(one["contact_id"]): one for one in await recipients(agent, ref)}
    assert became[contacts[0]]["status"] == "sent"
    assert UUID(became[contacts[0]]["message_id"]) == sent[0]["id"]
    assert became[unlucky]["status"] == "failed"
    for nobody in (gone, unknown):
        assert (became[nobody]["status"], became[nobody]["code"]) == (
            *("refused", "contact_not_found"),
        )
    told = [one["job"] for one in await agent.told("bulk.progressed")]
    assert told[0]["state"] == "queued" and told[-1] == job
    assert [one["done"] for one in told] == sorted(one["done"] for one in told)

    for theirs in (
        GetBulkSend(bulk_send_id=ref.id),
        ListBulkRecipients(bulk_send_id=ref.id),
        DriveBulkSend(bulk_send_id=ref.id, action="cancel"),
    ):
        assert await stranger.refusal(theirs) == ("not_found", "bulk_send_not_found")


async def test_who_opted_out_gets_nothing_and_who_is_two_contacts_one(
    agent: Company, scene: Scene, runner: Runner
) -> None:
    out, winner, loser = await people(scene, 3)
    ref = await put_by(agent, to(scene, [out, loser, winner]))
    opted_out = OptOut(
        contact_id=out, channel_id="all", source="agent", opted_out_at=datetime.now(UTC)
    )
    await scene.apply(on_opted_out, ContactOptedOut(opt_out=opted_out))  # though she wrote just now
    merged = ContactMerged(winner=contact(winner), loser=contact(loser), identities=[])
    await scene.apply(on_contact_merged, merged)
    await finish(scene, runner, ref)
    became = await recipients(agent, ref)
    assert [one["code"] for one in became] == ["contact_opted_out", None, "duplicate"]
    assert [m["contact_id"] for m in await ours(scene)] == [winner]


async def test_no_more_wait_at_the_channel_than_it_sends_in_a_while(
    agent: Company, scene: Scene, runner: Runner
) -> None:
    contacts = await people(scene, AT_THE_CHANNEL + 3)
    ref = await put_by(agent, to(scene, contacts))
    assert await runner.advance(ref, is_over=after(3 * AT_THE_CHANNEL))
    assert len(await ours(scene)) == AT_THE_CHANNEL
    async with asyncio.timeout(60):  # nothing moves: others have its place meanwhile
        assert not await runner.advance(ref, seconds=3600)
    assert await sends(scene) == AT_THE_CHANNEL
    assert await runner.advance(ref, is_over=after(3 * AT_THE_CHANNEL))
    assert len(await ours(scene)) == AT_THE_CHANNEL + 3


async def test_one_that_is_held_goes_on_and_one_that_is_ended_does_not(
    agent: Company, scene: Scene, runner: Runner
) -> None:
    contacts = await people(scene, 6)
    ref = await put_by(agent, to(scene, contacts))

    def drive(action: str) -> DriveBulkSend:
        return DriveBulkSend.model_validate({"bulk_send_id": ref.id, "action": action})

    assert await runner.advance(ref, is_over=after(3))  # one to begin, two to write to
    assert len(await ours(scene)) == 2
    running = await agent.value(GetBulkSend(bulk_send_id=ref.id))
    stale = await agent.refusal(drive("pause"), expected_version=running["version"] - 1)
    assert stale == ("precondition_failed", "stale_version")
    held = await agent.value(drive("pause"), expected_version=running["version"])
    assert held["state"] == "paused"
    assert await agent.value(drive("pause")) == held
    assert not await runner.advance(ref)
    assert len(await ours(scene)) == 2
    await agent.rows("UPDATE bulk_sends SET send_at = now() + interval '1 hour' RETURNING 1")
    assert (await agent.value(drive("resume")))["state"] == "running"
    assert not await runner.advance(ref)  # its time has not come
    await agent.rows("UPDATE bulk_sends SET send_at = NULL RETURNING 1")
    assert await runner.advance(ref, is_over=after(1))
    assert len(await ours(scene)) == 3
    ended = await agent.value(drive("cancel"))
    assert ended["state"] == "cancelled"
    assert await agent.value(drive("cancel")) == ended
    assert await agent.refusal(drive("resume")) == ("conflict", "job_ended")
    assert not await runner.advance(ref)
    await sends(scene)
    statuses = [one["status"] for one in await recipients(agent, ref)]
    assert statuses == ["sent"] * 3 + ["cancelled"] * 3


async def test_interruptions_and_two_at_once_lose_and_double_nothing(
    agent: Company, scene: Scene, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = await people(scene, 2 * AT_THE_CHANNEL)
    ref = await put_by(agent, to(scene, contacts))
    save, queue = repository.save, messages.queue

    async def breaks(*_: Any, **__: Any) -> None:
        raise ConnectionError("the process is gone")

    async def queues_and_breaks(*args: Any, **options: Any) -> None:
        await queue(*args, **options)
        await breaks()

    async def saves_and_breaks(*args: Any) -> None:
        await save(*args)
        await breaks()

    for module, name, broken in (
        (progress, "save", breaks),
        (messages, "queue", queues_and_breaks),
        (repository, "save", saves_and_breaks),
    ):
        before = len(await ours(scene))
        with monkeypatch.context() as patch:
            patch.setattr(module, name, broken)
            with pytest.raises(ConnectionError):
                await runner.advance(ref)
        assert len(await ours(scene)) == before
        assert await runner.advance(ref, is_over=after(2))
        assert len(await ours(scene)) > before

    async def both() -> bool:
        turns = [runner.advance(ref, is_over=after(AT_THE_CHANNEL)) for _ in range(3)]
        more = await asyncio.gather(*turns)
        await sends(scene)
        return not any(more)

    await eventually(both)
    job = await agent.value(GetBulkSend(bulk_send_id=ref.id))
    assert (job["state"], job["done"], job["errors"]) == ("completed", len(contacts), 0)
    sent = await ours(scene)
    assert sorted(m["contact_id"] for m in sent) == sorted(contacts)
    assert len(await agent.told("message.queued")) == len(contacts)


async def test_what_goes_wrong_with_one_hinders_no_other(
    agent: Company, scene: Scene, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    contacts = await people(scene, 3)
    ref = await put_by(agent, to(scene, contacts))
    queue = messages.queue

    async def fails(tx: Any, draft: Any, **options: Any) -> Any:
        if draft.contact_id == contacts[1]:
            raise ValueError("a bug")
        return await queue(tx, draft, **options)

    monkeypatch.setattr(messages, "queue", fails)
    await finish(scene, runner, ref)
    became = await recipients(agent, ref)
    assert [one["code"] for one in became] == [None, "internal_error", None]
    assert "bug" not in str(became)
