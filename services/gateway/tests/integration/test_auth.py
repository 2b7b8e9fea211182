import asyncio
import time
from uuid import uuid4

import httpx
import pytest
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
)


def without_ids(response: httpx.Response) -> dict[str, object]:
    return {k: v for k, v in response.json().items() if k not in ("request_id", "instance")}


async def log_in(client: httpx.AsyncClient, email: str, password: str) -> httpx.Response:
    return await client.post("/auth/login", json={"email": email, "password": password})


class TestRegister:
    async def test_opens_a_company_with_its_admin(self, client: httpx.AsyncClient) -> None:
        account = await register(client, name=" Ana ")
        assert account.body["user"]["name"] == "Ana"
        assert account.body["tenant"]["name"] == "Loja Exemplo"
        assert account.body["token_type"] == "Bearer"
        assert account.body["expires_in"] == 900
        me = (await client.get("/auth/me", headers=account.bearer)).json()
        assert me["roles"] == ["admin"]
        assert me["permissions"] == ["*"]
        assert me["tenant"]["id"] == account.tenant_id

    async def test_says_that_an_agent_was_created(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        client.headers["X-Request-Id"] = "why-it-happened"
        account = await register(client)
        del client.headers["X-Request-Id"]
        async with gateway.database.tenant(account.tenant_id) as tx:
            (event,) = await tx.fetch("SELECT * FROM outbox_events")
        assert event["correlation_id"] == "why-it-happened"
        assert event["event_type"] == "agent.created"
        assert str(event["aggregate_id"]) == account.user_id
        assert event["payload"]["agent"]["email"] == account.email

    async def test_a_known_email_is_a_conflict_without_any_token(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        response = await client.post(
            "/auth/register",
            json={"name": "Eva", "email": account.email.upper(), "password": "other password"},
        )
        assert response.status_code == 409
        assert response.json()["code"] == "email_taken"
        assert "token" not in response.text

    async def test_of_many_at_once_with_one_email_one_wins(self, client: httpx.AsyncClient) -> None:
        body = {"name": "A", "email": f"{uuid4().hex}@example.com", "password": "12345678"}
        responses = await asyncio.gather(
            *(client.post("/auth/register", json=body) for _ in range(10))
        )
        assert sorted(r.status_code for r in responses) == [201] + [409] * 9

    @pytest.mark.parametrize(
        "wrong", [{"password": "short"}, {"email": "nobody"}, {"name": " "}, {"admin": True}]
    )
    async def test_unfit_fields_are_named(
        self, client: httpx.AsyncClient, wrong: dict[str, object]
    ) -> None:
        body = {"name": "A", "email": "a@example.com", "password": "12345678", **wrong}
        response = await client.post("/auth/register", json=body)
        assert response.status_code == 422
        assert [e["pointer"] for e in response.json()["errors"]] == [f"/{next(iter(wrong))}"]


class TestLogin:
    async def test_gives_tokens_for_the_right_password(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        response = await log_in(client, account.email.title(), account.password)
        assert response.status_code == 200
        assert response.json()["user"]["id"] == account.user_id

    async def test_wrong_email_and_wrong_password_look_alike(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        wrong = await log_in(client, account.email, "not the password")
        unknown = await log_in(client, f"{uuid4().hex}@example.com", "not the password")
        assert wrong.status_code == unknown.status_code == 401
        assert without_ids(wrong) == without_ids(unknown)
        assert wrong.headers["www-authenticate"] == "Bearer"

    async def test_an_unknown_email_costs_as_much_hashing(
        self, gateway: Service, run_gateway: RunGateway
    ) -> None:
        async with run_gateway(
            gateway.settings.amqp_url, login_failures_per_account=1000
        ) as service:
            client = http_client(service)
            account = await register(client)

            async def taken(email: str) -> float:
                begun = time.perf_counter()
                await log_in(client, email, "not the password")
                return time.perf_counter() - begun

            # In turn: what slows the machine down slows both down.
            both = [(await taken(account.email), await taken("no@example.com")) for _ in range(12)]
            known, unknown = map(min, zip(*both, strict=True))
            assert 0.4 < known / unknown < 2.5

    async def test_five_failures_lock_the_account_and_nobody_else(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        other = await register(client)
        for _ in range(5):
            assert (await log_in(client, account.email, "wrong")).status_code == 401
        locked = await log_in(client, account.email, account.password)
        assert locked.status_code == 429
        assert 0 < int(locked.headers["retry-after"]) <= 900
        assert (await log_in(client, other.email, other.password)).status_code == 200

    async def test_success_forgets_the_failures(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        for _ in range(3):
            for _ in range(4):
                assert (await log_in(client, account.email, "wrong")).status_code == 401
            assert (await log_in(client, account.email, account.password)).status_code == 200

    async def test_the_lock_opens_when_the_window_has_passed(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        for _ in range(5):
            await log_in(client, account.email, "wrong")
        assert (await log_in(client, account.email, account.password)).status_code == 429
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE tallies SET ends_at = now()")
        assert (await log_in(client, account.email, account.password)).status_code == 200

    async def test_behind_a_trusted_proxy_each_user_is_an_address_of_its_own(
        self, gateway: Service, run_gateway: RunGateway
    ) -> None:
        proxied = {"login_failures_per_address": 3, "trusted_proxies": "2001:db8::/32"}
        async with (
            run_gateway(gateway.settings.amqp_url, **proxied) as service,
            http_client(service) as client,
        ):

            async def fail(address: str) -> int:
                wrong = {"email": f"{uuid4()}@example.com", "password": "wrong-password-1"}
                asker = {"X-Forwarded-For": address}
                return (await client.post("/auth/login", json=wrong, headers=asker)).status_code

            assert [await fail("203.0.113.1") for _ in range(4)] == [401, 401, 401, 429]
            assert await fail("203.0.113.2") == 401
            # A proxy adds whom it sees to what it was told, and only that is believed.
            assert await fail("203.0.113.3, 203.0.113.1") == 429
            # So it is where it adds a line of its own behind one it was given.
            wrong = {"email": f"{uuid4()}@example.com", "password": "wrong-password-1"}
            lines = [("X-Forwarded-For", "203.0.113.4"), ("X-Forwarded-For", "203.0.113.1")]
            assert (await client.post("/auth/login", json=wrong, headers=lines)).status_code == 429

    async def test_many_failures_from_one_address_lock_the_address(
        self, gateway: Service, run_gateway: RunGateway
    ) -> None:
        async with (
            run_gateway(gateway.settings.amqp_url, login_failures_per_address=3) as service,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(service.app, client=("203.0.113.9", 1)),
                base_url="http://gateway/api/v1",
            ) as client,
        ):
            for _ in range(3):
                assert (await log_in(client, f"{uuid4()}@example.com", "x")).status_code == 401
            assert (await log_in(client, f"{uuid4()}@example.com", "x")).status_code == 429


class TestRefresh:
    async def test_gives_a_new_pair_that_works(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        token = account.body["refresh_token"]
        response = await client.post("/auth/refresh", json={"refresh_token": token})
        assert response.status_code == 200
        pair = response.json()
        assert pair["refresh_token"] != token
        bearer = {"Authorization": f"Bearer {pair['access_token']}"}
        assert (await client.get("/auth/me", headers=bearer)).status_code == 200

    async def test_reuse_revokes_the_family_but_no_other_login(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        other = (await log_in(client, account.email, account.password)).json()["refresh_token"]
        old = account.body["refresh_token"]
        new = (await client.post("/auth/refresh", json={"refresh_token": old})).json()
        reused = await client.post("/auth/refresh", json={"refresh_token": old})
        assert reused.status_code == 401
        assert reused.json()["code"] == "invalid_refresh_token"
        after = await client.post("/auth/refresh", json={"refresh_token": new["refresh_token"]})
        assert after.status_code == 401
        untouched = await client.post("/auth/refresh", json={"refresh_token": other})
        assert untouched.status_code == 200

    async def test_of_many_uses_at_once_at_most_one_succeeds(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        body = {"refresh_token": account.body["refresh_token"]}
        responses = await asyncio.gather(
            *(client.post("/auth/refresh", json=body) for _ in range(10))
        )
        assert sorted(r.status_code for r in responses) == [200] + [401] * 9

    async def test_an_expired_token_is_refused(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE refresh_tokens SET expires_at = now() - interval '1 s'")
        body = {"refresh_token": account.body["refresh_token"]}
        assert (await client.post("/auth/refresh", json=body)).status_code == 401

    async def test_an_unknown_token_is_refused(self, client: httpx.AsyncClient) -> None:
        response = await client.post("/auth/refresh", json={"refresh_token": "x"})
        assert response.status_code == 401


class TestLogout:
    async def test_ends_the_login_and_is_repeatable(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        body = {"refresh_token": account.body["refresh_token"]}
        assert (await client.post("/auth/logout", json=body)).status_code == 204
        assert (await client.post("/auth/logout", json=body)).status_code == 204
        assert (await client.post("/auth/refresh", json=body)).status_code == 401


class TestMe:
    async def test_nobody_is_unauthenticated(self, client: httpx.AsyncClient) -> None:
        response = await client.get("/auth/me")
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["content-type"] == "application/problem+json"
