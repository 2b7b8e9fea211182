"""The REST conventions as a customer's program meets them."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from crm_fakes.receiver import WebhookReceiver
from jsonschema import Draft202012Validator

from e2e.crm import Json, Tenant, eventually, of_type
from e2e.stack import Platform

PASSWORD = "correct horse battery"
NOBODY = "01890000-0000-7000-8000-000000000000"
JSON = {"Content-Type": "application/json"}
GARBAGE = [
    "a\x00b",
    "\x00",
    "👩‍👩‍👧‍👦" * 30,
    "\u202eשלום",
    "x" * 10_000,
    "   ",
    "\uffff",
    "%_\\'\";--",
]


def problem(answer: httpx.Response, status: int, code: str | None = None) -> Json:
    """The problem document of a refusal, in the one shape all have."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: Json = answer.json()
    assert document.keys() >= {
        *("type", "title", "status", "detail", "instance", "code", "request_id", "errors"),
    }
    assert document["status"] == status
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert code in (None, document["code"])
    return document


async def colleague(tenant: Tenant, role: str) -> dict[str, str]:
    """Somebody with this role, logged in: the headers to ask with."""
    email = f"{role}-{uuid4()}@example.com"
    body = {"name": role, "email": email, "role": role, "password": PASSWORD}
    await tenant.post("/agents", body)
    tokens = await tenant.post("/auth/login", {"email": email, "password": PASSWORD}, expect=200)
    return {"Authorization": f"Bearer {tokens['access_token']}"}


class TestRefusals:
    async def test_are_problems_with_the_status_of_their_kind(self, tenant: Tenant) -> None:
        http, nobody = tenant.http, f"/contacts/{NOBODY}"
        problem(await http.get("/contacts", params={"nmae": "x"}), 400, "unknown_parameter")
        problem(await http.get("/contacts", params={"cursor": "x"}), 400, "invalid_cursor")
        problem(await http.post("/contacts", content=b"{", headers=JSON), 400, "invalid_json")
        refused = await http.get("/contacts", headers={"Authorization": "Bearer no"})
        assert problem(refused, 401) and refused.headers["WWW-Authenticate"]
        problem(await http.get(nobody), 404, "contact_not_found")
        refused = await http.post(nobody, json={})
        assert problem(refused, 405) and "PATCH" in refused.headers["Allow"]
        problem(await http.post("/contacts", content=b" " * 1_100_000, headers=JSON), 413)
        text = {"Content-Type": "text/plain"}
        problem(await http.post("/contacts", content=b"{}", headers=text), 415)
        wrong = problem(await http.post("/contacts", json={"email": "x", "foo": 1}), 422)
        assert {e["pointer"] for e in wrong["errors"]} == {"/name", "/email", "/foo"}

    async def test_guessing_passwords_is_slowed_down(self, tenant: Tenant) -> None:
        guess = {"email": f"{uuid4()}@example.com", "password": "wrong guess"}
        answers = [await tenant.http.post("/auth/login", json=guess) for _ in range(6)]
        assert [a.status_code for a in answers] == [401] * 5 + [429]
        assert int(answers[-1].headers["Retry-After"]) > 0

    async def test_no_input_is_an_error_of_ours(self, tenant: Tenant) -> None:
        depth = b'{"a":' * 1000 + b"1" + b"}" * 1000
        answers = [
            await tenant.http.post("/contacts", content=body, headers=JSON)
            for body in (
                b'{"name":"z","custom_fields":' + depth + b"}",
                b'{"name":"z","custom_fields":{"n":1' + b"0" * 400 + b"}}",
                b'{"name":"\xff"}',
                b"",
            )
        ]
        for text in GARBAGE:
            for field in ("name", "phone", "email", "language"):
                answers.append(await tenant.http.post("/contacts", json={"name": "z", field: text}))
            answers.append(await tenant.http.get("/contacts", params={"search": text}))
            answers.append(await tenant.http.get("/contacts", params={"cursor": text}))
        for moment in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "9" * 400):
            answers.append(await tenant.http.get("/contacts", params={"created_at[gte]": moment}))
        assert [a.text for a in answers if a.status_code >= 500] == []

    @pytest.mark.parametrize(
        ("role", "forbidden"),
        [
            ("supervisor", {"/agents", "/channels", "/webhook-endpoints"}),
            ("agent", {"/agents", "/channels", "/webhook-endpoints", "/contacts"}),
        ],
    )
    async def test_follow_the_role(self, tenant: Tenant, role: str, forbidden: set[str]) -> None:
        headers = await colleague(tenant, role)
        for path in ("/agents", "/channels", "/webhook-endpoints", "/contacts", "/messages/send"):
            answer = await tenant.http.post(path, json={}, headers=headers)
            problem(answer, 403 if path in forbidden else 422)


