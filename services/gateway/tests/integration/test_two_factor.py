"""Who has a second factor comes in with both, and nobody else does."""

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pyotp
import pytest
from crm_gateway.settings import GatewaySettings
from crm_testing.commands import crm
from service_kit.service import Service

from services.gateway.tests.integration.conftest import Account, RunGateway, http_client, register
from services.gateway.tests.integration.test_sessions import bearer, colleague

PASSWORD = "correct horse"


class Device:
    """An authenticator. A code is worth something once, and no more than one step before its time:
    two can be had at once."""

    def __init__(self, secret: str) -> None:
        self._totp = pyotp.TOTP(secret)
        self._last = 0

    def code(self) -> str:
        self._last = max(self._last + 1, self._totp.timecode(datetime.now(UTC)))
        return self._totp.generate_otp(self._last)

    def wrong(self) -> str:
        about = self._totp.timecode(datetime.now(UTC))
        shown = {self._totp.generate_otp(about + off) for off in range(-3, 4)}
        return next(c for c in map("{:06d}".format, range(10**6)) if c not in shown)


async def enabled(client: httpx.AsyncClient, who: Account) -> tuple[Device, list[str]]:
    """An authenticator, of which one more code can be had at once, and the recovery codes."""
    begun = await client.post(
        "/auth/two-factor", json={"password": who.password}, headers=who.bearer
    )
    assert begun.status_code == 201
    device = Device(begun.json()["secret"])
    confirmed = await client.post(
        "/auth/two-factor/confirm", json={"code": device.code()}, headers=who.bearer
    )
    assert confirmed.status_code == 200
    return device, confirmed.json()["recovery_codes"]


async def log_in(client: httpx.AsyncClient, who: Account, code: str | None = None) -> Any:
    """The tokens, or the code of the refusal."""
    body = {"email": who.email, "password": who.password}
    response = await client.post("/auth/login", json=body | ({"code": code} if code else {}))
    return response.json() if response.is_success else response.json()["code"]


async def stands(client: httpx.AsyncClient, who: Account) -> tuple[bool, int]:
    body = (await client.get("/auth/two-factor", headers=who.bearer)).json()
    assert (body["enabled_at"] is not None) == body["enabled"]
    return body["enabled"], body["recovery_codes_left"]


