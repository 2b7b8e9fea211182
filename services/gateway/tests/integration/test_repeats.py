"""Idempotency keys of who has not logged in: a repeat is answered, a guess is not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_gateway.auth.passwords import Passwords
from pydantic import SecretStr
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    RunGateway,
    http_client,
    register,
)

REPLAYED = "idempotent-replayed"


@pytest.fixture(scope="module")
async def another(gateway: Service, run_gateway: RunGateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a second gateway on the same database, from another address."""
    async with run_gateway(gateway.settings.amqp_url) as second, http_client(second) as client:
        yield client


def somebody(**overrides: str) -> dict[str, str]:
    email = f"Ana-{uuid4().hex}@example.com"
    return {"name": "Ana", "email": email, "password": "correct horse", **overrides}


async def ask(
    client: httpx.AsyncClient, path: str, body: dict[str, str], key: str
) -> httpx.Response:
    return await client.post(path, json=body, headers={"Idempotency-Key": key})


async def opened(client: httpx.AsyncClient, body: dict[str, str], key: str) -> httpx.Response:
    return await ask(client, "/auth/register", body, key)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def kept(service: Service) -> list[str]:
    """All that is kept of strangers' requests."""
    async with service.database.tenant("strangers") as tx:
        rows = await tx.fetch("SELECT command_replies::text AS row FROM command_replies")
    return [row["row"] for row in rows]


