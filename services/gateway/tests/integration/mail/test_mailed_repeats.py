"""What is done by a mailed link, asked again under its key: done once, answered alike."""

from collections.abc import AsyncIterator

import httpx
import pytest
from crm_fakes.mail import MailServer
from service_kit.service import Service

from services.gateway.tests.integration.conftest import http_client, register
from services.gateway.tests.integration.mail.letters import (
    forgotten,
    is_of,
    letters_to,
    nothing_waits,
    token_in,
)


@pytest.fixture
async def elsewhere(mailing: Service) -> AsyncIterator[httpx.AsyncClient]:
    """The same people at another address."""
    async with http_client(mailing) as client:
        yield client


async def twice(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, path: str, body: dict[str, str]
) -> int:
    """The status of what is asked twice, which must be answered alike."""
    headers = {"Idempotency-Key": "k"}
    first, again = [
        await each.post(path, json=body, headers=headers) for each in (client, elsewhere)
    ]
    assert (again.status_code, again.content) == (first.status_code, first.content)
    replayed = [each.headers.get("idempotent-replayed") for each in (first, again)]
    assert replayed == [None, "true"]
    return first.status_code


async def test_one_letter_is_sent(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, mail: MailServer, mailing: Service
) -> None:
    email = (await register(client)).email
    assert await twice(client, elsewhere, "/auth/password/forgot", {"email": email}) == 202
    await nothing_waits(mailing)
    assert len([each for each in mail.received if is_of(each, email, "reset-password")]) == 1


async def test_a_password_is_reset_once(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, mail: MailServer
) -> None:
    token = await forgotten(client, mail, await register(client))
    body = {"reset_token": token, "password": "another horse"}
    assert await twice(client, elsewhere, "/auth/password/reset", body) == 204
    answer = await client.post("/auth/password/reset", json=body)
    assert answer.status_code == 401


async def test_an_email_is_proved_once(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, mail: MailServer
) -> None:
    account = await register(client)
    (letter,) = await letters_to(mail, account.email, page="verify-email")
    body = {"token": token_in(letter, "verify-email")}
    assert await twice(client, elsewhere, "/auth/email/verify", body) == 204
    assert (await client.post("/auth/email/verify", json=body)).status_code == 401
