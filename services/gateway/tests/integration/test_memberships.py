"""One person in several companies: invited, let in and switched by one account."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_gateway.access import standings
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    RunGateway,
    http_client,
    register,
    until,
)
from services.gateway.tests.integration.test_sessions import PASSWORD, bearer, code, refresh
from services.gateway.tests.integration.test_two_factor import Device, enabled, log_in


@pytest.fixture(scope="module")
async def replica(gateway: Service, run_gateway: RunGateway) -> AsyncIterator[httpx.AsyncClient]:
    """Another gateway on the same database."""
    async with run_gateway(gateway.settings.amqp_url) as service, http_client(service) as client:
        yield client


async def invite(
    client: httpx.AsyncClient, company: Account, email: str, role: str = "agent"
) -> dict[str, Any]:
    body = {"name": "Bia B.", "email": email, "role": role}
    made = await client.post("/agents", json=body, headers=company.bearer)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def accept(client: httpx.AsyncClient, invited: dict[str, Any], **given: str) -> Any:
    """The login, or the code of the refusal."""
    body = {"invitation_token": invited["invitation_token"], "password": PASSWORD, **given}
    answer = await client.post("/auth/accept-invitation", json=body)
    return answer.json() if answer.is_success else answer.json()["code"]


async def joined(
    client: httpx.AsyncClient, company: Account, person: Account, role: str = "agent"
) -> dict[str, Any]:
    """The agent the person becomes in the company, with the tokens for it."""
    invited = await invite(client, company, person.email, role)
    return {**invited, **await accept(client, invited)}


async def switch(client: httpx.AsyncClient, who: dict[str, Any], tenant_id: str) -> Any:
    body = {"tenant_id": tenant_id, "refresh_token": who["refresh_token"]}
    answer = await client.post("/auth/switch", json=body, headers=bearer(who))
    return answer.json() if answer.is_success else answer.json()["code"]


async def tenants(client: httpx.AsyncClient, who: dict[str, Any]) -> dict[str, bool]:
    """The companies one may switch to, and which is the current one."""
    page = (await client.get("/auth/tenants", headers=bearer(who))).json()
    assert (page["has_more"], page["next_cursor"]) == (False, None)
    return {each["id"]: each["current"] for each in page["data"]}


async def hears(client: httpx.AsyncClient, who: dict[str, Any], expected: Any) -> None:
    """Sooner than a gateway would look by itself."""

    async def heard() -> bool:
        return bool(await code(client, who) == expected)

    await until(heard, seconds=standings.REMEMBERED_SECONDS * 0.8)


class TestInvitation:
    async def test_is_accepted_with_the_password_of_the_account(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        invited, fresh = [
            await invite(client, account, email) for email in (bia.email, f"x{bia.email}")
        ]
        assert invited.keys() == fresh.keys()  # who has an account is not told
        assert (invited["name"], invited["email"]) == ("Bia B.", bia.email)
        assert invited["id"] != bia.user_id
        assert await accept(client, invited, password="another horse") == "account_exists"
        assert await tenants(client, bia.body) == {bia.tenant_id: True}
        here = await accept(client, invited)
        assert (here["user"]["id"], here["user"]["name"]) == (invited["id"], "Bia B.")
        assert here["tenant"]["id"] == account.tenant_id
        assert {each["id"] for each in here["tenants"]} == {bia.tenant_id, account.tenant_id}
        assert await accept(client, invited) == "invalid_invitation"  # it works once
        me = (await client.get("/auth/me", headers=bearer(here))).json()
        assert (me["roles"], me["user"]["id"]) == (["agent"], invited["id"])
        assert await code(client, bia.body) == 200

    async def test_is_not_for_who_is_here_already_nor_with_a_password(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        await invite(client, account, bia.email)
        for email, more in (
            (bia.email, {}),
            (account.email, {}),
            ((await register(client)).email, {"password": "correct horse"}),
        ):
            body = {"name": "Bia", "email": email, "role": "agent", **more}
            refused = await client.post("/agents", json=body, headers=account.bearer)
            assert (refused.status_code, refused.json()["code"]) == (409, "email_taken")

    async def test_ends_when_it_is_sent_again_or_the_person_deactivated_or_moved(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        bia = await register(client)
        first = await invite(client, account, bia.email)
        path = f"/agents/{first['id']}"
        again = await client.post(f"{path}/resend-invitation", headers=account.bearer)
        second = again.json()
        assert await accept(client, first) == "invalid_invitation"
        await client.put(path, json={"active": False}, headers=account.bearer)
        assert await accept(client, second) == "invalid_invitation"
        await client.put(path, json={"active": True}, headers=account.bearer)
        moved = {"email": f"moved-{bia.email}"}
        own = f"/agents/{bia.user_id}"
        assert (await client.put(own, json=moved, headers=bia.bearer)).status_code == 200
        assert await accept(client, second) == "account_exists"
        await client.put(own, json={"email": bia.email}, headers=bia.bearer)
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE agents SET invitation_expires_at = now()")
        assert await accept(client, second) == "invalid_invitation"
        third = (await client.post(f"{path}/resend-invitation", headers=account.bearer)).json()
        assert "access_token" in await accept(client, third)
        late = await client.post(f"{path}/resend-invitation", headers=account.bearer)
        assert late.json()["code"] == "invitation_accepted"

    async def test_takes_the_second_factor_and_guesses_count_as_logins(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        device, _ = await enabled(client, bia)
        invited = await invite(client, account, bia.email)
        assert await accept(client, invited) == "two_factor_required"
        assert await accept(client, invited, code=device.wrong()) == "invalid_code"
        for _ in range(4):
            await accept(client, invited, password="another horse")
        assert await log_in(client, bia, device.code()) == "too_many_attempts"

    async def test_of_two_at_once_one_brings_in(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        invited = await invite(client, account, bia.email)
        answers = await asyncio.gather(*(accept(client, invited) for _ in range(2)))
        assert sum("access_token" in each for each in answers) == 1

    async def test_tells_the_company_nothing_of_the_account_before_it_is_accepted(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        bia = await register(client)
        await enabled(client, bia)
        invited = await invite(client, account, bia.email)
        (shown,) = [
            each
            for each in (await client.get("/agents", headers=account.bearer)).json()["data"]
            if each["id"] == invited["id"]
        ]
        assert (shown["email_verified"], shown["two_factor"]) == (False, False)
        async with gateway.database.tenant(account.tenant_id) as tx:
            assert await tx.fetchval("SELECT count(*) FROM users") == 1
            assert await tx.fetchval("SELECT count(*) FROM authenticators") == 0


class TestSwitch:
    async def test_gives_tokens_with_the_role_there_and_keeps_those_here(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        bia, stranger = await register(client), await register(client)
        there = await joined(client, account, bia, "supervisor")
        here = await switch(client, there, bia.tenant_id)
        back = await switch(client, bia.body, account.tenant_id)
        for who, roles, tenant, user in (
            (here, ["admin"], bia.tenant_id, bia.user_id),
            (back, ["supervisor"], account.tenant_id, there["id"]),
        ):
            me = (await replica.get("/auth/me", headers=bearer(who))).json()
            assert (me["roles"], me["tenant"]["id"], me["user"]["id"]) == (roles, tenant, user)
            assert who["user"]["id"] == user
            pair = (await refresh(client, who)).json()
            me = (await replica.get("/auth/me", headers=bearer(pair))).json()
            assert me["tenant"]["id"] == tenant  # a refresh token is of one company
        assert await code(client, bia.body) == await code(client, there) == 200
        both = {bia.tenant_id: True, account.tenant_id: False}
        assert await tenants(client, here) == both
        assert await tenants(client, back) == {each: not now for each, now in both.items()}
        assert await tenants(client, stranger.body) == {stranger.tenant_id: True}

    async def test_to_a_company_of_others_is_to_none(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia, other = await register(client), await register(client)
        there = await joined(client, account, bia)
        await invite(client, other, bia.email)
        await client.put(f"/agents/{there['id']}", json={"active": False}, headers=account.bearer)
        documents = []
        for tenant_id in (other.tenant_id, account.tenant_id, str(uuid4())):
            body = {"tenant_id": tenant_id, "refresh_token": bia.body["refresh_token"]}
            answer = await client.post("/auth/switch", json=body, headers=bia.bearer)
            assert (answer.status_code, answer.json()["code"]) == (404, "tenant_not_found")
            documents.append({k: v for k, v in answer.json().items() if k != "request_id"})
        assert documents[0] == documents[1] == documents[2]
        key = await client.post("/api-keys", json={"name": "k"}, headers=bia.bearer)
        by = {"X-Api-Key": key.json()["key"]}
        for answer in (
            await client.get("/auth/tenants", headers=by),
            await client.post("/auth/switch", json=body, headers=by),
        ):
            assert answer.json()["code"] == "person_required"

    async def test_takes_a_refresh_token_that_is_good_here(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        await switch(client, there, bia.tenant_id)  # so that these log in there
        used, ended = [(await log_in(client, bia))["refresh_token"] for _ in range(2)]
        await client.post("/auth/refresh", json={"refresh_token": used})
        await client.post("/auth/logout", json={"refresh_token": ended})
        for token in ("x" * 43, account.body["refresh_token"], there["refresh_token"], used, ended):
            wrong = {**bia.body, "refresh_token": token}
            assert await switch(client, wrong, account.tenant_id) == "invalid_refresh_token"

    async def test_with_a_key_replays(self, client: httpx.AsyncClient, account: Account) -> None:
        bia = await register(client)
        await joined(client, account, bia)
        body = {"tenant_id": account.tenant_id, "refresh_token": bia.body["refresh_token"]}
        by = {**bia.bearer, "Idempotency-Key": "k1"}
        first, second = [await client.post("/auth/switch", json=body, headers=by) for _ in range(2)]
        assert first.json() == second.json()
        assert second.headers["idempotent-replayed"] == "true"

    async def test_honours_that_companys_demand_of_two_factors(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        await joined(client, account, bia)
        await enabled(client, account)
        demand = {"require_two_factor": True}
        await client.patch("/settings", json=demand, headers=account.bearer)
        there = await switch(client, bia.body, account.tenant_id)
        assert await code(client, there) == "two_factor_required_by_company"
        assert await code(client, bia.body) == 200
        # From where one may do nothing else one may still leave, or do what is asked.
        back = await switch(client, there, bia.tenant_id)
        assert await code(client, back) == 200
        device, _ = await enabled(client, Account(bia.email, PASSWORD, there))
        assert await code(client, there) == 200
        assert await log_in(client, bia) == "two_factor_required"
        assert "access_token" in await log_in(client, bia, device.code())


class TestLogin:
    async def test_comes_to_the_company_of_last_time(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        both = [account.tenant_id, bia.tenant_id]
        last = await log_in(client, bia)
        assert last["tenant"]["id"] == account.tenant_id
        assert [each["id"] for each in last["tenants"]] == both
        await switch(client, there, bia.tenant_id)
        assert (await log_in(client, bia))["tenant"]["id"] == bia.tenant_id

    async def test_one_company_lets_in_who_another_has_deactivated(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        untried = await switch(client, bia.body, account.tenant_id)
        path = f"/agents/{there['id']}"
        assert await code(replica, there) == await code(replica, bia.body) == 200
        await client.put(path, json={"active": False}, headers=account.bearer)
        await hears(replica, there, "token_revoked")
        assert (await refresh(client, there)).status_code == 401
        await client.put(path, json={"active": True}, headers=account.bearer)
        for ended in (there, untried):  # what was ended stays ended
            assert await code(client, ended) == "token_revoked"
            assert (await refresh(client, ended)).status_code == 401
        assert await code(client, await switch(client, bia.body, account.tenant_id)) == 200
        assert await code(replica, bia.body) == 200
        assert (await refresh(client, bia.body)).status_code == 200
        await client.put(path, json={"active": False}, headers=account.bearer)
        assert (await log_in(client, bia))["tenant"]["id"] == bia.tenant_id


class TestEverywhere:
    @pytest.mark.parametrize("way", ["password", "logout-everywhere"])
    async def test_what_ends_logins_ends_them_in_all_companies_and_gateways(
        self, client: httpx.AsyncClient, replica: httpx.AsyncClient, account: Account, way: str
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        assert await code(replica, there) == await code(replica, bia.body) == 200
        given = {"current_password": PASSWORD, "new_password": "another horse"}
        body = given if way == "password" else None
        done = await client.post(f"/auth/{way}", json=body, headers=bearer(there))
        assert done.is_success
        for who in (there, bia.body):
            assert await code(client, who) == "token_revoked"
            await hears(replica, who, "token_revoked")
            assert (await refresh(client, who)).status_code == 401
        assert await code(client, account.body) == 200
        if way == "password":
            assert await code(replica, done.json()) == 200
            assert await log_in(client, bia) == "invalid_credentials"

    async def test_a_second_factor_is_the_persons_in_all_companies(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        device: Device = (await enabled(client, Account(bia.email, PASSWORD, there)))[0]
        for who in (there, bia.body):
            shown = (await client.get("/auth/two-factor", headers=bearer(who))).json()
            assert (shown["enabled"], shown["recovery_codes_left"]) == (True, 10)
        assert await log_in(client, bia) == "two_factor_required"
        path = f"/agents/{there['id']}"
        reset = await client.delete(f"{path}/two-factor", headers=account.bearer)
        assert reset.json()["code"] == "person_of_several_companies"
        both = {"password": PASSWORD, "code": device.code()}
        off = await client.post("/auth/two-factor/disable", json=both, headers=bia.bearer)
        assert off.status_code == 204
        assert "access_token" in await log_in(client, bia)


class TestCompany:
    async def test_names_who_joined_and_leaves_their_account_alone(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        path = f"/agents/{there['id']}"
        named = {"name": "Beatriz", "role": "supervisor"}
        changed = await client.put(path, json=named, headers=account.bearer)
        assert (changed.json()["name"], changed.json()["role"]) == ("Beatriz", "supervisor")
        me = (await client.get("/auth/me", headers=bia.bearer)).json()
        assert (me["user"]["name"], me["roles"]) == ("Ana", ["admin"])
        moved = {"email": f"moved-{bia.email}"}
        refused = await client.put(path, json=moved, headers=account.bearer)
        assert (refused.status_code, refused.json()["code"]) == (
            409,
            "person_of_several_companies",
        )
        # Where the account was opened they do not own it either; the person does.
        colleague = await joined(client, bia, await register(client), "admin")
        own = f"/agents/{bia.user_id}"
        refused = await client.put(own, json=moved, headers=bearer(colleague))
        assert refused.json()["code"] == "person_of_several_companies"
        assert (await client.put(own, json=moved, headers=bia.bearer)).status_code == 200
        assert (await client.get(path, headers=account.bearer)).json()["email"] == moved["email"]

    async def test_sees_its_own_agents_alone(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia)
        for company, ids in (
            (account, [account.user_id, there["id"]]),
            (bia, [bia.user_id]),
        ):
            page = (await client.get("/agents", headers=company.bearer)).json()
            assert [each["id"] for each in page["data"]] == ids
        documents = []
        for missing in (there["id"], str(uuid4())):
            answer = await client.get(f"/agents/{missing}", headers=bia.bearer)
            assert answer.status_code == 404
            hidden = ("request_id", "instance")
            documents.append({k: v for k, v in answer.json().items() if k not in hidden})
        assert documents[0] == documents[1]
        log = (await client.get("/audit-log", headers=bia.bearer)).json()
        assert not any(each["target"]["id"] == there["id"] for each in log["data"])

    async def test_keeps_its_last_admin_whatever_they_are_elsewhere(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        bia = await register(client)
        there = await joined(client, account, bia, "admin")
        own = f"/agents/{account.user_id}"
        left = await client.put(own, json={"active": False}, headers=bearer(there))
        assert left.status_code == 200
        path = f"/agents/{there['id']}"
        refused = await client.put(path, json={"role": "agent"}, headers=bearer(there))
        assert refused.json()["code"] == "last_admin"
        alone = await client.put(
            f"/agents/{bia.user_id}", json={"active": False}, headers=bia.bearer
        )
        assert alone.json()["code"] == "last_admin"
