import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_gateway.rest.routes import ROUTES
from crm_gateway.rest.table import AUTHENTICATED, PUBLIC, Row
from crm_testing.servers import RabbitServer
from crm_testing.services import answering
from service_kit.request_client import DEFAULT_TIMEOUT_SECONDS
from service_kit.service import Service
from shared_events.gateway.agent import Role

from services.gateway.tests.integration.conftest import (
    Account,
    Contacts,
    register,
    until,
)

PROBLEM = {"type", "title", "status", "detail", "instance", "code", "request_id", "errors"}


class TestContacts:
    async def test_a_contact_lives_its_life(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        created = await client.post(
            "/contacts",
            json={"name": "Zé", "phone": "+5511988880001", "tags": ["vip"]},
            headers=account.bearer,
        )
        assert created.status_code == 201
        contact = created.json()
        assert created.headers["location"] == f"/api/v1/contacts/{contact['id']}"
        assert created.headers["etag"].startswith('"1-')
        assert contact["created_at"].endswith("Z")
        path = f"/contacts/{contact['id']}"

        changed = await client.patch(
            path,
            json={"phone": None},
            headers={**account.bearer, "If-Match": '"1"'},
        )
        assert changed.json()["phone"] is None
        assert changed.headers["etag"].startswith('"2-')
        stale = await client.patch(
            path, json={"name": "X"}, headers={**account.bearer, "If-Match": '"1"'}
        )
        assert stale.status_code == 412

        known = {**account.bearer, "If-None-Match": changed.headers["etag"]}
        again = await client.get(path, headers=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == changed.headers["etag"]

        page = (await client.get("/contacts", headers=account.bearer)).json()
        assert page["data"] == [changed.json()]
        assert page["has_more"] is False

        deleted = await client.delete(path, headers=account.bearer)
        assert (deleted.status_code, deleted.content) == (204, b"")
        assert (await client.get(path, headers=account.bearer)).status_code == 404

    async def test_a_known_phone_names_the_existing_contact(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        body = {"name": "Zé", "phone": "+5511988880002"}
        first = await client.post("/contacts", json=body, headers=account.bearer)
        second = await client.post("/contacts", json=body, headers=account.bearer)
        assert second.status_code == 409
        assert second.json()["code"] == "contact_exists"
        assert second.json()["existing_id"] == first.json()["id"]

    async def test_one_that_was_merged_leads_to_the_other(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        loser, winner = uuid4(), uuid4()
        contacts.merged[loser] = winner
        answer = await client.get(f"/contacts/{loser}", headers=account.bearer)
        assert (answer.status_code, answer.json()["code"]) == (409, "contact_merged")
        assert answer.json()["merged_into"] == str(winner)
        assert answer.headers["Location"] == f"/api/v1/contacts/{winner}"

    async def test_another_companys_contact_looks_like_none(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        stranger = await register(client)
        theirs = await client.post("/contacts", json={"name": "Eva"}, headers=stranger.bearer)
        documents = []
        for contact_id in (theirs.json()["id"], uuid4(), "not-an-id"):
            response = await client.get(f"/contacts/{contact_id}", headers=account.bearer)
            assert response.status_code == 404
            document = response.json()
            assert document.keys() == PROBLEM
            documents.append(
                {k: v for k, v in document.items() if k not in ("request_id", "instance")}
            )
        assert documents[0] == documents[1] == documents[2]

    async def test_the_same_idempotency_key_creates_one_contact(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        headers = {**account.bearer, "Idempotency-Key": "k-1"}
        body = {"name": "Zé"}
        first = await client.post("/contacts", json=body, headers=headers)
        second = await client.post("/contacts", json=body, headers=headers)
        assert (second.status_code, second.json()) == (201, first.json())
        assert "idempotent-replayed" not in first.headers
        assert second.headers["idempotent-replayed"] == "true"
        other = await client.post("/contacts", json={"name": "Eva"}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    async def test_filters_reach_the_service(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        response = await client.get(
            "/contacts?tags=a&tags=b&created_at[gte]=2026-01-01T00:00:00Z&limit=3",
            headers={**account.bearer, "X-Request-Id": "trace-me"},
        )
        assert response.status_code == 200
        request, call = contacts.calls[-1]
        body = request.model_dump(mode="json", by_alias=True, exclude_unset=True)
        assert body["tags"] == ["a", "b"]
        assert body["created_at[gte]"] == "2026-01-01T00:00:00Z"
        assert call.correlation_id == "trace-me"
        assert call.principal.tenant_id == account.tenant_id
        assert str(call.user_id) == account.user_id

    async def test_a_deletion_is_told_more_by_its_query(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        path, target = f"/pipelines/{uuid4()}/statuses/{uuid4()}", str(uuid4())

        async def refusal(query: str, **options: Any) -> tuple[int, str]:
            headers = account.bearer
            answer = await client.request("DELETE", path + query, headers=headers, **options)
            return answer.status_code, answer.json()["code"]

        answer = await client.delete(f"{path}?move_to={target}", headers=account.bearer)
        assert (answer.status_code, answer.content) == (204, b"")
        request, _ = contacts.calls[-1]
        assert request.model_dump(mode="json")["move_to"] == target
        assert await refusal("?moveto=x") == (400, "unknown_parameter")
        assert await refusal("?move_to=x") == (422, "validation_failed")
        assert await refusal("", json={"move_to": target}) == (422, "validation_failed")
        assert contacts.calls[-1][0] is request

    async def test_many_at_once_each_get_their_own_answer(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        names = [f"n{i}" for i in range(100)]
        responses = await asyncio.gather(
            *(client.post("/contacts", json={"name": n}, headers=account.bearer) for n in names)
        )
        assert [r.json()["name"] for r in responses] == names


class TestRefusals:
    @pytest.mark.parametrize(
        ("method", "path", "options", "status", "code"),
        [
            ("GET", "/nothing", {}, 404, "route_not_found"),
            ("GET", "/contacts/", {}, 404, "route_not_found"),
            ("POST", "/contacts/7", {}, 405, "method_not_allowed"),
            ("OPTIONS", "/contacts", {}, 405, "method_not_allowed"),
            ("GET", "/contacts?serach=x", {}, 400, "unknown_parameter"),
            ("GET", "/contacts?limit=101", {}, 422, "validation_failed"),
            ("POST", "/contacts", {"content": b"{"}, 400, "invalid_json"),
            ("POST", "/contacts", {"content": b" " * 1_048_577}, 413, "body_too_large"),
            ("POST", "/contacts", {"json": {"nmae": "x"}}, 422, "validation_failed"),
            ("GET", "/sessions", {}, 503, "service_unavailable"),
        ],
    )
    async def test_each_has_its_status_and_is_a_problem(
        self,
        client: httpx.AsyncClient,
        account: Account,
        method: str,
        path: str,
        options: dict[str, Any],
        status: int,
        code: str,
    ) -> None:
        response = await client.request(
            method,
            path,
            headers={**account.bearer, "Content-Type": "application/json"},
            **options,
        )
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["cache-control"] == "no-store"
        document = response.json()
        assert document.keys() >= PROBLEM
        assert document["code"] == code
        assert document["instance"] == f"/api/v1{path}".partition("?")[0]
        assert document["request_id"] == response.headers["x-request-id"]

    async def test_another_media_type(self, client: httpx.AsyncClient, account: Account) -> None:
        response = await client.post("/contacts", data={"name": "x"}, headers=account.bearer)
        assert response.status_code == 415

    async def test_a_wrong_method_is_told_the_right_ones(self, client: httpx.AsyncClient) -> None:
        response = await client.post(f"/contacts/{uuid4()}")
        assert response.headers["allow"] == "DELETE, GET, PATCH, PUT"

    async def test_an_absent_service_says_when_to_come_back(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        response = await client.get("/sessions", headers=account.bearer)
        assert response.headers["retry-after"] == "1"

    @pytest.mark.parametrize("value", ["", "Basic abc", "Bearer", "Bearer x", "Bearer é"])
    async def test_no_valid_token_is_unauthenticated(
        self, client: httpx.AsyncClient, value: str
    ) -> None:
        response = await client.get("/contacts", headers={b"Authorization": value.encode()})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"

    @pytest.mark.parametrize("given", ["a b", "x" * 129, "é", ""])
    async def test_an_unfit_request_id_is_replaced(
        self, client: httpx.AsyncClient, given: str
    ) -> None:
        response = await client.get("/nothing", headers={b"X-Request-Id": given.encode()})
        assert response.headers["x-request-id"] != given
        assert len(response.headers["x-request-id"]) == 36

    async def test_nothing_is_framed_sniffed_or_run_by_a_browser(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        root = str(client.base_url).removesuffix("/api/v1/")
        answers = [
            await client.get("/auth/me", headers=account.bearer),
            await client.get("/nothing"),
            await client.post("/webhooks/waha/x", content=b"{}"),
            await client.get(f"{root}/docs"),
        ]
        assert [answer.status_code for answer in answers] == [200, 404, 401, 200]
        for answer in answers:
            assert answer.headers["x-frame-options"] == "DENY"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
            assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        policies = ["'none'" in a.headers["content-security-policy"][:20] for a in answers]
        assert policies == [True, True, True, False]


class TestRoles:
    @pytest.mark.parametrize("role", ["supervisor", "agent"])
    async def test_forbidden_routes_are_forbidden_and_the_others_are_not(
        self,
        client: httpx.AsyncClient,
        account: Account,
        role: Role,
    ) -> None:
        body = {
            "name": "Bia",
            "email": f"{uuid4()}@example.com",
            "role": role,
            "password": "12345678",
        }
        await client.post("/agents", json=body, headers=account.bearer)
        login = {"email": body["email"], "password": body["password"]}
        token = (await client.post("/auth/login", json=login)).json()["access_token"]

        async def status(row: Row) -> int:
            path = row.path.format(**{name: uuid4() for name in row.parameters})
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.request(row.method, path, headers=headers)).status_code

        prefixes = {
            "supervisor": ("contacts.", "messages.", "sessions.", "notes."),
            "agent": ("messages.", "sessions."),
        }[role]
        also = {
            "supervisor": {
                *("agents.read", "pipelines.read", "events.read", "reports.read"),
                "custom_fields.manage",
            },
            "agent": {
                *("contacts.read", "contacts.update", "notes.create", "notes.read"),
                "events.read",
            },
        }[role]
        for row in ROUTES:
            if row.permission in (PUBLIC, AUTHENTICATED):
                continue
            allowed = row.permission.startswith(prefixes) or row.permission in also
            allowed = allowed and (role, row.permission) != ("agent", "messages.send_bulk")
            assert (await status(row) != 403) == allowed, (row.method, row.path)


class TestOwnPages:
    async def test_event_types_are_described(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        page = (await client.get("/event-types", headers=account.bearer)).json()
        by_name = {event["name"]: event for event in page["data"]}
        assert {"message.received", "session.expired", "contact.created"} <= by_name.keys()
        received = by_name["message.received"]
        assert received["example"]["type"] == "message.received"
        assert {"message", "contact", "session", "channel"} <= received["data_schema"][
            "properties"
        ].keys()

    async def test_the_docs_need_no_internet(self, client: httpx.AsyncClient) -> None:
        page = await client.get("http://gateway/docs")
        assert page.status_code == 200
        assert "http://" not in page.text
        assert "https://" not in page.text
        for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon.png"):
            assert f"/docs/assets/{asset}" in page.text
            response = await client.get(f"http://gateway/docs/assets/{asset}")
            assert response.status_code == 200
        document = (await client.get("http://gateway/openapi.json")).json()
        assert document["openapi"] == "3.1.0"

    async def test_an_unexpected_error_gives_nothing_away(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        contacts.fails = True
        try:
            response = await client.get(f"/contacts/{uuid4()}", headers=account.bearer)
        finally:
            contacts.fails = False
        assert response.status_code == 500
        assert response.json()["code"] == "internal_error"
        assert "secret" not in response.text


class TestBrokerAway:
    async def test_the_bus_is_unavailable_at_once_and_own_data_is_not(
        self, rabbitmq_outage: RabbitServer, lone_gateway: Service, lone_client: httpx.AsyncClient
    ) -> None:
        vhost = lone_gateway.settings.amqp_url
        account = await register(lone_client)

        async def works() -> bool:
            return (await lone_client.get("/contacts", headers=account.bearer)).is_success

        async with answering(Contacts().server(lone_gateway.database), vhost):
            await until(works)
        await rabbitmq_outage.stop()
        async with asyncio.timeout(DEFAULT_TIMEOUT_SECONDS):
            response = await lone_client.get("/contacts", headers=account.bearer)
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert (await lone_client.get("/agents", headers=account.bearer)).status_code == 200
        assert (await lone_client.get("/auth/me", headers=account.bearer)).status_code == 200
        await register(lone_client)

        async def unhealthy() -> bool:
            assert (await lone_client.get("http://gateway/health/ready")).status_code == 200
            health = await lone_client.get("http://gateway/health")
            return health.status_code == 503

        await until(unhealthy)
        await rabbitmq_outage.start()
        async with answering(Contacts().server(lone_gateway.database), vhost):
            await until(works)
