"""Roles a company makes for itself: what they grant, and what nobody gains by them."""

import asyncio
from uuid import uuid4

import httpx
from crm_gateway.access.roles import PERMISSIONS
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import AUTHENTICATED, PREFIX, PUBLIC
from shared_events.permissions import permits

from services.gateway.tests.integration.conftest import Account, Contacts, own_only, register

PASSWORD = "correct horse"
READER = ["contacts.read", "messages.read", "sessions.read"]


async def make(
    client: httpx.AsyncClient, account: Account, permissions: list[str], **more: object
) -> httpx.Response:
    body = {"name": f"R {uuid4().hex}", "permissions": permissions, **more}
    return await client.post("/roles", json=body, headers=account.bearer)


async def person(
    client: httpx.AsyncClient, account: Account, role: str
) -> tuple[dict[str, object], dict[str, str]]:
    """Somebody who has this role, and their bearer."""
    email = f"{uuid4().hex}@example.com"
    body = {"name": "Bia", "email": email, "role": role, "password": PASSWORD}
    made = await client.post("/agents", json=body, headers=account.bearer)
    assert made.status_code == 201, made.text
    login = await client.post("/auth/login", json={"email": email, "password": PASSWORD})
    return made.json(), {"Authorization": f"Bearer {login.json()['access_token']}"}


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


