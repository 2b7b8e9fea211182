"""What every list, version and Idempotency-Key of the REST API has in common."""

from datetime import UTC, datetime
from uuid import UUID

import httpx
from shared_events.contacts.contact import ListContacts

from services.gateway.tests.integration.conftest import Account, Contacts


class TestPages:
    async def test_links_lead_through_the_whole_list_by_the_same_question(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        for number in range(7):
            await client.post("/contacts", json={"name": f"{number}"}, headers=account.bearer)
        asked = [("tags", "a & b"), ("tags", "ü>"), ("search", 'x=",;'), ("limit", "2")]
        query = httpx.QueryParams([("offset", "1"), *asked])
        answer = await client.get("/contacts", params=query, headers=account.bearer)
        names: list[str] = []
        while True:
            names += [each["name"] for each in answer.json()["data"]]
            request, _ = contacts.calls[-1]
            assert isinstance(request, ListContacts)
            assert (request.tags, request.search, request.limit) == (["a & b", "ü>"], 'x=",;', 2)
            if "next" not in answer.links:
                break
            link = answer.links["next"]["url"]
            assert link.startswith("/api/v1/contacts?")
            answer = await client.get(answer.url.join(link), headers=account.bearer)
        assert names == [str(number) for number in range(1, 7)]
        assert answer.json()["has_more"] is False

    async def test_what_is_no_list_has_none(
        self, client: httpx.AsyncClient, account: Account
    ) -> None:
        for path in ("/auth/me", "/event-types", "/agents"):
            answer = await client.get(path, headers=account.bearer)
            assert (answer.status_code, "link" in answer.headers) == (200, False)


class TestVersions:
    async def test_what_changes_without_a_version_is_shown_to_who_knows_the_version(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        created = await client.post("/contacts", json={"name": "Zé"}, headers=account.bearer)
        path, tag = f"/contacts/{created.json()['id']}", created.headers["etag"]
        key = (account.tenant_id, UUID(created.json()["id"]))
        wrote = {"last_interaction_at": datetime.now(UTC)}
        contacts.rows[key] = contacts.rows[key].model_copy(update=wrote)
        answer = await client.get(path, headers={**account.bearer, "If-None-Match": tag})
        assert answer.status_code == 200
        assert answer.json()["version"] == created.json()["version"]
        changed = await client.patch(
            path, json={"name": "Eva"}, headers={**account.bearer, "If-Match": tag}
        )
        assert changed.status_code == 200

    async def test_of_several_one_must_be_the_present_one(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        """Over the bus, and at the gateway itself; in one line of the header or in two."""
        contact = await client.post("/contacts", json={"name": "Zé"}, headers=account.bearer)
        path, tag = f"/contacts/{contact.json()['id']}", contact.headers["etag"]

        async def rename(*tags: str) -> tuple[int, int | None]:
            headers = [*account.bearer.items(), *(("If-Match", each) for each in tags)]
            answer = await client.patch(path, json={"name": "Eva"}, headers=headers)
            return answer.status_code, answer.json().get("current_version")

        assert await rename('"7", "8"') == (412, 1)
        assert await rename(f'"7", {tag}, "9"') == (200, None)
        assert await rename('"1", "9"') == (412, 2)
        assert await rename('"1"', '"2"') == (200, None)
        assert contacts.calls[-1][1].expected_version == frozenset({1, 2})
        assert await rename('W/"3"') == (412, None)
        assert await rename("*") == (200, None)

        async def decide(tags: str) -> int:
            body, headers = {"agents_see": "all"}, {**account.bearer, "If-Match": tags}
            return (await client.patch("/settings", json=body, headers=headers)).status_code

        assert [await decide(tags) for tags in ('"8", "9"', '"1", "9"')] == [412, 200]


class TestIdempotency:
    async def test_the_same_idempotency_key_is_refused_alike(
        self, client: httpx.AsyncClient, account: Account, contacts: Contacts
    ) -> None:
        body = {"name": "Zé", "phone": "+5511988880003"}
        first = await client.post("/contacts", json=body, headers=account.bearer)
        headers = {**account.bearer, "Idempotency-Key": "k-2"}
        refused = await client.post("/contacts", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (409, "contact_exists")
        assert "idempotent-replayed" not in refused.headers
        del contacts.rows[account.tenant_id, UUID(first.json()["id"])]
        again = await client.post("/contacts", json=body, headers=headers)
        assert again.headers["idempotent-replayed"] == "true"
        assert {**again.json(), "request_id": 0} == {**refused.json(), "request_id": 0}
        assert again.status_code == refused.status_code
