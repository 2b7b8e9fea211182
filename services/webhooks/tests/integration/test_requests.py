"""The answers of the bus API, and its refusals."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from shared_events import examples
from shared_events.messaging.session import SessionStarted
from shared_events.webhooks.delivery import GetDelivery, ListDeliveries, Redeliver
from shared_events.webhooks.endpoint import (
    CreateEndpoint,
    DeleteEndpoint,
    GetEndpoint,
    ListEndpoints,
    PatchEndpoint,
)

from services.webhooks.tests.conftest import MakeTenant


class TestEndpoints:
    async def test_the_secret_is_shown_once(self, tenant: Tenant) -> None:
        created = await tenant.endpoint("https://example.com/hook", description="crm")
        assert created["secret"].startswith("whsec_")
        assert (created["enabled"], created["event_types"], created["version"]) == (True, ["*"], 1)
        shown = await tenant.value(GetEndpoint(endpoint_id=created["id"]))
        assert shown == {**created, "secret": None}
        (listed,) = (await tenant.value(ListEndpoints()))["data"]
        assert listed == shown

    async def test_refusals_name_the_field(self, tenant: Tenant) -> None:
        for fields, pointer, code in (
            ({"url": "http://10.0.0.1/"}, "/url", "url_not_allowed"),
            ({"url": "https://u:p@example.com/"}, "/url", "url_not_allowed"),
            (
                {"url": "https://example.com/", "headers": {"Host": "x"}},
                "/headers/Host",
                "header_not_allowed",
            ),
            (
                {"url": "https://example.com/", "headers": {"X-Key": "[hidden]"}},
                "/headers/X-Key",
                "header_hidden",
            ),
            (
                {"url": "https://example.com/", "event_types": ["contact.exploded"]},
                "/event_types/0",
                "unknown_event_type",
            ),
        ):
            problem = await tenant.problem(CreateEndpoint.model_validate(fields))
            assert problem.kind == "invalid"
            assert [(e.pointer, e.code) for e in problem.errors] == [(pointer, code)]

    async def test_patch_changes_only_what_it_names(self, tenant: Tenant) -> None:
        created = await tenant.endpoint(
            "https://example.com/", description="x", headers={"X-Api-Key": "k", "X-Team": "a"}
        )
        patched = await tenant.value(
            PatchEndpoint(
                endpoint_id=created["id"], enabled=False, headers={**created["headers"], "X-B": "b"}
            ),
            expected_version=1,
        )
        assert (patched["enabled"], patched["disabled_reason"]) == (False, "disabled_by_user")
        assert (patched["description"], patched["version"]) == ("x", 2)
        assert patched["headers"] == dict.fromkeys(("X-Api-Key", "X-Team", "X-B"), "[hidden]")
        stale = await tenant.problem(
            PatchEndpoint(endpoint_id=created["id"], enabled=True), expected_version=1
        )
        assert stale.kind == "precondition_failed"

    @pytest.mark.parametrize("kind", ["channel", "session"])
    async def test_of_some_places_get_what_happens_there_and_nowhere(
        self, tenants: MakeTenant, receiver: WebhookReceiver, kind: str
    ) -> None:
        by = f"{kind}_ids"
        tenant, neighbour = tenants(), tenants()
        sales, support = uuid4(), uuid4()
        some = await tenant.endpoint(receiver.url_for("some"), **{by: [str(sales)]})
        every = await tenant.endpoint(receiver.url_for("every"))
        theirs = await neighbour.endpoint(receiver.url_for("theirs"), **{by: [str(sales)]})
        assert (some[by], every[by]) == ([str(sales)], [])

        async def happens(whose: Tenant, there: UUID) -> str:
            data = examples.load("session.started")["data"]
            ids = {"channel": str(uuid4()), "session": str(uuid4()), kind: str(there)}
            session = {**data["session"], "id": ids["session"], "channel_id": ids["channel"]}
            channel = {**data["channel"], "id": ids["channel"]}
            told = {**data, "session": session, "channel": channel}
            return await whose.publish_anything(SessionStarted, told)

        async def are_owed(endpoint: dict[str, Any], whose: Tenant, *events: str) -> None:
            async def they_are() -> bool:
                return {d["event_id"] for d in await whose.deliveries(endpoint)} == set(events)

            await eventually(they_are, 30)

        sold, helped = await happens(tenant, sales), await happens(tenant, support)
        created = await tenant.publish_contact_created()
        sold_theirs = await happens(neighbour, sales)
        await are_owed(every, tenant, sold, helped, created)
        await are_owed(some, tenant, sold, created)
        await are_owed(theirs, neighbour, sold_theirs)

        most = [str(uuid4()) for _ in range(99)] + [str(support)]
        for asked in (most, []):
            patch = PatchEndpoint.model_validate({"endpoint_id": some["id"], by: asked})
            assert (await tenant.value(patch))[by] == asked
        kept = await tenant.value(PatchEndpoint(endpoint_id=some["id"], description="x"))
        assert kept[by] == []
        again = await happens(tenant, support)
        await are_owed(some, tenant, sold, created, again)

    async def test_headers_do_not_follow_the_url_to_another_host(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        created = await tenant.endpoint(receiver.url_for("a"), headers={"X-Api-Key": "k-123"})
        one = created["id"]
        await tenant.value(PatchEndpoint(endpoint_id=one, url=receiver.url_for("b")))
        elsewhere = receiver.url.replace("127.0.0.1", "127.0.0.2")
        for headers, code in (
            (None, "headers_missing"),
            ({"X-Api-Key": "[hidden]"}, "header_hidden"),
        ):
            request = PatchEndpoint(endpoint_id=one, url=elsewhere, headers=headers)
            assert await tenant.refusal(request) == ("invalid", code)
        for headers in ({"X-Api-Key": "k-456"}, {}):
            request = PatchEndpoint(endpoint_id=one, url=elsewhere, headers=headers)
            assert (await tenant.value(request))["url"] == elsewhere + "/"

    async def test_header_values_come_back_hidden_and_are_still_sent(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        created = await tenant.endpoint(receiver.url, headers={"X-Pwd": "k-123", "X-Team": "a"})
        assert created["headers"] == {"X-Pwd": "[hidden]", "X-Team": "[hidden]"}
        back = {name.lower(): value for name, value in created["headers"].items()}
        await tenant.value(PatchEndpoint(endpoint_id=created["id"], headers=back))
        receiver.answer(Answer(500, body="no such password: k-123"))
        await tenant.contact_created()
        got = await receiver.wait_for_count(2)
        assert got[1].headers["x-pwd"] == "k-123"
        delivery = await tenant.settled(created)
        assert delivery["attempt_log"][0]["response_excerpt"] == "no such password: [hidden]"

    async def test_list_goes_on_by_cursor(self, tenant: Tenant) -> None:
        made = [(await tenant.endpoint("https://example.com/"))["id"] for _ in range(5)]
        seen: list[str] = []
        cursor = None
        while True:
            page = await tenant.value(ListEndpoints(limit=2, cursor=cursor))
            seen += [e["id"] for e in page["data"]]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                break
        assert seen == made[::-1]
        problem = await tenant.problem(ListEndpoints(cursor="nonsense"))
        assert (problem.kind, problem.code) == ("malformed", "invalid_cursor")

    async def test_deleted_is_as_if_it_never_was(self, tenant: Tenant) -> None:
        created = await tenant.endpoint("https://example.com/")
        await tenant.value(DeleteEndpoint(endpoint_id=created["id"]))
        for request in (
            GetEndpoint(endpoint_id=created["id"]),
            DeleteEndpoint(endpoint_id=created["id"]),
            ListDeliveries(endpoint_id=created["id"]),
            GetEndpoint(endpoint_id=uuid4()),
        ):
            problem = await tenant.problem(request)
            assert (problem.kind, problem.code) == ("not_found", "webhook_endpoint_not_found")


class TestDeliveries:
    async def test_list_filters_and_pages(self, tenant: Tenant, receiver: WebhookReceiver) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        sent = await tenant.contact_created(count=5)
        await receiver.wait_for_count(5)
        await tenant.settled(endpoint)
        page = await tenant.value(ListDeliveries(endpoint_id=endpoint["id"], limit=3))
        rest = await tenant.value(
            ListDeliveries(endpoint_id=endpoint["id"], limit=3, cursor=page["next_cursor"])
        )
        listed = page["data"] + rest["data"]
        # They are of several contacts, which have no order among each other.
        assert sorted(d["event_id"] for d in listed) == sorted(sent)
        ids = [d["id"] for d in await tenant.deliveries(endpoint)]
        assert [d["id"] for d in listed] == ids
        assert await tenant.deliveries(endpoint, status="exhausted") == []
        assert await tenant.deliveries(endpoint, event_type="message.sent") == []
        assert len(await tenant.deliveries(endpoint, event_type="contact.created")) == 5

    async def test_other_tenants_find_nothing(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url)
        await mine.contact_created()
        delivery = await mine.settled(endpoint)
        for request in (
            GetDelivery(delivery_id=delivery["id"]),
            Redeliver(delivery_id=delivery["id"]),
        ):
            problem = (await other.ask(request)).problem
            assert (problem.kind, problem.code) == ("not_found", "webhook_delivery_not_found")

    async def test_a_disabled_endpoint_gets_what_was_held(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, event_types=["contact.*"])
        receiver.answer(Answer(500))
        (event_id,) = await tenant.contact_created()
        await receiver.wait_for_count(1)
        await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], enabled=False))
        await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], enabled=True))
        assert (await tenant.settled(endpoint))["event_id"] == event_id
