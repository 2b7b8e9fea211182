"""Mail as those who get it see it, and what they do with it."""

import re

import httpx
from crm_fakes.mail import MailServer, Received
from service_kit.service import Service

from services.gateway.tests.integration.conftest import Account, until

PASSWORD, ANOTHER = "correct horse", "another horse"
LINK = re.compile(r"https://crm\.example\.com/(?P<page>[\w-]+)#token=(?P<token>[\w-]{43})\s")


def token_in(letter: Received, page: str = "reset-password") -> str:
    found = LINK.search(letter.text)
    assert found is not None and found["page"] == page
    return found["token"]


def is_of(letter: Received, email: str, page: str) -> bool:
    """Whether a letter is to this person, and its link leads to this page."""
    return letter.recipients == (email,) and f"/{page}#" in letter.text


async def letters_to(
    mail: MailServer, email: str, count: int = 1, *, page: str = "reset-password"
) -> list[Received]:
    return await mail.wait_for(lambda letter: is_of(letter, email, page), count=count)


async def forgot(client: httpx.AsyncClient, email: str, **headers: str) -> httpx.Response:
    return await client.post("/auth/password/forgot", json={"email": email}, headers=headers)


async def forgotten(client: httpx.AsyncClient, mail: MailServer, account: Account) -> str:
    """The token of the newest mail to who asks for one."""
    before = [each for each in mail.received if is_of(each, account.email, "reset-password")]
    assert (await forgot(client, account.email)).status_code == 202
    return token_in((await letters_to(mail, account.email, len(before) + 1))[-1])


async def reset(client: httpx.AsyncClient, token: str, password: str = ANOTHER) -> int | str:
    body = {"reset_token": token, "password": password}
    answer = await client.post("/auth/password/reset", json=body)
    return answer.status_code if answer.is_success else str(answer.json()["code"])


async def log_in(client: httpx.AsyncClient, email: str, password: str) -> int:
    body = {"email": email, "password": password}
    return (await client.post("/auth/login", json=body)).status_code


async def refreshes(client: httpx.AsyncClient, account: Account) -> int:
    body = {"refresh_token": account.body["refresh_token"]}
    return (await client.post("/auth/refresh", json=body)).status_code


async def knows(client: httpx.AsyncClient, account: Account) -> int:
    return (await client.get("/auth/me", headers=account.bearer)).status_code


async def nothing_waits(service: Service) -> None:
    async def empty() -> bool:
        async with service.database.system("mail") as tx:
            return not await tx.fetchval("SELECT count(*) FROM mails")

    await until(empty)
