"""Event streams over a real bus: woken by notices, for tokens and API keys, until they end."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_testing.services import SIGNATURES, answering, eventually
from crm_testing.streams import Reader
from service_kit.bus import Publisher
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.notices import FEED_NOTICES, FeedsGrown
from shared_events.services import WEBHOOKS
from shared_events.webhooks.event import (
    FollowedPage,
    FollowEvents,
    PlacedEvent,
    PublicEvent,
)

from services.gateway.tests.integration.conftest import Account, register


@dataclass
class Webhooks:
    """Stands in for the webhooks service: feeds in memory, and real notices."""

    publisher: Publisher
    feeds: dict[str, list[PublicEvent]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    async def follow(self, tx: Transaction, request: FollowEvents, call: Call) -> FollowedPage:
        self.calls.append(call)
        feed = self.feeds.get(tx.tenant_id, [])
        after = len(feed) if request.after is None else int(request.after)
        placed = [PlacedEvent(cursor=str(n), event=one) for n, one in enumerate(feed, 1)]
        return FollowedPage(data=placed[after:], has_more=False, next_cursor=str(len(feed)))

    async def happens(self, account: Account) -> str:
        event = PublicEvent(
            id=uuid4(),
            type="contact.created",
            timestamp=datetime.now(UTC),
            tenant_id=account.tenant_id,
            data={"text": "x" * 4096},
        )
        self.feeds.setdefault(account.tenant_id, []).append(event)
        notice = FeedsGrown(tenant_ids=[account.tenant_id, "nobody"])
        body = notice.model_dump_json().encode()
        await self.publisher.publish(FEED_NOTICES, "", body, message_id=str(uuid4()), headers={})
        return str(event.id)


@pytest.fixture
async def webhooks(gateway: Service) -> AsyncIterator[Webhooks]:
    webhooks = Webhooks(gateway.publisher)
    server = RequestServer(WEBHOOKS, gateway.database, SIGNATURES)
    server.answer(FollowEvents, webhooks.follow)
    async with answering(server, gateway.settings.amqp_url):
        yield webhooks


async def test_streams_are_woken_by_the_bus_and_end_with_the_login(
    gateway: Service, client: httpx.AsyncClient, webhooks: Webhooks
) -> None:
    ours, theirs = await register(client), await register(client)

    async def answers() -> bool:
        async with Reader(gateway.app, "/events/stream", ours.bearer) as reader:
            return reader.status == 200

    await eventually(answers)
    scopes: dict[str, Any] = {"name": "crm", "scopes": ["events.read", "contacts.read"]}
    made = await client.post("/api-keys", json=scopes, headers=ours.bearer)
    assert made.status_code == 201, made.text
    key = {"X-Api-Key": made.json()["key"]}
    async with AsyncExitStack() as readers:
        person, system, stranger = [
            await readers.enter_async_context(Reader(gateway.app, "/events/stream", credentials))
            for credentials in (ours.bearer, key, theirs.bearer)
        ]
        # Nobody looks by himself within the time a test has: it is the notices that wake.
        for place in ("1", "2"):
            sent = await webhooks.happens(ours)
            for reader in (person, system):
                cursor, said = await reader.event()
                assert (cursor, said["id"], said["tenant_id"]) == (place, sent, ours.tenant_id)
        assert b"data:" not in stranger.body
        assert {call.principal.tenant_id for call in webhooks.calls} == {
            ours.tenant_id,
            theirs.tenant_id,
        }

        # A key that is deleted shows nothing more, not even what happens at that moment.
        deleted = await client.delete(f"/api-keys/{made.json()['id']}", headers=ours.bearer)
        assert deleted.status_code == 204
        sent = await webhooks.happens(ours)
        assert (await person.event())[1]["id"] == sent
        name, end = await system.event()
        assert (name, end["code"]) == ("end", "invalid_api_key")
        await system.ended()
    async with Reader(gateway.app, "/events/stream", key) as refused:
        assert refused.status == 401
    async with Reader(gateway.app, "/events/stream?after=1", ours.bearer) as again:
        assert [(await again.event())[0] for _ in range(2)] == ["2", "3"]