class TestIdempotencyKey:
    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/contacts", {"name": "Once", "custom_fields": {"long_name": 1, "b": 2}}),
            ("/agents", {"name": "Once", "email": "once@example.com", "role": "agent"}),
            ("/webhook-endpoints", {"url": "http://127.0.0.1:9/once"}),
        ],
    )
    async def test_of_a_hundred_equal_posts_one_has_an_effect(
        self, tenant: Tenant, path: str, body: Json
    ) -> None:
        if "email" in body:
            body = {**body, "email": f"{uuid4()}@example.com"}
        headers = {"Idempotency-Key": str(uuid4())}

        async def post(**changes: Any) -> httpx.Response:
            return await tenant.http.post(path, json={**body, **changes}, headers=headers)

        answers = await asyncio.gather(*(post() for _ in range(100)))
        done = [a for a in answers if a.status_code == 201]
        assert {a.status_code for a in answers} <= {201, 409}
        assert sum("Idempotent-Replayed" not in a.headers for a in done) == 1
        again = await asyncio.gather(*(post() for _ in range(5)))
        assert {a.headers["Idempotent-Replayed"] for a in again} == {"true"}
        assert len({a.content for a in [*done, *again]}) == 1
        created = done[0].json()["id"]
        assert [row["id"] for row in await tenant.rows(path)].count(created) == 1
        problem(await post(name="Other"), 422)


class TestVersions:
    async def test_guard_a_change_and_spare_a_download(self, tenant: Tenant) -> None:
        contact = await tenant.post("/contacts", {"name": "Ana", "email": "ana@example.com"})
        path = f"/contacts/{contact['id']}"
        tag = (await tenant.http.get(path)).headers["ETag"]
        spared = await tenant.http.get(path, headers={"If-None-Match": tag})
        assert (spared.status_code, spared.content) == (304, b"")
        cleared = await tenant.http.patch(path, json={"email": None}, headers={"If-Match": tag})
        assert cleared.json()["email"] is None
        assert cleared.headers["ETag"] != tag
        for method in ("PUT", "PATCH"):
            stale = await tenant.http.request(
                method, path, json={"name": "Eva"}, headers={"If-Match": tag}
            )
            problem(stale, 412)
        problem(await tenant.http.delete(path, headers={"If-Match": tag}), 412)


class TestLists:
    async def test_a_walk_meets_everything_once_while_more_is_added(self, tenant: Tenant) -> None:
        for number in range(7):
            await tenant.post("/contacts", {"name": f"João {number}"})
        before = [row["id"] for row in await tenant.rows("/contacts", search="JOAO")]
        assert len(before) == 7
        seen: list[str] = []
        answer = await tenant.http.get("/contacts", params={"limit": 2})
        while True:
            page = answer.json()
            seen += [row["id"] for row in page["data"]]
            further = "next" in answer.links
            assert page["has_more"] == further == (page["next_cursor"] is not None)
            if not further:
                break
            await tenant.post("/contacts", {"name": "Newcomer"})
            answer = await tenant.http.get(answer.url.join(answer.links["next"]["url"]))
        assert seen == before

    async def test_the_feed_is_walked_by_its_links(self, tenant: Tenant) -> None:
        for number in range(5):
            await tenant.post("/contacts", {"name": f"{number}"})

        async def told() -> bool:
            page = await tenant.get("/events", types="contact.created")
            return len(page["data"]) == 5

        await eventually(told, "five events in the feed")
        answer = await tenant.http.get("/events", params={"types": "contact.created", "limit": 2})
        names = []
        while True:
            names += [event["data"]["contact"]["name"] for event in answer.json()["data"]]
            if "next" not in answer.links:
                break
            answer = await tenant.http.get(answer.url.join(answer.links["next"]["url"]))
        assert names == [str(number) for number in range(5)]


class TestRequestId:
    async def test_reaches_the_customers_webhook(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver)
        await tenant.http.post(
            "/contacts", json={"name": "Ana"}, headers={"X-Request-Id": "order-4711"}
        )
        webhook = await receiver.wait_for(of_type("contact.created"))
        assert webhook.headers["X-Request-Id"] == "order-4711"


class TestDocuments:
    async def test_every_example_of_the_catalogue_fits_its_schema(self, tenant: Tenant) -> None:
        for event in (await tenant.get("/event-types"))["data"]:
            Draft202012Validator.check_schema(event["data_schema"])
            Draft202012Validator(event["data_schema"]).validate(event["example"]["data"])

    async def test_the_docs_need_no_internet(self, platform: Platform) -> None:
        async with httpx.AsyncClient(base_url=platform.gateway_url) as http:
            assert (await http.get("/openapi.json")).json()["openapi"].startswith("3.1")
            page = await http.get("/docs")
            assert page.status_code == 200
            assert "https://" not in page.text
