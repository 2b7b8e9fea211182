import asyncio
import base64
from uuid import uuid4

import httpx
from service_kit.service import Service

from services.gateway.tests.integration.conftest import Account, register


async def add(client: httpx.AsyncClient, account: Account, **overrides: object) -> httpx.Response:
    body = {
        "name": "Bia",
        "email": f"bia-{uuid4().hex}@example.com",
        "role": "agent",
        "password": "correct horse",
        **overrides,
    }
    return await client.post("/agents", json=body, headers=account.bearer)


class TestCreate:
    async def test_adds_a_person_who_can_log_in(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        response = await add(client, account)
        assert response.status_code == 201
        agent = response.json()
        assert response.headers["location"] == f"/api/v1/agents/{agent['id']}"
        assert response.headers["etag"].startswith('"1-')
        assert agent["created_at"].endswith("Z")
        login = await client.post(
            "/auth/login", json={"email": agent["email"], "password": "correct horse"}
        )
        assert login.json()["tenant"]["id"] == account.tenant_id

    async def test_without_a_password_the_person_is_invited_once(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        agent = (await add(client, account, password=None)).json()
        login = {"email": agent["email"], "password": "my own password"}
        assert (await client.post("/auth/login", json=login)).status_code == 401
        accept = {
            "invitation_token": agent["invitation_token"],
            "password": "my own password",
        }
        assert (await client.post("/auth/accept-invitation", json=accept)).status_code == 200
        assert (await client.post("/auth/accept-invitation", json=accept)).status_code == 401
        assert (await client.post("/auth/login", json=login)).status_code == 200

    async def test_an_invitation_of_who_is_deactivated_waits(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        agent = (await add(client, account, password=None)).json()
        path, accept = f"/agents/{agent['id']}", "/auth/accept-invitation"
        body = {"invitation_token": agent["invitation_token"], "password": "my own password"}
        await client.put(path, json={"active": False}, headers=account.bearer)
        assert (await client.post(accept, json=body)).status_code == 401
        await client.put(path, json={"active": True}, headers=account.bearer)
        login = {"email": agent["email"], "password": "my own password"}
        assert (await client.post("/auth/login", json=login)).status_code == 401
        assert (await client.post(accept, json=body)).status_code == 200

    async def test_the_same_key_adds_one_person(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        body = {"name": "Bia", "email": f"{uuid4().hex}@example.com", "role": "agent"}
        headers = {**account.bearer, "Idempotency-Key": "k1"}
        first = await client.post("/agents", json=body, headers=headers)
        second = await client.post("/agents", json=body, headers=headers)
        assert (first.status_code, second.status_code) == (201, 201)
        assert first.json() == second.json()
        assert second.headers["idempotent-replayed"] == "true"
        other = await client.post("/agents", json={**body, "name": "Eva"}, headers=headers)
        assert other.status_code == 422
        assert other.json()["code"] == "idempotency_key_reused"

    async def test_an_email_of_another_company_is_taken(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        response = await add(client, account, email=stranger.email)
        assert response.status_code == 409


class TestUpdate:
    async def test_changes_and_says_so(
        self, client: httpx.AsyncClient, account: Account, gateway: Service
    ) -> None:
        agent = (await add(client, account)).json()
        response = await client.put(
            f"/agents/{agent['id']}",
            json={"role": "supervisor"},
            headers={**account.bearer, "If-Match": '"1"'},
        )
        assert response.status_code == 200
        assert response.json()["role"] == "supervisor"
        assert response.headers["etag"].startswith('"2-')
        async with gateway.database.tenant(account.tenant_id) as tx:
            types = await tx.fetch("SELECT event_type FROM outbox_events ORDER BY seq")
        assert [t["event_type"] for t in types][-1] == "agent.updated"

    async def test_a_stale_version_is_refused(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        agent = (await add(client, account)).json()
        response = await client.put(
            f"/agents/{agent['id']}",
            json={"role": "supervisor"},
            headers={**account.bearer, "If-Match": '"7"'},
        )
        assert response.status_code == 412

    async def test_a_deactivated_person_is_logged_out(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        agent = (await add(client, account)).json()
        credentials = {"email": agent["email"], "password": "correct horse"}
        tokens = (await client.post("/auth/login", json=credentials)).json()
        path = f"/agents/{agent['id']}"
        response = await client.put(path, json={"active": False}, headers=account.bearer)
        assert response.json()["active"] is False
        refresh = {"refresh_token": tokens["refresh_token"]}
        assert (await client.post("/auth/refresh", json=refresh)).status_code == 401
        assert (await client.post("/auth/login", json=credentials)).status_code == 401

    async def test_the_last_admin_stays(self, client: httpx.AsyncClient, account: Account) -> None:
        path = f"/agents/{account.user_id}"
        for change in ({"active": False}, {"role": "agent"}):
            response = await client.put(path, json=change, headers=account.bearer)
            assert response.status_code == 409
            assert response.json()["code"] == "last_admin"

    async def test_two_admins_cannot_step_down_at_once(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        second = (await add(client, account, role="admin")).json()
        responses = await asyncio.gather(
            *(
                client.put(f"/agents/{who}", json={"role": "agent"}, headers=account.bearer)
                for who in (account.user_id, second["id"])
            )
        )
        assert sorted(r.status_code for r in responses) == [200, 409]


class TestRead:
    async def test_lists_in_pages_in_the_order_they_joined(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        joined = [account.user_id] + [(await add(client, account)).json()["id"] for _ in range(4)]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            query = {"limit": "2", **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/agents", params=query, headers=account.bearer)).json()
            seen += [agent["id"] for agent in page["data"]]
            cursor = page["next_cursor"]
            assert page["has_more"] == (cursor is not None)
            if cursor is None:
                break
        assert seen == joined

    async def test_a_made_up_cursor_is_malformed(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        no_moment = f"0001-01-01T00:00:00+14:00|{account.user_id}".encode()
        for cursor in ("x", "bm9uc2Vuc2U=", "é", base64.urlsafe_b64encode(no_moment).decode()):
            response = await client.get(
                "/agents", params={"cursor": cursor}, headers=account.bearer
            )
            assert response.status_code == 400
            assert response.json()["code"] == "invalid_cursor"

    async def test_another_companys_agent_looks_like_none(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        hidden = await client.get(f"/agents/{stranger.user_id}", headers=account.bearer)
        missing = await client.get(f"/agents/{uuid4()}", headers=account.bearer)
        nonsense = await client.get("/agents/7", headers=account.bearer)
        documents = []
        for response in (hidden, missing, nonsense):
            assert response.status_code == 404
            document = response.json()
            documents.append(
                {k: document[k] for k in document if k not in ("request_id", "instance")}
            )
        assert documents[0] == documents[1] == documents[2]

    async def test_supervisors_may_read_and_not_change(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        agent = (await add(client, account, role="supervisor")).json()
        tokens = (
            await client.post(
                "/auth/login", json={"email": agent["email"], "password": "correct horse"}
            )
        ).json()
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert (await client.get("/agents", headers=bearer)).status_code == 200
        denied = await client.put(f"/agents/{agent['id']}", json={"role": "admin"}, headers=bearer)
        assert denied.status_code == 403
        assert denied.json()["code"] == "permission_missing"
