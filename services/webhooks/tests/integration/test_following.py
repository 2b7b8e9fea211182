"""Following a feed: from now or from a place on, without gaps, and told when it has grown."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
from aio_pika import connect_robust
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_webhooks.event_log.notices import Notices
from service_kit.bus import Publisher, UnroutableError
from service_kit.connection import BrokerDownError
from shared_events import registry
from shared_events.notices import FEED_NOTICES, FeedsGrown
from shared_events.requests import Principal, Reply, Request
from shared_events.webhooks.event import FollowEvents, ListEvents

from services.webhooks.tests.conftest import Place


async def asked(tenant: Tenant, request: Request[Any], *granted: str) -> Reply:
    principal = Principal(tenant_id=tenant.id, permissions=granted or ("*",))
    return await tenant.outside.client.call(request, principal=principal, correlation_id="req")


async def followed(tenant: Tenant, *granted: str, **fields: Any) -> dict[str, Any]:
    reply = await asked(tenant, FollowEvents.model_validate(fields), *granted)
    assert reply.value is not None, reply.problem
    return reply.value


@pytest.fixture
async def notices(place: Place) -> AsyncIterator[set[str]]:
    """Whose feeds were said to have grown, to the ear of a gateway."""
    told: set[str] = set()
    async with await connect_robust(place.amqp_url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(f"notices.{uuid4()}", exclusive=True)
        await queue.bind(FEED_NOTICES.name)

        async def on_notice(message: Any) -> None:
            told.update(FeedsGrown.model_validate_json(message.body).tenant_ids)

        await queue.consume(on_notice, no_ack=True)
        yield told


class TestFollowing:
    async def test_goes_on_from_where_one_was(self, tenants: Any, notices: set[str]) -> None:
        mine, other = tenants(), tenants()
        assert await followed(mine) == {"data": [], "has_more": False, "next_cursor": "0"}
        created = registry.BY_TYPE["contact.created", "1"]
        first = await mine.publish_anything(created, {"n": 0})

        async def has_grown() -> bool:
            return mine.id in notices

        await eventually(has_grown)
        assert other.id not in notices
        begun = await followed(mine)
        assert begun == {"data": [], "has_more": False, "next_cursor": "1"}
        sent = await asyncio.gather(
            *(mine.publish_anything(created, {"n": n}) for n in range(1, 103)),
            mine.publish_anything(registry.BY_TYPE["session.closed", "1"], {"x": "x" * 4096}),
            mine.publish_anything(registry.BY_TYPE["channel.message_received", "1"], {}),
            other.publish_anything(created, {}),
        )

        async def all_there() -> bool:
            cursor: str = (await followed(mine))["next_cursor"]
            return cursor == str(len(sent))

        await eventually(all_there)
        page = await followed(mine, after="1")
        rest = await followed(mine, after=page["next_cursor"])
        assert (len(page["data"]), page["has_more"], rest["has_more"]) == (100, True, False)
        placed = page["data"] + rest["data"]
        assert {one["event"]["id"] for one in placed} == set(sent[:-2])
        # The same events behind the same cursors as in the feed, which asks for them page by page.
        listed = await asked(mine, ListEvents(after=placed[41]["cursor"], limit=1))
        assert listed.value and listed.value["data"] == [placed[42]["event"]]
        by_id = await followed(mine, after=first)
        assert by_id["data"][0] == placed[0]
        wanted = await followed(mine, after="1", types=["session.*,message.*"])
        assert [one["event"]["type"] for one in wanted["data"]] == ["session.closed"]
        assert (await followed(mine, "contacts.read", after="1", types=["session.*"]))["data"] == []
        assert len((await followed(other, after="0"))["data"]) == 1
        for fields, whose, code in (
            ({"after": first}, other, "invalid_cursor"),
            ({"after": "9" * 100}, mine, "invalid_cursor"),
            ({"types": ["contact.exploded"]}, mine, "unknown_event_type"),
        ):
            problem = (await asked(whose, FollowEvents.model_validate(fields))).problem
            assert problem and code in (problem.code, *(e.code for e in problem.errors))


class Flaky(Publisher):
    """Is away at first; then nobody listens; then it works."""

    def __init__(self) -> None:
        super().__init__("amqp://nobody")
        self.faults: list[Exception] = [BrokerDownError(), UnroutableError()]
        self.told: list[list[str]] = []

    async def publish(self, exchange: Any, routing_key: str, body: bytes, **said: Any) -> None:
        self.told.append(FeedsGrown.model_validate_json(body).tenant_ids)
        if self.faults:
            raise self.faults.pop(0)


class TestNotices:
    async def test_outlive_a_broker_that_is_away(self) -> None:
        publisher = Flaky()
        notices = Notices(publisher)
        notices.grown(["b"])
        with pytest.raises(BrokerDownError):
            await notices.run()
        notices.grown(["a", "b"])
        running = asyncio.create_task(notices.run())

        async def told(count: int) -> bool:
            return len(publisher.told) == count

        await eventually(lambda: told(2))
        notices.grown(["c"])
        await eventually(lambda: told(3))
        assert publisher.told == [["b"], ["a", "b"], ["c"]]
        running.cancel()
