"""Idempotency keys of logins and logouts: a lost answer is told again, and no way past a limit."""

import asyncio
from uuid import uuid4

import httpx
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
)
from services.gateway.tests.integration.test_repeats import (
    REPLAYED,
    another,
    ask,
    kept,
    refusal,
)
from services.gateway.tests.integration.test_two_factor import enabled

__all__ = ["another"]


async def logged_in(client: httpx.AsyncClient, who: Account, key: str) -> httpx.Response:
    return await ask(client, "/auth/login", {"email": who.email, "password": who.password}, key)


class TestLogin:
    async def test_whose_answer_was_lost_is_answered_again_at_any_gateway(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        first = await logged_in(client, account, "k")
        again = await logged_in(another, account, "k")
        assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
        assert (first.status_code, again.content) == (200, first.content)
        other = await logged_in(another, account, "l")
        assert other.json()["refresh_token"] != first.json()["refresh_token"]
        body = {"refresh_token": again.json()["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == 200

    async def test_that_was_refused_is_refused_alike(self, client: httpx.AsyncClient) -> None:
        body = {"email": f"{uuid4().hex}@example.com", "password": "a guess"}
        first, again = [await ask(client, "/auth/login", body, "k") for _ in range(2)]
        assert refusal(first) == refusal(again) == (401, "invalid_credentials")
        assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")

    async def test_that_was_told_to_wait_may_be_tried_again(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        account = await register(client)
        for _ in range(5):
            await client.post("/auth/login", json={"email": account.email, "password": "wrong"})
        for _ in range(2):
            answer = await logged_in(client, account, "k")
            assert refusal(answer) == (429, "too_many_attempts") and REPLAYED not in answer.headers
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE tallies SET ends_at = now()")
        assert (await logged_in(client, account, "k")).status_code == 200

    async def test_a_guess_by_its_key_is_shown_nothing_and_counts_as_a_wrong_password(
        self, client: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        for key in ("a", "b", "c"):
            assert (await logged_in(client, account, key)).status_code == 200

        async def guess(number: int) -> httpx.Response:
            body = {"email": account.email, "password": f"a guess {number}"}
            return await ask(client, "/auth/login", body, "abc"[number % 3])

        answers = await asyncio.gather(*(guess(number) for number in range(30)))
        told = [refusal(answer) for answer in answers]
        # By three keys at once no more than by none.
        assert told.count((422, "idempotency_key_reused")) == 5
        assert told.count((429, "too_many_attempts")) == 25
        assert not any("access_token" in answer.text for answer in answers)
        # Who is locked out is let in by no key either, with the right password.
        for key in ("a", "z"):
            assert refusal(await logged_in(client, account, key)) == (429, "too_many_attempts")

    async def test_repeats_cost_no_attempts(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        first = await logged_in(client, account, "k")
        for _ in range(4):
            wrong = {"email": account.email, "password": "wrong"}
            assert (await client.post("/auth/login", json=wrong)).status_code == 401
        for _ in range(8):
            assert (await logged_in(client, account, "k")).content == first.content
        assert (await logged_in(client, account, "l")).status_code == 200

    async def test_that_has_ended_is_not_shown_again(self, client: httpx.AsyncClient) -> None:
        account = await register(client)

        async def log_out(tokens: dict[str, str]) -> httpx.Response:
            return await client.post(
                "/auth/logout", json={"refresh_token": tokens["refresh_token"]}
            )

        async def everywhere(tokens: dict[str, str]) -> httpx.Response:
            who = {"Authorization": f"Bearer {tokens['access_token']}"}
            return await client.post("/auth/logout-everywhere", headers=who)

        async def go_on(tokens: dict[str, str]) -> httpx.Response:
            return await client.post(
                "/auth/refresh", json={"refresh_token": tokens["refresh_token"]}
            )

        async def choose(tokens: dict[str, str]) -> httpx.Response:
            who = {"Authorization": f"Bearer {tokens['access_token']}"}
            body = {"current_password": account.password, "new_password": "another horse"}
            return await client.post("/auth/password", json=body, headers=who)

        for end in (log_out, everywhere, go_on, choose):
            key = end.__name__
            first = await logged_in(client, account, key)
            assert (await end(first.json())).is_success
            answer = await logged_in(client, account, key)
            assert refusal(answer) == (409, "answer_lost"), key
            assert "access_token" not in answer.text

    async def test_is_not_shown_again_once_its_access_token_has_ended(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        account = await register(client)
        assert (await logged_in(client, account, "k")).status_code == 200
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute(
                "UPDATE refresh_tokens SET created_at = created_at - interval '15 min'"
            )
        assert refusal(await logged_in(client, account, "k")) == (409, "answer_lost")

    async def test_with_a_code_is_answered_again_and_lets_nobody_in_anew(
        self, client: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        _, codes = await enabled(client, account)
        body = {"email": account.email, "password": account.password, "code": codes[0]}
        first, again = [await ask(client, "/auth/login", body, "k") for _ in range(2)]
        assert (again.status_code, again.content) == (200, first.content)
        assert refusal(await ask(client, "/auth/login", body, "l")) == (401, "invalid_code")
        other = {**body, "code": codes[1]}
        assert refusal(await ask(client, "/auth/login", other, "k")) == (
            422,
            "idempotency_key_reused",
        )


class TestLogout:
    async def test_is_answered_again_and_ends_nothing_else(
        self, client: httpx.AsyncClient, another: httpx.AsyncClient
    ) -> None:
        account = await register(client)
        body = {"refresh_token": account.body["refresh_token"]}
        first, again = [await ask(each, "/auth/logout", body, "k") for each in (client, another)]
        assert (first.status_code, again.status_code) == (204, 204)
        assert (REPLAYED in first.headers, again.headers[REPLAYED]) == (False, "true")
        assert refusal(await ask(client, "/auth/refresh", body, "k")) == (
            422,
            "idempotency_key_reused",
        )
        assert (await client.post("/auth/refresh", json=body)).status_code == 401

    async def test_of_made_up_tokens_is_kept_so_many_times(
        self, gateway: Service, run_gateway: RunGateway
    ) -> None:
        busy = run_gateway(gateway.settings.amqp_url, login_failures_per_address=3)
        async with busy as service, http_client(service) as client:
            account = await register(client)
            before = len(await kept(service))
            statuses = [
                (await ask(client, "/auth/logout", {"refresh_token": f"x{n}"}, "k")).status_code
                for n in range(5)
            ]
            assert statuses == [204, 204, 204, 429, 429]
            assert len(await kept(service)) == before + 3
            # Whoever wants out gets out all the same.
            body = {"refresh_token": account.body["refresh_token"]}
            assert (await ask(client, "/auth/logout", body, "k")).status_code == 204
            assert (await client.post("/auth/refresh", json=body)).status_code == 401