class TestRegistration:
    async def test_is_repeated_as_it_was_at_any_gateway(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        body, key = somebody(), str(uuid4())
        first = await opened(client, body, key)
        assert first.status_code == 201 and REPLAYED not in first.headers
        for where in (client, another):
            again = await opened(where, body, key)
            assert (again.status_code, again.content) == (201, first.content)
            assert again.headers[REPLAYED] == "true"
            assert again.headers["location"] == first.headers["location"]
        who = {"Authorization": f"Bearer {again.json()['access_token']}"}
        assert (await another.get("/auth/me", headers=who)).status_code == 200

    async def test_without_a_key_or_with_another_is_no_repeat(
        self, client: httpx.AsyncClient
    ) -> None:
        body = somebody()
        assert (await opened(client, body, str(uuid4()))).status_code == 201
        for headers in ({}, {"Idempotency-Key": str(uuid4())}):
            answer = await client.post("/auth/register", json=body, headers=headers)
            assert refusal(answer) == (409, "email_taken")

    async def test_of_another_body_is_refused_and_the_first_still_known(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        body, key = somebody(), str(uuid4())
        first = await opened(client, body, key)
        for other in ({"name": "Eva"}, {"password": "another horse"}, {"organization": "Loja"}):
            answer = await opened(another, {**body, **other}, key)
            assert refusal(answer) == (422, "idempotency_key_reused")
            assert "access_token" not in answer.text
        assert (await opened(another, body, key)).content == first.content

    async def test_of_somebody_else_with_the_same_key_is_their_own(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        key = str(uuid4())
        answers = [await opened(each, somebody(), key) for each in (client, another)]
        assert [answer.status_code for answer in answers] == [201, 201]
        tenants = {answer.json()["tenant"]["id"] for answer in answers}
        assert len(tenants) == 2 and not any(REPLAYED in answer.headers for answer in answers)

    async def test_is_refused_alike(self, client: httpx.AsyncClient) -> None:
        account = await register(client)
        body, key = somebody(email=account.email), str(uuid4())
        first, again = [await opened(client, body, key) for _ in range(2)]
        assert refusal(first) == refusal(again) == (409, "email_taken")
        assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
        assert {**first.json(), "request_id": 0} == {**again.json(), "request_id": 0}

    async def test_that_still_runs_is_not_begun_again(
        self,
        client: httpx.AsyncClient,
        another: httpx.AsyncClient,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        begun, may_go_on, hashed = asyncio.Event(), asyncio.Event(), Passwords.hash

        async def waiting(passwords: Passwords, password: str) -> str:
            begun.set()
            await may_go_on.wait()
            return await hashed(passwords, password)

        monkeypatch.setattr(Passwords, "hash", waiting)
        body, key = somebody(), str(uuid4())
        first = asyncio.create_task(opened(client, body, key))
        await begun.wait()
        assert refusal(await opened(another, body, key)) == (409, "idempotency_key_in_use")
        may_go_on.set()
        ended = await first
        assert (await opened(another, body, key)).content == ended.content


class TestGuessing:
    async def test_who_knows_a_key_has_few_guesses_at_the_password(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient, gateway: Service
    ) -> None:
        body, key = somebody(), str(uuid4())
        first = await opened(client, body, key)

        async def guess(number: int) -> int:
            wrong = {**body, "password": f"a guess {number}"}
            return (await opened((client, another)[number % 2], wrong, key)).status_code

        statuses = await asyncio.gather(*(guess(number) for number in range(20)))
        assert (statuses.count(422), statuses.count(429)) == (5, 15)
        # The right one is told no more than a wrong one now; another key is not held up.
        limited = await opened(client, body, key)
        assert refusal(limited) == (429, "too_many_attempts") and "retry-after" in limited.headers
        assert refusal(await opened(client, body, str(uuid4()))) == (409, "email_taken")
        assert first.json()["access_token"] not in "".join(await kept(gateway))

    async def test_the_owner_is_not_held_up_by_their_own_slips(
        self, client: httpx.AsyncClient
    ) -> None:
        body, key = somebody(), str(uuid4())
        first = await opened(client, body, key)
        for _ in range(3):
            for number in range(4):
                slip = await opened(client, {**body, "name": f"{number}"}, key)
                assert slip.status_code == 422
            assert (await opened(client, body, key)).content == first.content

    async def test_nothing_is_kept_in_clear(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        before = set(await kept(gateway))
        body = somebody()
        answer = await opened(client, body, key := str(uuid4()))
        (row,) = set(await kept(gateway)) - before
        assert key in row
        secrets = [answer.json()["access_token"], answer.json()["refresh_token"], body["password"]]
        for secret in (*secrets, body["email"].lower(), answer.json()["tenant"]["id"]):
            assert secret not in row

    async def test_what_is_refused_for_now_is_not_kept(
        self, gateway: Service, run_gateway: RunGateway
    ) -> None:
        busy = run_gateway(gateway.settings.amqp_url, registrations_per_address=1)
        async with busy as service, http_client(service) as client:
            assert (await opened(client, somebody(), "k")).status_code == 201
            before = await kept(gateway)
            body = somebody()
            assert refusal(await opened(client, body, "k")) == (429, "too_many_attempts")
            assert await kept(gateway) == before
            async with http_client(service) as elsewhere:
                assert (await opened(elsewhere, body, "k")).status_code == 201

    async def test_a_reply_of_a_lost_key_is_not_shown(
        self, client: httpx.AsyncClient, gateway: Service, run_gateway: RunGateway
    ) -> None:
        """Nor is it told whether the password is the right one."""
        body, key = somebody(), str(uuid4())
        await opened(client, body, key)
        turned = {"ingress_master_key": SecretStr("another master key, " + "x" * 32)}
        amqp_url = gateway.settings.amqp_url
        async with run_gateway(amqp_url, **turned) as service, http_client(service) as other:
            assert refusal(await opened(other, body, key)) == (422, "idempotency_key_reused")


class TestTokens:
    async def test_a_refresh_whose_answer_was_lost_ends_no_login(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        body, key = {"refresh_token": account.body["refresh_token"]}, str(uuid4())
        first = await ask(client, "/auth/refresh", body, key)
        again = await ask(another, "/auth/refresh", body, key)
        assert again.headers[REPLAYED] == "true"
        assert (again.status_code, again.content) == (200, first.content)
        body = {"refresh_token": again.json()["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == 200

    async def test_a_second_use_under_another_key_still_ends_the_login(
        self, client: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        body = {"refresh_token": account.body["refresh_token"]}
        first = await ask(client, "/auth/refresh", body, "mine")
        assert first.status_code == 200
        assert (await ask(client, "/auth/refresh", body, "a-thief")).status_code == 401
        body = {"refresh_token": first.json()["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == 401

    async def test_an_invitation_is_accepted_once_and_answered_again(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        admin = await register(client)
        new = {"name": "Zé", "email": f"{uuid4().hex}@example.com", "role": "agent"}
        made = await client.post("/agents", json=new, headers=admin.bearer)
        body = {"invitation_token": made.json()["invitation_token"], "password": "correct horse"}
        first, again = [
            await ask(each, "/auth/accept-invitation", body, "k") for each in (client, another)
        ]
        assert (again.status_code, again.content) == (200, first.content)
        assert again.headers[REPLAYED] == "true"
        other = {**body, "password": "another horse"}
        answer = await ask(another, "/auth/accept-invitation", other, "k")
        assert refusal(answer) == (422, "idempotency_key_reused")

    @pytest.mark.parametrize("key", ["", "a key", "ü", "k" * 256])
    async def test_an_unfit_key_is_refused(self, client: httpx.AsyncClient, key: str) -> None:
        headers: Any = {"Idempotency-Key": key.encode()}
        answer = await client.post("/auth/register", json=somebody(), headers=headers)
        assert refusal(answer) == (400, "invalid_idempotency_key")

    async def test_a_pair_that_was_used_is_not_shown_again(self, client: httpx.AsyncClient) -> None:
        """Whoever used it a second time would end the login."""
        account = await register(client)
        body = {"refresh_token": account.body["refresh_token"]}
        second = (await ask(client, "/auth/refresh", body, "k")).json()
        third = await client.post("/auth/refresh", json={"refresh_token": second["refresh_token"]})
        answer = await ask(client, "/auth/refresh", body, "k")
        assert refusal(answer) == (409, "answer_lost") and "token" not in answer.json()
        body = {"refresh_token": third.json()["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == 200
