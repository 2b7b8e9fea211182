"""Keys of two companies at once: what they open, for how long, and what is kept of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_gateway.access import standings
from service_kit.service import Service

from services.gateway.tests.integration.conftest import (
    Account,
    Contacts,
    RunGateway,
    http_client,
    register,
    until,
)


async def make(client: httpx.AsyncClient, account: Account, **given: Any) -> dict[str, Any]:
    """A new key."""
    body = {"name": "Loja", **given}
    response = await client.post("/api-keys", json=body, headers=account.bearer)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def by(key: dict[str, Any], **more: str) -> dict[str, str]:
    """The headers of who asks with this key."""
    return {"X-Api-Key": str(key["key"]), **more}


async def code(client: httpx.AsyncClient, key: dict[str, Any], path: str = "/auth/me") -> Any:
    """The status, or why it was refused."""
    response = await client.get(path, headers=by(key))
    return response.status_code if response.is_success else response.json()["code"]


class TestUse:
    async def test_asks_for_its_company_within_its_scopes(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        stranger = await register(client)
        ours = await make(client, account, scopes=["contacts.*", "agents.read"])
        theirs = await make(client, stranger)
        assert ours["key"].startswith(ours["prefix"] + "_")
        for key, of in ((ours, account), (theirs, stranger)):
            me = (await client.get("/auth/me", headers=by(key))).json()
            assert me["tenant"]["id"] == of.tenant_id
            assert me["user"]["id"] == of.user_id
            assert me["api_key"] == {"id": key["id"], "name": "Loja"}
            assert (me["roles"], me["permissions"]) == ([], key["scopes"])
        assert theirs["scopes"] == ["*"]
        once = by(ours, **{"Idempotency-Key": "k"})
        made = await client.post("/contacts", json={"name": "Zé"}, headers=once)
        assert made.status_code == 201
        _, call = contacts.calls[-1]
        assert (str(call.principal.api_key_id), call.user_id) == (ours["id"], None)
        assert await code(client, ours, f"/contacts/{made.json()['id']}") == 200
        assert await code(client, theirs, f"/contacts/{made.json()['id']}") == "contact_not_found"
        assert await code(client, ours, "/channels") == "permission_missing"
        # Two keys that name one Idempotency-Key are two callers.
        second = await make(client, account)
        other = by(second, **{"Idempotency-Key": "k"})
        assert (await client.post("/contacts", json={"name": "Eva"}, headers=other)).is_success

    async def test_is_refused_when_it_is_none_or_not_alone(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        key = await make(client, account)
        for wrong in ("", "x", key["key"][:-1], key["key"] + "x", key["prefix"], "é"):
            refused = await client.get("/auth/me", headers={b"X-Api-Key": wrong.encode()})
            assert (refused.status_code, refused.json()["code"]) == (401, "invalid_api_key")
        two = await client.get("/auth/me", headers={**by(key), **account.bearer})
        assert (two.status_code, two.json()["code"]) == (400, "two_credentials")

    async def test_is_good_from_where_and_as_long_as_it_says(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        key = await make(
            client, account, allowed_ips=["2001:db8::/32", "10.1.2.3/8"], expires_at=soon
        )
        assert key["allowed_ips"] == ["2001:db8::/32", "10.0.0.0/8"]
        assert await code(client, key) == 200
        elsewhere = httpx.ASGITransport(gateway.app, client=("192.0.2.1", 1))
        async with httpx.AsyncClient(
            transport=elsewhere, base_url="http://gateway/api/v1"
        ) as stranger:
            assert await code(stranger, key) == "address_not_allowed"
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute("UPDATE api_keys SET expires_at = now()")
            await tx.execute("SELECT pg_notify('access_changed', key_hash) FROM api_keys")

        async def expired() -> bool:
            return bool(await code(client, key) == "invalid_api_key")

        await until(expired)

    async def test_is_noted_seldom(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        key = await make(client, account)
        path = f"/api-keys/{key['id']}"
        assert (await client.get(path, headers=account.bearer)).json()["last_used_at"] is None
        assert await code(client, key) == 200
        first = (await client.get(path, headers=account.bearer)).json()["last_used_at"]
        assert first is not None
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute("SELECT pg_notify('access_changed', key_hash) FROM api_keys")
            await tx.execute("UPDATE api_keys SET scopes = '{contacts.read}'")

        async def read_anew() -> bool:
            me = (await client.get("/auth/me", headers=by(key))).json()
            return bool(me["permissions"] == ["contacts.read"])

        await until(read_anew)
        assert (await client.get(path, headers=account.bearer)).json()["last_used_at"] == first


class TestMaking:
    async def test_nobody_gives_what_they_have_not(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        key = await make(client, account, scopes=["api_keys.*"])
        assert await code(client, key, "/api-keys") == 200
        for method, path in (
            ("POST", "/api-keys"),
            ("DELETE", f"/api-keys/{key['id']}"),
            ("POST", f"/api-keys/{key['id']}/rotate"),
        ):
            body = {"name": "child"} if path == "/api-keys" else {}
            refused = await client.request(method, path, json=body, headers=by(key))
            assert (refused.status_code, refused.json()["code"]) == (403, "person_required")

    @pytest.mark.parametrize(
        "wrong",
        [
            {"scopes": ["contacts.fly"]},
            {"scopes": ["contact*"]},
            {"scopes": []},
            {"scopes": ["x" * 51]},
            {"allowed_ips": ["10.0.0.256"]},
            {"allowed_ips": ["10.0.0.1"] * 51},
            {"expires_at": "2020-01-01T00:00:00Z"},
            {"name": "n" * 256},
        ],
    )
    async def test_unfit_fields_are_named(
        self, client: httpx.AsyncClient, account: Account, wrong: dict[str, Any]
    ) -> None:
        body = {"name": "Loja", **wrong}
        response = await client.post("/api-keys", json=body, headers=account.bearer)
        assert response.status_code == 422
        assert response.json()["errors"][0]["pointer"].startswith(f"/{next(iter(wrong))}")

    async def test_the_key_is_nowhere_and_a_repetition_shows_it_again(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        body = {"name": "n" * 255, "scopes": ["contacts.read"]}
        headers = {**account.bearer, "Idempotency-Key": "once"}
        first = await client.post("/api-keys", json=body, headers=headers)
        second = await client.post("/api-keys", json=body, headers=headers)
        assert second.json() == first.json()
        assert second.headers["idempotent-replayed"] == "true"
        secret = first.json()["key"].removeprefix(first.json()["prefix"])
        invited = {"name": "Bia", "email": f"{uuid4()}@example.com", "role": "agent"}
        token = (
            await client.post(
                "/agents", json=invited, headers=headers | {"Idempotency-Key": "invite"}
            )
        ).json()["invitation_token"]
        async with gateway.database.tenant(account.tenant_id) as tx:
            kept = []
            for table in ("api_keys", "command_replies", "outbox_events", "users"):
                query = f"SELECT to_jsonb(t)::text FROM {table} t"  # noqa: S608 - our own names
                kept += [str(row[0]) for row in await tx.fetch(query)]
        assert len(kept) >= 5
        assert not [row for row in kept if secret in row or token in row]


class TestChanging:
    async def test_a_rotated_or_deleted_key_opens_nothing_anywhere(
        self,
        client: httpx.AsyncClient,
        account: Account,
        gateway: Service,
        run_gateway: RunGateway,
    ) -> None:
        key, kept = await make(client, account), await make(client, account)
        path = f"/api-keys/{key['id']}"
        async with (
            run_gateway(gateway.settings.amqp_url) as service,
            http_client(service) as replica,
        ):
            assert await code(replica, key) == await code(client, key) == 200
            stale = {**account.bearer, "If-Match": '"7"'}
            refused = await client.post(f"{path}/rotate", headers=stale)
            assert refused.status_code == 412
            stranger = await register(client)
            hidden = await client.post(f"{path}/rotate", headers=stranger.bearer)
            assert (hidden.status_code, hidden.json()["code"]) == (404, "api_key_not_found")
            rotated = (await client.post(f"{path}/rotate", headers=account.bearer)).json()
            assert (rotated["version"], rotated["id"]) == (2, key["id"])
            assert await code(client, key) == "invalid_api_key"

            async def heard() -> bool:
                return bool(await code(replica, key) == "invalid_api_key")

            await until(heard, seconds=standings.REMEMBERED_SECONDS * 0.8)
            assert await code(replica, rotated) == await code(client, rotated) == 200
            assert (await client.delete(path, headers=stale)).status_code == 412
            assert (await client.delete(path, headers=stranger.bearer)).status_code == 404
            assert (await client.delete(path, headers=account.bearer)).status_code == 204
            assert await code(client, rotated) == "invalid_api_key"
            assert (await client.delete(path, headers=account.bearer)).status_code == 404
            assert await code(replica, kept) == 200
        listed = (await client.get("/api-keys", headers=account.bearer)).json()["data"]
        assert [one["id"] for one in listed] == [kept["id"]]
        assert "key" not in listed[0]
        assert (await client.get("/api-keys", headers=stranger.bearer)).json()["data"] == []

    async def test_there_are_not_too_many(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        async with gateway.database.tenant(account.tenant_id) as tx:
            await tx.execute(
                "INSERT INTO api_keys (id, tenant_id, name, prefix, key_hash)"
                " SELECT gen_random_uuid(), $1::text, 'n', 'crm', $1::text || n"
                " FROM generate_series(1, 99) n",
                account.tenant_id,
            )
        await make(client, account)
        refused = await client.post("/api-keys", json={"name": "one"}, headers=account.bearer)
        assert (refused.status_code, refused.json()["code"]) == (409, "too_many_api_keys")