class TestLogin:
    async def test_takes_password_and_code_once_enabled_and_each_code_once(
        self, client: httpx.AsyncClient
    ) -> None:
        who, neighbour = await register(client), await register(client)
        assert await stands(client, who) == (False, 0)
        device, codes = await enabled(client, who)
        assert await stands(client, who) == (True, 10)
        assert await log_in(client, who) == "two_factor_required"
        assert await log_in(client, who, device.wrong()) == "invalid_code"
        code = device.code()
        assert "access_token" in await log_in(client, who, f"{code[:3]} {code[3:]}")
        assert await log_in(client, who, code) == "invalid_code"
        assert "access_token" in await log_in(client, who, codes[0])
        assert "access_token" in await log_in(client, neighbour)
        assert await stands(client, neighbour) == (False, 0)

    async def test_tells_of_it_only_with_the_right_password(
        self, client: httpx.AsyncClient
    ) -> None:
        who = await register(client)
        device, _ = await enabled(client, who)
        body = {"email": who.email, "password": "another one", "code": device.code()}
        wrong = await client.post("/auth/login", json=body)
        unknown = await client.post("/auth/login", json=body | {"email": f"{uuid4()}@example.com"})
        for answer in (wrong, unknown):
            assert (answer.status_code, answer.json()["code"]) == (401, "invalid_credentials")
        assert "access_token" in await log_in(client, who, body["code"])  # it was not used up

    async def test_takes_a_recovery_code_once_however_typed(
        self, client: httpx.AsyncClient
    ) -> None:
        who, other = await register(client), await register(client)
        _, codes = await enabled(client, who)
        _, foreign = await enabled(client, other)
        assert await log_in(client, who, foreign[0]) == "invalid_code"
        assert "access_token" in await log_in(client, who, codes[0].upper().replace("-", " "))
        assert await log_in(client, who, codes[0]) == "invalid_code"
        assert await stands(client, who) == (True, 9)
        assert await stands(client, other) == (True, 10)

    async def test_of_many_at_once_with_one_code_lets_one_in(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        who = await register(client)
        device, codes = await enabled(client, who)
        for code in (device.code(), codes[0]):
            async with http_client(gateway) as elsewhere:
                answers = await asyncio.gather(
                    *(log_in(c, who, code) for c in (client, elsewhere) for _ in range(2))
                )
            assert sum("access_token" in answer for answer in answers) == 1

    async def test_ends_the_guessing_wherever_it_comes_from(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        who = await register(client)
        device, codes = await enabled(client, who)
        answers = []
        for _ in range(7):
            async with http_client(gateway) as stranger:
                answers.append(await log_in(stranger, who, device.wrong()))
        assert answers == ["invalid_code"] * 5 + ["too_many_attempts"] * 2
        assert await log_in(client, who, codes[0]) == "too_many_attempts"
        # Who sends none is told, guess after guess: it is no guess.
        assert [await log_in(client, who) for _ in range(7)] == ["two_factor_required"] * 7

    async def test_is_not_kept_from_its_owner_by_who_knows_the_password(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        async with http_client(gateway) as home:
            who = await register(home)
            assert "access_token" in await log_in(home, who)
            device, codes = await enabled(home, who)
            async with http_client(gateway) as stranger:
                guesses = [await log_in(stranger, who, device.wrong()) for _ in range(6)]
            assert guesses == ["invalid_code"] * 5 + ["too_many_attempts"]
            assert await log_in(client, who, codes[0]) == "too_many_attempts"
            assert "access_token" in await log_in(home, who, codes[0])
            # From there as well it is guessed so often and no more.
            guesses = [await log_in(home, who, device.wrong()) for _ in range(6)]
            assert guesses == ["invalid_code"] * 5 + ["too_many_attempts"]

    async def test_is_not_given_away_by_a_replayed_key(self, client: httpx.AsyncClient) -> None:
        who = await register(client)
        device, _ = await enabled(client, who)
        body = {"email": who.email, "password": who.password, "code": device.code()}
        first = await client.post("/auth/login", json=body)
        again = await client.post("/auth/login", json=body)
        assert (first.status_code, again.status_code) == (200, 401)


class TestBeginning:
    async def test_takes_the_password_and_binds_nobody(self, client: httpx.AsyncClient) -> None:
        who = await register(client)
        wrong = await client.post(
            "/auth/two-factor", json={"password": "another one"}, headers=who.bearer
        )
        assert (wrong.status_code, wrong.json()["errors"][0]["code"]) == (422, "wrong_password")
        path, body = "/auth/two-factor", {"password": who.password}
        first = (await client.post(path, json=body, headers=who.bearer)).json()
        assert "access_token" in await log_in(client, who)
        second = (await client.post(path, json=body, headers=who.bearer)).json()
        assert first["secret"] != second["secret"]
        assert second["otpauth_uri"].startswith("otpauth://totp/Ventros%20CRM:")
        stale = {"code": Device(first["secret"]).code()}
        refused = await client.post("/auth/two-factor/confirm", json=stale, headers=who.bearer)
        assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "wrong_code")
        assert await stands(client, who) == (False, 0)
        fresh = {"code": Device(second["secret"]).code()}
        done = await client.post("/auth/two-factor/confirm", json=fresh, headers=who.bearer)
        assert len(done.json()["recovery_codes"]) == 10

    async def test_shows_the_same_again_for_the_same_key_and_keeps_nothing_in_the_clear(
        self, client: httpx.AsyncClient, gateway: Service
    ) -> None:
        who = await register(client)
        headers = who.bearer | {"Idempotency-Key": str(uuid4())}
        body = {"password": who.password}
        first = await client.post("/auth/two-factor", json=body, headers=headers)
        again = await client.post("/auth/two-factor", json=body, headers=headers)
        assert first.json() == again.json()
        secret = first.json()["secret"]
        async with gateway.database.tenant(who.tenant_id) as tx:
            for table in ("authenticators", "command_replies"):
                rows = await tx.fetch(f"SELECT t::text FROM {table} t")  # noqa: S608 - ours
                assert rows and not any(secret in row[0] for row in rows), table

    @pytest.mark.parametrize("path", ["confirm", "recovery-codes", "disable"])
    async def test_comes_first(self, client: httpx.AsyncClient, path: str) -> None:
        who = await register(client)
        body = {"code": "123456"} | ({} if path == "confirm" else {"password": who.password})
        answer = await client.post(f"/auth/two-factor/{path}", json=body, headers=who.bearer)
        expected = "two_factor_not_begun" if path == "confirm" else "two_factor_not_enabled"
        assert (answer.status_code, answer.json()["code"]) == (409, expected)

    async def test_is_no_matter_of_keys_nor_of_who_has_one(self, client: httpx.AsyncClient) -> None:
        who = await register(client)
        scopes = {"name": "all", "scopes": ["agents.manage"]}
        key = (await client.post("/api-keys", json=scopes, headers=who.bearer)).json()["key"]
        by_key = {"X-Api-Key": key}
        asked = await client.get("/auth/two-factor", headers=by_key)
        assert (asked.status_code, asked.json()["code"]) == (403, "person_required")
        device, _ = await enabled(client, who)
        body = {"password": who.password}
        again = await client.post("/auth/two-factor", json=body, headers=who.bearer)
        assert (again.status_code, again.json()["code"]) == (409, "two_factor_enabled")
        twice = {"code": device.code()}
        again = await client.post("/auth/two-factor/confirm", json=twice, headers=who.bearer)
        assert (again.status_code, again.json()["code"]) == (409, "two_factor_enabled")


class TestEnding:
    async def test_takes_password_and_code(self, client: httpx.AsyncClient) -> None:
        who = await register(client)
        device, codes = await enabled(client, who)
        path = "/auth/two-factor/disable"
        for body, code in (
            ({"password": "another one", "code": codes[0]}, "wrong_password"),
            ({"password": who.password, "code": device.wrong()}, "wrong_code"),
        ):
            refused = await client.post(path, json=body, headers=who.bearer)
            assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, code)
        assert await log_in(client, who) == "two_factor_required"
        body = {"password": who.password, "code": codes[0]}
        assert (await client.post(path, json=body, headers=who.bearer)).status_code == 204
        assert "access_token" in await log_in(client, who)
        assert await stands(client, who) == (False, 0)
        _, others = await enabled(client, who)  # and anew
        assert await log_in(client, who, codes[1]) == "invalid_code"
        assert "access_token" in await log_in(client, who, others[1])

    async def test_of_recovery_codes_gives_others(self, client: httpx.AsyncClient) -> None:
        who = await register(client)
        device, codes = await enabled(client, who)
        body = {"password": who.password, "code": device.code()}
        path = "/auth/two-factor/recovery-codes"
        others = (await client.post(path, json=body, headers=who.bearer)).json()["recovery_codes"]
        assert len({*codes, *others}) == 20
        assert await log_in(client, who, codes[0]) == "invalid_code"
        assert "access_token" in await log_in(client, who, others[0])
        refused = await client.post(path, json=body, headers=who.bearer)  # used up
        assert refused.json()["errors"][0]["code"] == "wrong_code"

    async def test_by_an_admin_lets_somebody_in_who_has_lost_everything(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await colleague(client, account, "supervisor")
        who = Account(email=bia["email"], password=PASSWORD, body=bia)
        await enabled(client, who)
        assert await log_in(client, who) == "two_factor_required"
        path = f"/agents/{bia['id']}/two-factor"
        stranger = await register(client)
        assert (await client.delete(path, headers=stranger.bearer)).status_code == 404
        assert (await client.delete(path, headers=bearer(bia))).status_code == 403
        stale = account.bearer | {"If-Match": '"99"'}
        assert (await client.delete(path, headers=stale)).status_code == 412
        assert await log_in(client, who) == "two_factor_required"
        for _ in range(2):
            assert (await client.delete(path, headers=account.bearer)).status_code == 204
        assert "access_token" in await log_in(client, who)
        log = await client.get("/audit-log", headers=account.bearer)
        acts = [entry["action"] for entry in log.json()["data"]]
        assert acts.count("agent.reset_two_factor") == 1
        assert acts.count("agent.enable_two_factor") == 1
        own = f"/agents/{account.user_id}/two-factor"
        refused = await client.delete(own, headers=account.bearer)
        assert (refused.status_code, refused.json()["code"]) == (403, "own_two_factor")


async def test_who_manages_people_sees_who_has_one(client: httpx.AsyncClient) -> None:
    account, other = await register(client), await register(client)
    supervisor = await colleague(client, account, "supervisor")
    await enabled(client, account)
    await enabled(client, other)

    async def told(headers: dict[str, str]) -> dict[str, tuple[Any, Any]]:
        listed = (await client.get("/agents", headers=headers)).json()["data"]
        return {each["name"]: (each["two_factor"], each["email_verified"]) for each in listed}

    assert await told(account.bearer) == {"Ana": (True, False), "Bia": (False, False)}
    assert set((await told(bearer(supervisor))).values()) == {(None, None)}


async def test_another_key_leaves_the_recovery_codes(
    client: httpx.AsyncClient, gateway: Service, run_gateway: RunGateway
) -> None:
    who = await register(client)
    device, codes = await enabled(client, who)
    other_key = {"ingress_master_key": "another-master-key-of-thirty-two-characters"}
    async with (
        run_gateway(gateway.settings.amqp_url, **other_key) as replaced,
        http_client(replaced) as there,
    ):
        assert await log_in(there, who, device.code()) == "invalid_code"
        assert "access_token" in await log_in(there, who, codes[0])


async def test_keys_rotate_brings_authenticators_to_the_new_master_key(
    client: httpx.AsyncClient, gateway: Service, run_gateway: RunGateway
) -> None:
    settings = gateway.settings
    assert isinstance(settings, GatewaySettings)
    who = await register(client)
    device, _ = await enabled(client, who)
    new = "yet-another-master-key-of-thirty-two-characters"
    turning = {
        "CRM_ENV": "test",
        "DATABASE_URL": settings.postgres_dsn,
        "RABBITMQ_URL": settings.amqp_url,
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "INGRESS_MASTER_KEY": new,
        "INGRESS_MASTER_KEY_PREVIOUS": settings.ingress_master_key.get_secret_value(),
    }
    said = await crm("gateway", "keys", "rotate", **turning)
    authenticators = said.documents[0]
    assert authenticators["what"] == "authenticators.sealed_secret"
    assert authenticators["rotated"] >= 1
    async with (
        run_gateway(settings.amqp_url, ingress_master_key=new) as turned,
        http_client(turned) as there,
    ):
        assert "access_token" in await log_in(there, who, device.code())
