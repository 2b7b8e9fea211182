"""A message to many: refused where it names a list that is not there."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_testing.services import SIGNATURES, answering
from service_kit.calls import Call
from service_kit.database import Transaction
from service_kit.request_server import RequestServer
from service_kit.service import Service
from shared_events.contacts.contact_list import GetContactList
from shared_events.messaging.bulk_send import BulkSend, SendInBulk
from shared_events.services import MESSAGING

from services.gateway.tests.integration.conftest import Account, Contacts


class Messaging:
    """Stands in for messaging; `begun` is what it was asked to send."""

    def __init__(self) -> None:
        self.begun: list[SendInBulk] = []

    async def send(self, tx: Transaction, request: SendInBulk, call: Call) -> BulkSend:
        del tx, call
        self.begun.append(request)
        now = datetime.now(UTC)
        return BulkSend(
            id=uuid4(),
            channel_id=request.channel_id,
            list_id=request.list_id,
            content_type="text",
            state="queued",
            version=1,
            created_at=now,
            updated_at=now,
        )


@pytest.fixture
async def messaging(gateway: Service) -> AsyncIterator[Messaging]:
    messaging = Messaging()
    server = RequestServer(MESSAGING, gateway.database, SIGNATURES)
    server.answer(SendInBulk, messaging.send)
    async with answering(server, gateway.settings.amqp_url):
        yield messaging


async def send(client: httpx.AsyncClient, account: Account, to: dict[str, Any]) -> httpx.Response:
    body = {"channel_id": str(uuid4()), "content": "Oi", **to}
    return await client.post("/messages/send-bulk", json=body, headers=account.bearer)


async def test_goes_to_a_list_of_the_companys_and_to_no_other(
    client: httpx.AsyncClient, account: Account, contacts: Contacts, messaging: Messaging
) -> None:
    ours, theirs = uuid4(), uuid4()
    contacts.lists |= {(account.tenant_id, ours), (str(uuid4()), theirs)}
    assert (await send(client, account, {"list_id": str(ours)})).status_code == 201
    answers = [await send(client, account, {"list_id": str(each)}) for each in (theirs, uuid4())]
    refused = [(answer.status_code, answer.json()["code"]) for answer in answers]
    assert refused == [(404, "contact_list_not_found")] * 2
    assert [request.list_id for request in messaging.begun] == [ours]


async def test_asks_for_no_list_where_none_is_named(
    client: httpx.AsyncClient, account: Account, contacts: Contacts, messaging: Messaging
) -> None:
    before = len(contacts.calls)
    sent = await send(client, account, {"contact_ids": [str(uuid4())]})
    assert (sent.status_code, len(messaging.begun)) == (201, 1)
    assert not any(isinstance(asked, GetContactList) for asked, _ in contacts.calls[before:])