class TestRoles:
    async def test_are_made_read_changed_and_removed(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        made = await make(client, account, READER + READER, name="  " + "q" * 50)
        role = made.json()
        path = f"/roles/{role['id']}"
        assert (made.status_code, made.headers["etag"][:3]) == (201, '"1-')
        assert made.headers["location"] == f"{PREFIX}{path}"
        assert (role["name"], role["permissions"], role["sees"]) == ("q" * 50, READER, None)
        changed = await client.patch(
            path, json={"sees": "own"}, headers={**account.bearer, "If-Match": '"1"'}
        )
        assert changed.json() | {"updated_at": ""} == {
            **role,
            "sees": "own",
            "version": 2,
            "updated_at": "",
        }
        same = await client.patch(path, json={"sees": "own"}, headers=account.bearer)
        assert same.json()["version"] == 2
        stale = await client.patch(
            path, json={"name": "x"}, headers={**account.bearer, "If-Match": '"1"'}
        )
        assert refusal(stale) == (412, "stale_version")
        back = await client.patch(path, json={"sees": None}, headers=account.bearer)
        assert back.json()["sees"] is None
        assert (await client.get(path, headers=account.bearer)).json() == back.json()
        listed = await client.get("/roles", headers=account.bearer)
        assert listed.json()["data"] == [back.json()]
        assert (await client.get("/roles", headers=stranger.bearer)).json()["data"] == []
        for method in ("GET", "PATCH", "DELETE"):
            body = {"name": "theirs"} if method == "PATCH" else None
            hidden = await client.request(method, path, headers=stranger.bearer, json=body)
            assert refusal(hidden) == (404, "role_not_found")
        assert (await client.delete(path, headers=account.bearer)).status_code == 204
        assert (await client.get(path, headers=account.bearer)).status_code == 404
        log = (await client.get("/audit-log", headers=account.bearer)).json()["data"]
        acts = [entry["action"] for entry in log]
        assert acts == ["role.delete", "role.patch", "role.patch", "role.create"]
        assert (log[2]["before"]["sees"], log[2]["after"]["sees"]) == (None, "own")

    async def test_have_names_and_permissions_that_mean_something(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        taken = (await make(client, account, READER, name="Qualidade")).json()
        other = (await make(client, account, READER)).json()
        again = await make(client, account, READER, name="QUALIDADE")
        assert refusal(again) == (409, "role_exists")
        renamed = await client.patch(
            f"/roles/{other['id']}", json={"name": taken["name"]}, headers=account.bearer
        )
        assert refusal(renamed) == (409, "role_exists")
        stranger = await register(client)
        assert (await make(client, stranger, READER, name="Qualidade")).status_code == 201
        for name in ("admin", "Agent", " supervisor ", "", "x" * 51):
            assert (await make(client, account, READER, name=name)).status_code == 422
        for wrong in ([], ["*"], ["contacts.fly"], ["contact*"], ["contacts.read"] * 51):
            assert (await make(client, account, wrong)).status_code == 422
            path = f"/roles/{other['id']}"
            patched = await client.patch(path, json={"permissions": wrong}, headers=account.bearer)
            assert patched.status_code == 422

    async def test_are_fifty_at_most(self, client: httpx.AsyncClient) -> None:
        account = await register(client)
        made = await asyncio.gather(*(make(client, account, READER) for _ in range(53)))
        assert sorted(response.status_code for response in made) == [201] * 50 + [409] * 3


class TestWhoHasOne:
    async def test_may_do_exactly_what_it_grants_on_every_route(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        scopes = ["contacts.*", "messages.read", "agents.read", "webhooks.read"]
        role = (await make(client, account, scopes)).json()
        _, bearer = await person(client, account, role["id"])
        asked = [row for row in ROUTES if row.permission not in (PUBLIC, AUTHENTICATED)]
        refused = set()
        for row in asked:
            if row.live:
                continue
            path = row.path
            for name in row.parameters:
                path = path.replace(f"{{{name}}}", str(uuid4()))
            answer = await client.request(row.method, path, headers=bearer)
            if answer.status_code == 403 and answer.json()["code"] == "permission_missing":
                refused.add((row.method, row.path))
        assert refused == {
            (row.method, row.path)
            for row in asked
            if not row.live and not permits(scopes, row.permission)
        }

    async def test_is_shown_with_it(self, client: httpx.AsyncClient, account: Account) -> None:
        role = (await make(client, account, READER, name="Qualidade")).json()
        shown = {"id": role["id"], "name": "Qualidade"}
        agent, bearer = await person(client, account, "qualidade")
        assert (agent["role"], agent["custom_role"]) == ("agent", shown)
        me = (await client.get("/auth/me", headers=bearer)).json()
        assert (me["roles"], me["permissions"]) == (["Qualidade"], READER)
        plain, _ = await person(client, account, "agent")
        assert plain["custom_role"] is None
        for by, found in (("Qualidade", agent), ("agent", plain)):
            listed = await client.get("/agents", params={"role": by}, headers=account.bearer)
            assert [one["id"] for one in listed.json()["data"]] == [found["id"]]
        path = f"/agents/{plain['id']}"
        given = await client.put(path, json={"role": role["id"]}, headers=account.bearer)
        assert (given.json()["custom_role"], given.json()["version"]) == (shown, 2)
        again = await client.put(path, json={"role": "QUALIDADE"}, headers=account.bearer)
        assert again.json()["version"] == 2
        taken = await client.put(path, json={"role": "agent"}, headers=account.bearer)
        assert taken.json()["custom_role"] is None
        assert (await client.get(path, headers=account.bearer)).json()["custom_role"] is None

    async def test_another_companys_role_is_none(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        theirs = (await make(client, stranger, READER)).json()
        for reference in (theirs["id"], theirs["name"], str(uuid4()), "owner"):
            body = {"name": "B", "email": f"{uuid4().hex}@example.com", "role": reference}
            wrong = await client.post("/agents", json=body, headers=account.bearer)
            assert refusal(wrong) == (422, "validation_failed")
            assert wrong.json()["errors"][0]["pointer"] == "/role"
            query = {"role": reference}
            listed = await client.get("/agents", params=query, headers=account.bearer)
            assert listed.status_code == 422

    async def test_a_change_acts_at_once_and_not_on_keys(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        role = (await make(client, account, ["agents.read", "api_keys.*", "contacts.read"])).json()
        _, bearer = await person(client, account, role["id"])
        key = (await client.post("/api-keys", json={"name": "k"}, headers=bearer)).json()["key"]
        assert (await client.get("/agents", headers=bearer)).status_code == 200
        path = f"/roles/{role['id']}"
        body = {"permissions": ["contacts.read"]}
        assert (await client.patch(path, json=body, headers=account.bearer)).status_code == 200
        assert (await client.get("/agents", headers=bearer)).status_code == 403
        assert (await client.get("/agents", headers={"X-Api-Key": key})).status_code == 200
        me = (await client.get("/auth/me", headers=bearer)).json()
        assert me["permissions"] == ["contacts.read"]

    async def test_a_role_in_use_stays(self, client: httpx.AsyncClient, account: Account) -> None:
        role = (await make(client, account, READER)).json()
        agent, _ = await person(client, account, role["id"])
        who, path = f"/agents/{agent['id']}", f"/roles/{role['id']}"
        await client.put(who, json={"active": False}, headers=account.bearer)
        in_use = await client.delete(path, headers=account.bearer)
        assert refusal(in_use) == (409, "role_in_use")
        assert in_use.json()["agents"] == 1
        await client.put(who, json={"role": "agent"}, headers=account.bearer)
        assert (await client.delete(path, headers=account.bearer)).status_code == 204

    async def test_a_role_is_given_or_removed_and_never_both(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        agent, _ = await person(client, account, "agent")
        for _ in range(10):
            role = (await make(client, account, READER)).json()
            given, removed = await asyncio.gather(
                client.put(
                    f"/agents/{agent['id']}", json={"role": role["id"]}, headers=account.bearer
                ),
                client.delete(f"/roles/{role['id']}", headers=account.bearer),
            )
            assert (given.status_code, removed.status_code) in ((200, 409), (422, 204))


class TestPower:
    async def test_nobody_gains_what_they_have_not(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        """Who manages roles and agents by a role of their own rises no further, by any way."""
        power = ["roles.*", "agents.*", "contacts.read"]
        manager = (await make(client, account, power)).json()
        greater = (await make(client, account, ["contacts.delete"])).json()
        agent, bearer = await person(client, account, manager["id"])
        own, other = f"/roles/{manager['id']}", f"/roles/{greater['id']}"
        victim, _ = await person(client, account, greater["id"])
        lesser, _ = await person(client, account, manager["id"])
        more = {"permissions": [*power, "contacts.delete"]}
        fresh = {"name": "x", "email": f"{uuid4().hex}@example.com"}
        attempts = [
            client.post("/roles", json={"name": "x", **more}, headers=bearer),
            client.patch(own, json=more, headers=bearer),
            client.patch(other, json={"permissions": ["contacts.read"]}, headers=bearer),
            client.patch(other, json={"name": "y"}, headers=bearer),
            client.delete(other, headers=bearer),
            client.post("/agents", json={**fresh, "role": "admin"}, headers=bearer),
            client.post("/agents", json={**fresh, "role": greater["id"]}, headers=bearer),
            client.put(f"/agents/{agent['id']}", json={"role": greater["id"]}, headers=bearer),
            client.put(f"/agents/{agent['id']}", json={"role": "agent"}, headers=bearer),
            client.put(f"/agents/{victim['id']}", json={"active": False}, headers=bearer),
            client.post(f"/agents/{victim['id']}/resend-invitation", headers=bearer),
            client.delete(f"/agents/{victim['id']}/two-factor", headers=bearer),
            client.put(f"/agents/{account.user_id}", json={"name": "z"}, headers=bearer),
        ]
        for attempt in attempts:
            assert refusal(await attempt) == (403, "role_exceeds_caller")
        mine = await client.post(
            "/roles", json={"name": "less", "permissions": ["contacts.read"]}, headers=bearer
        )
        assert mine.status_code == 201
        path = f"/agents/{lesser['id']}"
        assert (await client.put(path, json={"name": "w"}, headers=bearer)).status_code == 200

    async def test_the_last_admin_takes_no_role_of_the_companys_own(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        nouns = sorted({f"{each.partition('.')[0]}.*" for each in PERMISSIONS})
        role = (await make(client, account, nouns)).json()
        path = f"/agents/{account.user_id}"
        refused = await client.put(path, json={"role": role["id"]}, headers=account.bearer)
        assert refusal(refused) == (409, "last_admin")
        await person(client, account, role["id"])
        again = await client.put(path, json={"role": role["id"]}, headers=account.bearer)
        assert refusal(again) == (409, "last_admin")


class TestSees:
    async def test_what_agents_see_unless_the_role_says_otherwise(
        self, client: httpx.AsyncClient, contacts: Contacts, account: Account
    ) -> None:
        roles = {
            sees: (await make(client, account, READER, sees=sees)).json()["id"]
            for sees in (None, "all", "own")
        }
        expected = {
            "all": {None: False, "all": False, "own": True},
            "own": {None: True, "all": False, "own": True},
        }
        people = {sees: (await person(client, account, roles[sees]))[1] for sees in roles}
        for setting, of_roles in expected.items():
            await client.patch("/settings", json={"agents_see": setting}, headers=account.bearer)
            for sees, bearer in people.items():
                assert await own_only(client, contacts, bearer) is of_roles[sees], (setting, sees)
