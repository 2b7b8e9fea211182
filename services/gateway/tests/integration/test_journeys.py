"""Where is my message? Over HTTP, of services that answer, and of some that do not."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from crm_testing.services import SIGNATURES, answering
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.channels.journey import ListChannelLegs
from shared_events.journeys import Leg, Legs, MessageHop, Wait
from shared_events.messaging.message import GetMessage, ListContactMessages, Message
from shared_events.requests import Page
from shared_events.services import CHANNELS, MESSAGING, WEBHOOKS, ServiceName
from shared_events.webhooks.journey import ListWebhookLegs

from services.gateway.tests.integration.conftest import Account, register, until
from services.gateway.tests.integration.test_sessions import bearer, colleague

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


def message(**values: Any) -> Message:
    """One that an agent asked for a second ago."""
    plain: dict[str, Any] = {
        "id": uuid4(),
        "contact_id": uuid4(),
        "session_id": uuid4(),
        "channel_id": uuid4(),
        "direction": "outbound",
        "origin": "agent",
        "content_type": "text",
        "content": "secret",
        "status": "queued",
        "seq": 7,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Message.model_validate({**plain, **values})


def leg(message_id: UUID, service: ServiceName, what: str, wait: str | None = None) -> Leg:
    """A leg of one hop, a second after the message was asked for."""
    at = NOW + timedelta(seconds=1)
    waits = Wait(service=service.name, what=wait, since=at) if wait else None
    hop = MessageHop(service=service.name, what=what, at=at, detail={"event_id": uuid4()})
    return Leg(message_id=message_id, hops=[hop], waiting_for=waits)


@dataclass
class Services:
    """Stand in for those that know of messages: the kit's own server, with dictionaries behind."""

    gateway: Service
    messages: dict[tuple[str, UUID], Message] = field(default_factory=dict)
    legs: dict[tuple[str, UUID], dict[str, Leg]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    up: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def get(self, tx: Transaction, request: GetMessage, call: Call) -> Message:
        self.calls.append(call)
        found = self.messages.get((tx.tenant_id, request.message_id))
        if found is None:
            raise NotFoundError("message")
        return found

    async def of_contact(
        self, tx: Transaction, request: ListContactMessages, call: Call
    ) -> Page[Message]:
        del call
        assert request.sort == "-sent_at"
        found = [
            one
            for (tenant_id, _), one in self.messages.items()
            if (tenant_id, one.contact_id) == (tx.tenant_id, request.contact_id)
        ]
        if not found:
            raise NotFoundError("contact")
        shown = found[: request.limit]
        more = len(found) > len(shown)
        return Page[Message](data=shown, has_more=more, next_cursor="next" if more else None)

    def _of(self, tx: Transaction, service: ServiceName, message_ids: list[UUID]) -> Legs:
        known = (self.legs.get((tx.tenant_id, one), {}) for one in message_ids)
        return Legs(data=[legs[service.name] for legs in known if service.name in legs])

    async def of_channels(self, tx: Transaction, request: ListChannelLegs, call: Call) -> Legs:
        self.calls.append(call)
        return self._of(tx, CHANNELS, request.message_ids)

    async def of_webhooks(self, tx: Transaction, request: ListWebhookLegs, call: Call) -> Legs:
        self.calls.append(call)
        return self._of(tx, WEBHOOKS, request.message_ids)

    async def start(self, *names: ServiceName) -> None:
        """Answer as these services, until `stop`."""
        for name in names:
            server = RequestServer(name, self.gateway.database, SIGNATURES)
            if name is MESSAGING:
                server.answer(GetMessage, self.get)
                server.answer(ListContactMessages, self.of_contact)
            elif name is CHANNELS:
                server.answer(ListChannelLegs, self.of_channels)
            else:
                server.answer(ListWebhookLegs, self.of_webhooks)
            await self.up.enter_async_context(answering(server, self.gateway.settings.amqp_url))

    async def stop(self) -> None:
        await self.up.aclose()


@pytest.fixture
async def services(gateway: Service) -> AsyncIterator[Services]:
    services = Services(gateway)
    yield services
    await services.stop()


class TestJourney:
    async def test_is_one_of_what_each_service_knows(
        self, client: httpx.AsyncClient, account: Account, services: Services
    ) -> None:
        await services.start(MESSAGING, CHANNELS, WEBHOOKS)
        mine = message(sent_by=UUID(account.user_id))
        services.messages[account.tenant_id, mine.id] = mine
        services.legs[account.tenant_id, mine.id] = {
            "channels-waha": leg(mine.id, CHANNELS, "entered", "channel"),
            "webhooks": leg(mine.id, WEBHOOKS, "message.queued", "delivery"),
        }
        path = f"/messages/{mine.id}/journey"
        headers = {**account.bearer, "X-Request-Id": "req-where"}
        answer = await client.get(path, headers=headers)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert [(hop["service"], hop["what"]) for hop in found["hops"]] == [
            ("messaging", "queued"),
            ("webhooks", "message.queued"),
            ("channels-waha", "entered"),
        ]
        assert found["hops"][0]["at"] == "2026-11-29T12:00:00Z"
        assert found["hops"][0]["detail"]["sent_by"] == account.user_id
        assert (found["status"], found["missing"]) == ("queued", [])
        assert (found["waiting_for"]["service"], found["waiting_for"]["what"]) == (
            "channels-waha",
            "channel",
        )
        assert "secret" not in answer.text
        assert [call.correlation_id for call in services.calls] == ["req-where"] * 3
        assert all("*" in call.principal.permissions for call in services.calls)

        stranger = await register(client)
        for who, asked in ((stranger, mine.id), (account, uuid4()), (account, "none")):
            refused = await client.get(f"/messages/{asked}/journey", headers=who.bearer)
            assert (refused.status_code, refused.json()["code"]) == (404, "message_not_found")
        assert (await client.get(path)).status_code == 401
        unknown = await client.get(f"{path}?x=1", headers=account.bearer)
        assert unknown.status_code == 400

    async def test_names_who_is_away_and_goes_on_without(
        self, client: httpx.AsyncClient, account: Account, services: Services
    ) -> None:
        await services.start(MESSAGING, CHANNELS)
        mine = message()
        services.messages[account.tenant_id, mine.id] = mine
        entered = leg(mine.id, CHANNELS, "entered", "sender")
        services.legs[account.tenant_id, mine.id] = {"channels-waha": entered}

        async def shown(message_id: UUID = mine.id) -> httpx.Response:
            return await client.get(f"/messages/{message_id}/journey", headers=account.bearer)

        without_webhooks = (await shown()).json()
        assert without_webhooks["missing"] == ["webhooks"]
        assert [hop["what"] for hop in without_webhooks["hops"]] == ["queued", "entered"]

        await services.stop()

        async def nobody() -> bool:  # the queue of who stopped goes a moment later
            return (await shown()).status_code == 503

        await until(nobody)
        await services.start(CHANNELS)
        without_messaging = await shown()
        assert without_messaging.status_code == 200
        body = without_messaging.json()
        assert (body["missing"], body["status"]) == (["messaging", "webhooks"], None)
        assert [hop["what"] for hop in body["hops"]] == ["entered"]
        # Who sees only their own is told nothing that messaging alone may tell them.
        await client.patch("/settings", json={"agents_see": "own"}, headers=account.bearer)
        agent = bearer(await colleague(client, account, "agent"))
        hidden = await client.get(f"/messages/{mine.id}/journey", headers=agent)
        assert hidden.status_code == 503
        # Nobody who answers knows it: whether there is such a message is not known.
        assert (await shown(uuid4())).status_code == 503
        contact = f"/contacts/{mine.contact_id}/journey"
        assert (await client.get(contact, headers=account.bearer)).status_code == 503

    async def test_of_a_contact_is_that_of_its_newest_messages(
        self, client: httpx.AsyncClient, account: Account, services: Services
    ) -> None:
        await services.start(MESSAGING, CHANNELS, WEBHOOKS)
        stranger, contact_id = await register(client), uuid4()
        said = [message(contact_id=contact_id) for _ in range(3)]
        for one in said:
            services.messages[account.tenant_id, one.id] = one
            legs = {"channels-waha": leg(one.id, CHANNELS, f"entered {one.id}")}
            services.legs[account.tenant_id, one.id] = legs

        path = f"/contacts/{contact_id}/journey"
        page = (await client.get(f"{path}?limit=2", headers=account.bearer)).json()
        assert [one["message_id"] for one in page["data"]] == [str(one.id) for one in said[:2]]
        for one in page["data"]:
            whats = [hop["what"] for hop in one["hops"]]
            assert whats == ["queued", f"entered {one['message_id']}"]
        assert (page["has_more"], page["next_cursor"]) == (True, "next")
        assert len(services.calls) == 2  # one question to each, however many messages

        whole = await client.get(path, headers=account.bearer)
        assert len(whole.json()["data"]) == 3
        foreign = await client.get(path, headers=stranger.bearer)
        assert (foreign.status_code, foreign.json()["code"]) == (404, "contact_not_found")
        many = await client.get(f"{path}?limit=21", headers=account.bearer)
        assert many.status_code == 422
