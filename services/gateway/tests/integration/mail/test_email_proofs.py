"""Whose an e-mail is: proved by a link that was mailed there, and by nothing else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from crm_fakes.mail import MailServer
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import PUBLIC
from crm_gateway.settings import GatewaySettings
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
    until,
)
from services.gateway.tests.integration.mail.letters import (
    PASSWORD,
    forgotten,
    letters_to,
    log_in,
    nothing_waits,
    reset,
    token_in,
)

PAGE = "verify-email"


@pytest.fixture(scope="module")
async def demanding(mailing: Service, run_gateway: RunGateway) -> AsyncIterator[Service]:
    """Another gateway on the same database, that demands a proof."""
    settings = mailing.settings
    assert isinstance(settings, GatewaySettings)
    async with run_gateway(
        settings.amqp_url,
        database_url=settings.database_url,
        smtp_url=settings.smtp_url,
        mail_from="Ventros <no-reply@example.com>",
        public_url="https://crm.example.com",
        require_verified_email=True,
    ) as service:
        yield service


@pytest.fixture
async def door(demanding: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of that one."""
    async with http_client(demanding) as client:
        yield client


async def proof(mail: MailServer, email: str, count: int = 1) -> str:
    """The token of the newest letter that asks for a proof."""
    return token_in((await letters_to(mail, email, count, page=PAGE))[-1], PAGE)


async def verify(client: httpx.AsyncClient, token: str) -> int | str:
    answer = await client.post("/auth/email/verify", json={"token": token})
    return answer.status_code if answer.is_success else str(answer.json()["code"])


async def again(client: httpx.AsyncClient, account: Account) -> int | str:
    answer = await client.post("/auth/email/verification", headers=account.bearer)
    return answer.status_code if answer.is_success else str(answer.json()["code"])


async def is_proved(client: httpx.AsyncClient, account: Account) -> bool:
    answer = await client.get("/auth/me", headers=account.bearer)
    return bool(answer.json()["user"]["email_verified"])


async def invite(client: httpx.AsyncClient, who: Account, **more: Any) -> dict[str, Any]:
    email = f"bia-{uuid4().hex}@example.com"
    body = {"name": "Bia", "email": email, "role": "admin", **more}
    found: dict[str, Any] = (await client.post("/agents", json=body, headers=who.bearer)).json()
    return found


async def accept(client: httpx.AsyncClient, token: str) -> Account:
    body = {"invitation_token": token, "password": PASSWORD}
    answer = await client.post("/auth/accept-invitation", json=body)
    assert answer.status_code == 200, answer.text
    return Account(answer.json()["user"]["email"], PASSWORD, answer.json())


async def move(client: httpx.AsyncClient, who: Account, whom: str, email: str) -> int | str:
    body = {"email": email}
    answer = await client.put(f"/agents/{whom}", json=body, headers=who.bearer)
    return answer.status_code if answer.is_success else str(answer.json()["code"])


