"""A message to many: refused where it names a list that is not there."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
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
from shared_events.contacts.contact_list import ContactList, GetContactList
from shared_events.messaging.bulk_send import BulkSend, SendInBulk
from shared_events.services import CONTACTS, MESSAGING

from services.gateway.tests.integration.conftest import Account

NOW = datetime.now(UTC)


class Services:
    """Stand in for contacts, which knows lists by their tenants, and for messaging."""

    def __init__(self, gateway: Service) -> None:
        self._gateway = gateway
        self.lists: set[tuple[str, UUID]] = set()
        self.begun: list[SendInBulk] = []

    async def get(self, tx: Transaction, request: GetContactList, call: Call) -> ContactList:
        del call
        if (tx.tenant_id, request.list_id) not in self.lists:
            raise NotFoundError("contact_list")
        return ContactList(
            id=request.list_id,
            name="vip",
            kind="static",
            version=1,
            created_at=NOW,
            updated_at=NOW,
        )

    async def send(self, tx: Transaction, request: SendInBulk, call: Call) -> BulkSend:
        del tx, call
        self.begun.append(request)
        return BulkSend(
            id=uuid4(),
            channel_id=request.channel_id,
            list_id=request.list_id,
            content_type="text",
            state="queued",
            version=1,
            created_at=NOW,
            updated_at=NOW,
        )

    async def start(self, stack: AsyncExitStack, *, contacts: bool = True) -> None:
        """Answer, until the stack is left."""
        messaging = RequestServer(MESSAGING, self._gateway.database, SIGNATURES)
        messaging.answer(SendInBulk, self.send)
        servers = [messaging]
        if contacts:
            servers.append(RequestServer(CONTACTS, self._gateway.database, SIGNATURES))
            servers[-1].answer(GetContactList, self.get)
        for server in servers:
            await stack.enter_async_context(answering(server, self._gateway.settings.amqp_url))


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def services(gateway: Service) -> Services:
    return Services(gateway)


async def send(client: httpx.AsyncClient, account: Account, to: dict[str, Any]) -> httpx.Response:
    body = {"channel_id": str(uuid4()), "content": "Oi", **to}
    return await client.post("/messages/send-bulk", json=body, headers=account.bearer)


async def test_goes_to_a_list_of_the_companys_and_to_no_other(
    client: httpx.AsyncClient, account: Account, services: Services, stack: AsyncExitStack
) -> None:
    await services.start(stack)
    ours, theirs = uuid4(), uuid4()
    services.lists |= {(account.tenant_id, ours), (str(uuid4()), theirs)}
    assert (await send(client, account, {"list_id": str(ours)})).status_code == 201
    answers = [await send(client, account, {"list_id": str(each)}) for each in (theirs, uuid4())]
    refused = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert refused == [(404, "contact_list_not_found")] * 2
    assert [request.list_id for request in services.begun] == [ours]


async def test_asks_for_no_list_where_none_is_named(
    client: httpx.AsyncClient, account: Account, services: Services, stack: AsyncExitStack
) -> None:
    await services.start(stack, contacts=False)
    contacts = {"contact_ids": [str(uuid4())]}
    assert (await send(client, account, contacts)).status_code == 201
    # Nobody knows whether it is there: nothing is begun, and it may be asked again.
    answer = await send(client, account, {"list_id": str(uuid4())})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert len(services.begun) == 1
