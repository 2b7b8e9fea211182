"""Somebody types: over HTTP, of services that answer, and of one that does not."""

from contextlib import AsyncExitStack
from uuid import UUID, uuid4

import httpx
import pytest
from crm_testing.services import SIGNATURES, answering
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.errors import NotFoundError
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.channels.presence import ShowTyping
from shared_events.messaging.conversation import Chat, GetChat
from shared_events.requests import Nothing
from shared_events.services import CHANNELS, MESSAGING

from services.gateway.tests.integration.conftest import Account

CHAT = Chat(channel_id=uuid4(), chat_id="5511988880001@c.us")


class Services:
    """Stand in for messaging, which knows one conversation, and for channels-waha."""

    def __init__(self, gateway: Service) -> None:
        self._gateway = gateway
        self.conversation_id = uuid4()
        self.shown: list[tuple[str, ShowTyping]] = []

    async def chat(self, tx: Transaction, request: GetChat, call: Call) -> Chat:
        del tx, call
        if request.conversation_id != self.conversation_id:
            raise NotFoundError("conversation")
        return CHAT

    async def show(self, request: ShowTyping, call: Call) -> Nothing:
        self.shown.append((call.principal.tenant_id, request))
        return Nothing()

    async def start(self, stack: AsyncExitStack, *, channels: bool = True) -> None:
        """Answer, until the stack is left."""
        messaging = RequestServer(MESSAGING, self._gateway.database, SIGNATURES)
        messaging.answer(GetChat, self.chat)
        servers = [messaging]
        if channels:
            servers.append(RequestServer(CHANNELS, self._gateway.database, SIGNATURES))
            servers[-1].answer_external(ShowTyping, self.show)
        for server in servers:
            await stack.enter_async_context(answering(server, self._gateway.settings.amqp_url))


@pytest.fixture
def services(gateway: Service) -> Services:
    return Services(gateway)


def path(conversation_id: UUID) -> str:
    return f"/conversations/{conversation_id}/typing"


class TestTyping:
    async def test_is_shown_where_the_conversation_is_held(
        self, client: httpx.AsyncClient, account: Account, services: Services
    ) -> None:
        async with AsyncExitStack() as stack:
            await services.start(stack)
            for state in ("typing", "paused"):
                answer = await client.post(
                    path(services.conversation_id), json={"state": state}, headers=account.bearer
                )
                assert (answer.status_code, answer.content) == (204, b"")
            missing = await client.post(
                path(uuid4()), json={"state": "typing"}, headers=account.bearer
            )
            wrong = await client.post(
                path(services.conversation_id), json={"state": "sings"}, headers=account.bearer
            )
        assert (missing.status_code, missing.json()["code"]) == (404, "conversation_not_found")
        assert wrong.status_code == 422
        assert services.shown == [
            (account.tenant_id, ShowTyping(**CHAT.model_dump(), state=state))
            for state in ("typing", "paused")
        ]

    async def test_is_shown_once_for_a_key(
        self, client: httpx.AsyncClient, account: Account, services: Services
    ) -> None:
        headers = {**account.bearer, "Idempotency-Key": "k"}
        async with AsyncExitStack() as stack:
            await services.start(stack)
            first, again, other = [
                await client.post(
                    path(services.conversation_id), json={"state": state}, headers=headers
                )
                for state in ("typing", "typing", "paused")
            ]
        assert (first.status_code, again.status_code, other.status_code) == (204, 204, 422)
        assert ("idempotent-replayed" in first.headers, len(services.shown)) == (False, 1)
        assert again.headers["idempotent-replayed"] == "true"
        assert other.json()["code"] == "idempotency_key_reused"

    async def test_says_at_once_that_a_service_is_away(
        self, client: httpx.AsyncClient, account: Account, services: Services
    ) -> None:
        async with AsyncExitStack() as stack:
            await services.start(stack, channels=False)
            answer = await client.post(
                path(services.conversation_id), json={"state": "typing"}, headers=account.bearer
            )
        assert answer.status_code == 503
        assert answer.headers["Retry-After"]