class TestProof:
    async def test_is_mailed_to_who_registers_and_works_once(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account, other = await register(client, name="Buy now"), await register(client)
        assert account.body["user"]["email_verified"] is False
        assert not await is_proved(client, account)
        (letter,) = await letters_to(mail, account.email, page=PAGE)
        assert "Buy now" not in letter.text
        token = token_in(letter, PAGE)
        async with mailing.database.tenant(account.tenant_id) as tx:
            assert token not in await tx.fetchval("SELECT users::text FROM users")
        tried = await asyncio.gather(*(verify(client, token) for _ in range(5)))
        assert Counter(tried) == {204: 1, "invalid_verification_token": 4}
        assert await is_proved(client, account) and not await is_proved(client, other)
        body = {"email": account.email, "password": PASSWORD}
        assert (await client.post("/auth/login", json=body)).json()["user"]["email_verified"]
        assert await again(client, account) == "email_verified"
        async with mailing.database.tenant(account.tenant_id) as tx:
            (act,) = await tx.fetch("SELECT * FROM audit_log")
        assert act["action"] == "agent.verify_email"
        assert act["actor_id"] == act["target_id"] == UUID(account.user_id)

    async def test_a_stale_link_proves_nothing(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account = await register(client)
        older = await proof(mail, account.email)
        assert await again(client, account) == 202
        newer = await proof(mail, account.email, 2)
        assert await verify(client, older) == "invalid_verification_token"
        async with mailing.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE users SET verification_expires_at = now()")
        assert await verify(client, newer) == "invalid_verification_token"
        assert not await is_proved(client, account)

    async def test_is_of_the_address_it_was_mailed_to(
        self, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(client)
        older = await proof(mail, account.email)
        moved = f"moved-{account.email}"
        assert await move(client, account, account.user_id, moved) == 200
        assert await verify(client, older) == "invalid_verification_token"
        assert await verify(client, await proof(mail, moved)) == 204
        assert await is_proved(client, account)
        # Who is proved at one address is nobody yet at another, nor back at the first.
        assert await move(client, account, account.user_id, account.email) == 200
        assert not await is_proved(client, account)
        assert await verify(client, await proof(mail, account.email, 2)) == 204
        # Another name is no other address.
        path, name = f"/agents/{account.user_id}", {"name": "Ana Maria"}
        await client.put(path, json=name, headers=account.bearer)
        assert await is_proved(client, account)

    async def test_speaks_the_language_of_who_gets_it(
        self, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        client.headers["Accept-Language"] = "pt-BR"
        account = await register(client)
        (letter,) = await letters_to(mail, account.email, page=PAGE)
        assert letter.text.startswith("Olá,")

    async def test_so_many_are_mailed_again_and_not_one_more(
        self, client: httpx.AsyncClient, mailing: Service, mail: MailServer
    ) -> None:
        account, other = await register(client), await register(client)
        tried = await asyncio.gather(*(again(client, account) for _ in range(9)))
        assert Counter(tried) == {202: 5, "too_many_attempts": 4}
        assert await again(client, other) == 202
        await nothing_waits(mailing)
        assert await verify(client, await proof(mail, account.email)) in (
            204,
            "invalid_verification_token",  # letters overtake each other
        )

    async def test_of_a_person_is_no_business_of_a_key(self, client: httpx.AsyncClient) -> None:
        account = await register(client)
        made = await client.post("/api-keys", json={"name": "k"}, headers=account.bearer)
        by = {"X-Api-Key": made.json()["key"]}
        answer = await client.post("/auth/email/verification", headers=by)
        assert (answer.status_code, answer.json()["code"]) == (403, "person_required")

    async def test_a_company_writes_to_so_many_addresses(self, client: httpx.AsyncClient) -> None:
        account = await register(client)
        tried = [
            await move(client, account, account.user_id, f"{uuid4().hex}@example.com")
            for _ in range(6)
        ]
        assert tried == [200] * 5 + ["too_many_attempts"]

    @pytest.mark.parametrize("body", [{"token": ""}, {"token": "x" * 501}, {}, {"token": 7}])
    async def test_takes_a_token(self, client: httpx.AsyncClient, body: dict[str, Any]) -> None:
        assert (await client.post("/auth/email/verify", json=body)).status_code == 422


class TestByOtherMail:
    async def test_a_new_password_by_mail_proves_the_address(
        self, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(client)
        assert await reset(client, await forgotten(client, mail, account)) == 204
        body = {"email": account.email, "password": "another horse"}
        assert (await client.post("/auth/login", json=body)).json()["user"]["email_verified"]

    async def test_an_invitation_does_if_it_was_mailed(
        self, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(client)
        handed_over, mailed = await invite(client, account), await invite(client, account)
        by_hand = await accept(client, handed_over["invitation_token"])
        assert by_hand.body["user"]["email_verified"] is False
        (letter,) = await letters_to(mail, mailed["email"], page="accept-invitation")
        token = token_in(letter, "accept-invitation")
        assert token != mailed["invitation_token"]
        # It gives a first password; without one it proves nothing, and stays good.
        assert await verify(client, token) == "invalid_verification_token"
        by_mail = await accept(client, token)
        assert by_mail.body["user"]["email_verified"] is True
        for used in (token, mailed["invitation_token"], handed_over["invitation_token"]):
            body = {"invitation_token": used, "password": PASSWORD}
            answer = await client.post("/auth/accept-invitation", json=body)
            assert answer.json()["code"] == "invalid_invitation"


class TestDemanded:
    async def test_who_has_not_proved_it_may_only_prove_it_and_leave(
        self, door: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(door)
        assert await log_in(door, account.email, PASSWORD) == 200
        for row in ROUTES:
            if row.permission == PUBLIC or row.despite:
                continue
            path = row.path.format(**dict.fromkeys(row.parameters, str(uuid4())))
            answer = await door.request(row.method, path, headers=account.bearer)
            told = (answer.status_code, answer.json()["code"])
            assert told == (403, "email_unverified"), (row.method, row.path)
        assert await again(door, account) == 202
        body = {"refresh_token": account.body["refresh_token"]}
        assert (await door.post("/auth/refresh", json=body)).status_code == 200
        leaving = await door.post("/auth/logout-everywhere", headers=account.bearer)
        assert leaving.status_code == 204

    async def test_who_proves_it_is_in_at_once_at_every_gateway(
        self, door: httpx.AsyncClient, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(client)
        assert (await door.get("/auth/me", headers=account.bearer)).status_code == 403
        assert await verify(client, await proof(mail, account.email)) == 204

        async def is_in() -> bool:
            return (await door.get("/auth/me", headers=account.bearer)).status_code == 200

        await until(is_in, seconds=5)  # less than a gateway remembers of what it was not told

    async def test_one_who_was_never_let_in_can_be_moved_to_the_right_address(
        self, door: httpx.AsyncClient, client: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(client)
        made = await client.post("/api-keys", json={"name": "k"}, headers=account.bearer)
        by = {"X-Api-Key": made.json()["key"]}
        path, right = f"/agents/{account.user_id}", f"right-{account.email}"
        assert (await door.put(path, json={"email": right}, headers=by)).status_code == 200
        assert await verify(door, await proof(mail, right)) == 204
        assert await is_proved(door, account)

    async def test_a_key_is_not_asked(
        self, door: httpx.AsyncClient, client: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        made = await client.post("/api-keys", json={"name": "k"}, headers=account.bearer)
        by = {"X-Api-Key": made.json()["key"]}
        assert (await door.get("/agents", headers=by)).status_code == 200

    async def test_the_last_admin_who_is_let_in_stays_so(
        self, door: httpx.AsyncClient, mail: MailServer
    ) -> None:
        account = await register(door)
        assert await verify(door, await proof(mail, account.email)) == 204
        second = await accept(door, (await invite(door, account))["invitation_token"])
        here, off = f"/agents/{account.user_id}", {"active": False}
        moved = f"moved-{account.email}"
        assert await move(door, account, account.user_id, moved) == "last_admin"
        answer = await door.put(here, json=off, headers=account.bearer)
        assert answer.json()["code"] == "last_admin"
        assert await again(door, second) == 202
        assert await verify(door, await proof(mail, second.email)) == 204
        # Of two who move at once, each trusting the other, one stays.
        tried = await asyncio.gather(
            move(door, account, account.user_id, moved),
            move(door, second, second.user_id, f"moved-{second.email}"),
        )
        assert sorted(map(str, tried)) == ["200", "last_admin"]
