"""Bulk sends: to lists, which are asked for; what is refused, and what is kept how long."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from crm_messaging.bulk_sends import repository
from crm_messaging.bulk_sends.requests import MAX_UNFINISHED
from crm_messaging.bulk_sends.runner import Runner
from crm_testing.scenes.messaging import Scene
from crm_testing.services import Company, Outside, eventually
from service_kit.service import Service
from shared_events.contacts.list_page import ContactListRead
from shared_events.jobs import Failure
from shared_events.messaging.bulk_send import DriveBulkSend, GetBulkSend

from services.messaging.tests.integration.bulk_sends.people import (
    LATER,
    ours,
    people,
    put_by,
    sends,
    to,
)


async def test_a_list_is_asked_for_page_by_page_when_its_time_has_come(
    agent: Company, stranger: Company, scene: Scene, runner: Runner
) -> None:
    contacts = await people(scene, 5)
    list_id = uuid4()
    ref = await put_by(agent, to(scene, list_id=list_id))
    assert not await agent.told("bulk.recipients_wanted")
    for _ in range(2):  # it is asked once
        assert not await runner.advance(ref)

    def page(ids: Sequence[UUID], cursor: str | None, following: str | None) -> ContactListRead:
        return ContactListRead(
            bulk_send_id=ref.id, cursor=cursor, contact_ids=list(ids), next_cursor=following
        )

    async def asked(count: int) -> list[Any]:
        async def look() -> Any:
            found = await agent.told("bulk.recipients_wanted")
            return found if len(found) >= count else None

        found: list[Any] = await eventually(look)
        assert len(found) == count
        assert {one["list_id"] for one in found} == {str(list_id)}
        return [one["cursor"] for one in found]

    assert await asked(1) == [None]
    await stranger.publish(page(contacts, None, None))  # of another company
    await agent.publish(page(contacts[3:], "unasked", None))
    await agent.publish(page(contacts[:3], None, "two"))
    assert await asked(2) == [None, "two"]
    await agent.publish(page(contacts[:1], None, "three"))  # once more
    await agent.publish(page(contacts[2:], "two", None))

    async def known() -> Any:
        job = await agent.value(GetBulkSend(bulk_send_id=ref.id))
        return job if job["total"] is not None else None

    job = await eventually(known)
    assert (job["total"], job["list_id"]) == (5, str(list_id))
    assert await asked(2) == [None, "two"]

    async def written() -> bool:  # by the service itself, which was woken
        await sends(scene)
        job = await agent.value(GetBulkSend(bulk_send_id=ref.id))
        return bool(job["state"] == "completed")

    await eventually(written)
    assert sorted(m["contact_id"] for m in await ours(scene)) == sorted(contacts)


async def test_a_list_that_is_gone_ends_it(agent: Company, scene: Scene, runner: Runner) -> None:
    await people(scene, 1)
    ref = await put_by(agent, to(scene, list_id=uuid4()))
    assert not await runner.advance(ref)
    why = Failure(code="contact_list_not_found", detail="There is no such contact list.")
    await agent.publish(ContactListRead(bulk_send_id=ref.id, failure=why))

    async def failed() -> Any:
        job = await agent.value(GetBulkSend(bulk_send_id=ref.id))
        return job if job["state"] == "failed" else None

    job = await eventually(failed)
    assert job["failure"]["code"] == "contact_list_not_found"


async def test_what_does_not_fit_together_is_refused(
    agent: Company, scene: Scene, outside: Outside
) -> None:
    contacts = await people(scene, 1)
    past = datetime.now(UTC) - LATER
    for changes, code in (
        ({"contact_ids": []}, "one_of_both"),
        ({"list_id": uuid4()}, "one_of_both"),
        ({"content": " "}, "blank"),
        ({"content_type": "image"}, "missing"),
        ({"content_type": "image", "media_url": "http://10.0.0.1/x.png"}, "url_not_allowed"),
        ({"send_at": past}, "not_in_future"),
        ({"send_at": datetime.now(UTC) + timedelta(days=91)}, "too_far_ahead"),
    ):
        assert (await agent.refusal(to(scene, contacts, **changes)))[1] == code, changes
    unknown = await agent.refusal(to(scene, contacts, channel_id=uuid4()))
    assert unknown == ("not_found", "channel_not_found")
    sees_own = Company(scene.database, outside, id=scene.tenant_id, own_only=True)
    assert await sees_own.refusal(to(scene, contacts)) == ("forbidden", "own_only")


async def test_a_company_has_so_many_at_a_time(
    agent: Company, stranger: Company, scene: Scene, other: Scene
) -> None:
    contacts = await people(scene, 1)
    for _ in range(MAX_UNFINISHED):
        await put_by(agent, to(scene, contacts))
    assert await agent.refusal(to(scene, contacts)) == ("conflict", "too_many_jobs")
    theirs = await people(other, 1)
    assert (await stranger.value(to(other, theirs)))["state"] == "queued"


async def test_what_ended_long_ago_is_purged(
    agent: Company, stranger: Company, scene: Scene, other: Scene, service: Service
) -> None:
    for who, where, count in ((agent, scene, 12), (stranger, other, 1)):
        contacts = await people(where, 2)
        for _ in range(count):
            ref = await put_by(who, to(where, contacts))
            await who.value(DriveBulkSend(bulk_send_id=ref.id, action="cancel"))
    old = "UPDATE bulk_sends SET finished_at = now() - interval '31 days' RETURNING 1"
    await agent.rows(old)
    more = True
    while more:  # as the standing task does
        async with service.database.system("bulk") as tx:
            more = await repository.purge(tx)
    left = "SELECT 1 FROM bulk_sends UNION ALL SELECT 1 FROM bulk_recipients"
    assert await agent.rows(left) == []
    assert len(await stranger.rows(left)) == 1 + 2
