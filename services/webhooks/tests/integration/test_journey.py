"""From a domain event to a signed POST, on real components."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_fakes.receiver import Answer, ReceivedRequest, WebhookReceiver
from crm_fakes.signatures import legacy_valid
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_webhooks.deliveries import attempt
from crm_webhooks.endpoints.secrets import SigningSecret
from shared_events.topology import CONTACT_WEBHOOK
from shared_events.webhooks.delivery import GetDelivery, Redeliver
from shared_events.webhooks.endpoint import (
    CreateEndpoint,
    DeleteEndpoint,
    GetEndpoint,
    PatchEndpoint,
)
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def taken_at_last(event_id: str) -> Callable[[ReceivedRequest], bool]:
    """An event that an endpoint takes which was gone before."""
    return lambda r: (r.path, r.id, r.answered) == ("/gone", event_id, 200)


class TestJourney:
    async def test_delivers_a_signed_event_once(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, headers={"X-Team": "sales"})
        receiver.trust(endpoint["secret"])

        (event_id,) = await tenant.contact_created()

        got = await receiver.wait_for(lambda r: r.type == "contact.created")
        assert (got.id, got.signature_valid, got.legacy_valid) == (event_id, True, True)
        assert got.headers["X-Team"] == "sales"
        assert got.headers["Content-Type"] == "application/json"
        assert list(got.json) == ["id", "type", "timestamp", "tenant_id", "data"]
        assert got.json["id"] == event_id
        assert got.json["tenant_id"] == tenant.id
        assert got.json["timestamp"].endswith("Z")
        assert got.json["data"]["contact"]["name"] == "Zé ☕"
        Webhook(endpoint["secret"]).verify(
            got.body, {name.lower(): value for name, value in got.headers.items()}
        )
        delivery = await tenant.settled(endpoint)
        assert (delivery["attempts"], delivery["last_status_code"]) == (1, 200)
        assert [a["status_code"] for a in delivery["attempt_log"]] == [200]
        assert delivery["next_attempt_at"] is None
        assert not receiver.duplicates()

    async def test_sends_only_what_an_endpoint_wants(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver.url_for("all"), event_types=["contact.*"])
        await tenant.endpoint(receiver.url_for("other"), event_types=["message.*"])
        await tenant.endpoint(receiver.url_for("exact"), event_types=["contact.created"])
        await tenant.contact_created()
        await receiver.wait_for_count(2)
        assert {r.path for r in receiver.requests} == {"/all", "/exact"}

    async def test_sends_nothing_of_what_is_quiet(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        quiet = await tenant.publish_contact_created(quiet=True)

        async def taken() -> bool:
            done = "SELECT 1 FROM processed_events WHERE event_id = $1 AND consumer_name = $2"
            return bool(await tenant.rows(done, UUID(quiet), CONTACT_WEBHOOK.name))

        await eventually(taken)
        told = await tenant.publish_contact_created()
        await tenant.settled(endpoint)
        assert [d["event_id"] for d in await tenant.deliveries(endpoint)] == [told]

    async def test_sends_nothing_to_another_tenant(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        tenant, other = tenants(), tenants()
        await other.endpoint(receiver.url_for("theirs"))
        mine = await tenant.endpoint(receiver.url_for("mine"))
        await tenant.contact_created()
        await receiver.wait_for_count(1)
        assert {r.path for r in receiver.requests} == {"/mine"}
        reply = await other.ask(GetEndpoint(endpoint_id=mine["id"]))
        assert reply.problem.kind == "not_found"

    async def test_keeps_the_order_of_one_aggregate(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver.url)
        contact_id = uuid4()
        sent = await tenant.contact_created(contact_id=contact_id, count=60)
        await receiver.wait_for_count(60)
        assert [r.id for r in receiver.requests] == sent


class TestRetries:
    async def test_same_id_and_fresh_signature_until_delivered(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.trust(endpoint["secret"])
        receiver.answer(Answer(500), Answer(404), Answer(302, headers={"Location": "/other"}))
        (event_id,) = await tenant.contact_created()
        got = await receiver.wait_for_count(4)
        assert {r.id for r in got} == {event_id}
        assert all(r.signature_valid for r in got)
        for one in got:  # each is signed when it leaves
            assert abs(int(one.headers["webhook-timestamp"]) - one.arrived_at) < 30
        delivery = await tenant.settled(endpoint)
        assert [a["status_code"] for a in delivery["attempt_log"]] == [500, 404, 302, 200]
        assert [a["error"] for a in delivery["attempt_log"]] == [
            "http_5xx",
            "http_4xx",
            "http_3xx",
            None,
        ]
        assert [a["number"] for a in delivery["attempt_log"]] == [1, 2, 3, 4]

    async def test_redirects_are_never_followed(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver.url_for("here"))
        receiver.answer(
            *(Answer(code, headers={"Location": receiver.url_for("there")}) for code in (302, 307)),
            path="here",
        )
        await tenant.contact_created()
        await receiver.wait_for_count(3)
        assert {r.path for r in receiver.requests} == {"/here"}

    async def test_gives_up_after_the_schedule_and_redelivers_on_request(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.default = Answer(500, body="no\x00pe")
        (event_id,) = await tenant.contact_created()
        exhausted = await tenant.settled(endpoint, "exhausted")
        assert exhausted["attempts"] == 4
        assert exhausted["attempt_log"][0]["response_excerpt"] == "nope"

        receiver.default = Answer(200)
        again = await tenant.value(Redeliver(delivery_id=exhausted["id"]))
        assert again["id"] != exhausted["id"]
        assert [exhausted["trigger"], again["trigger"]] == ["event", "redelivery"]
        assert (await tenant.settled(endpoint))["id"] == again["id"]
        assert receiver.requests[-1].id == event_id
        old = await tenant.value(GetDelivery(delivery_id=exhausted["id"]))
        assert old["status"] == "exhausted"

    async def test_waits_as_long_as_the_receiver_asks(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url_for("busy"))
        await tenant.endpoint(receiver.url_for("free"))
        receiver.answer(Answer(429, headers={"Retry-After": "1"}), path="busy")
        await tenant.contact_created()
        await receiver.wait_for_count(1, lambda r: r.path == "/busy")
        await tenant.contact_created()
        await receiver.wait_for_count(3, lambda r: r.path == "/busy")
        await receiver.wait_for_count(2, lambda r: r.path == "/free")
        first, *later = [r.arrived_monotonic for r in receiver.requests if r.path == "/busy"]
        assert all(at - first >= 0.99 for at in later)
        assert (await tenant.settled(endpoint))["status"] == "delivered"

    @pytest.mark.parametrize(
        "asked",
        [
            "Mon, 01 Jan 99999999999 00:00:00 GMT",
            "Wed, 21 Oct 2015 07:28:00 +99999999999999999",
            "-1",
            "\xff\xfe",
        ],
    )
    @pytest.mark.parametrize(
        ("status", "end", "attempts"), [(200, "delivered", 1), (500, "exhausted", 4)]
    )
    async def test_absurd_wishes_are_no_reason_to_send_again(
        self,
        tenant: Tenant,
        receiver: WebhookReceiver,
        asked: str,
        status: int,
        end: str,
        attempts: int,
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.default = Answer(status, headers={"Retry-After": asked})
        await tenant.contact_created()
        delivery = await tenant.settled(endpoint, end)
        assert [a["status_code"] for a in delivery["attempt_log"]] == [status] * attempts
        assert len(receiver.requests) == attempts

    async def test_gone_disables_and_enabling_resumes(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(
            receiver.url_for("gone?token=t-123"),
            event_types=["contact.*"],
            headers={"X-Credential": "c-123"},
        )
        await tenant.endpoint(receiver.url_for("ops"), event_types=["webhook.*"])
        receiver.answer(Answer(410), path="gone")
        (event_id,) = await tenant.contact_created()
        told = await receiver.wait_for(lambda r: r.type == "webhook.endpoint_disabled")
        assert told.json["data"]["endpoint"]["disabled_reason"] == "gone"
        assert told.json["data"]["endpoint"]["secret"] is None
        assert told.json["data"]["endpoint"]["url"] == receiver.url_for("gone")
        assert told.json["data"]["endpoint"]["headers"] == {"X-Credential": "[hidden]"}
        shown = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
        assert (shown["enabled"], shown["disabled_reason"]) == (False, "gone")
        assert shown["url"] == receiver.url_for("gone?token=t-123")
        (held,) = await tenant.contact_created()

        async def both_owed() -> bool:
            owed = await tenant.deliveries(endpoint)
            return [one["event_id"] for one in owed] == [held, event_id]

        await eventually(both_owed)
        assert [r.id for r in receiver.requests if r.path == "/gone"] == [event_id]
        enabled = await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], enabled=True))
        assert enabled["disabled_reason"] is None
        for owed in (event_id, held):
            await receiver.wait_for(taken_at_last(owed))


class TestUnreadable:
    """What we cannot send for reasons of our own is tried ever more rarely, and seen."""

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE endpoint_secrets SET secret = 'sealed under another key'",
            "UPDATE webhook_endpoints SET headers = 'sealed under another key'",
            "UPDATE endpoint_secrets SET expires_at = now()",
            "DELETE FROM endpoint_secrets",
        ],
    )
    async def test_a_missing_key_is_a_failed_attempt(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver, damage: str
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        async with service.database.tenant(tenant.id) as tx:
            await tx.execute(damage)
        await tenant.contact_created()
        delivery = await tenant.settled(endpoint, "exhausted")
        assert [a["error"] for a in delivery["attempt_log"]] == ["configuration"] * 4
        assert not len(receiver.requests)

    async def test_what_nobody_foresaw_is_a_failed_attempt(
        self, tenant: Tenant, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unforeseen(*_: object, **__: object) -> None:
            raise RuntimeError("nobody foresaw this")

        monkeypatch.setattr(attempt, "signed_headers", unforeseen)
        endpoint = await tenant.endpoint(receiver.url)
        await tenant.contact_created()
        delivery = await tenant.settled(endpoint, "exhausted")
        assert [a["error"] for a in delivery["attempt_log"]] == ["internal"] * 4


class TestEdits:
    async def test_pending_deliveries_follow_a_new_url(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url_for("old"))
        receiver.answer(*[Answer(500)] * 9, path="old")
        await tenant.contact_created()
        await receiver.wait_for_count(1)
        await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], url=receiver.url_for("new")))
        await receiver.wait_for(lambda r: r.path == "/new")

    @pytest.mark.parametrize("status", [410, 429])
    async def test_what_the_old_url_says_late_is_no_word_of_the_new_one(
        self, tenant: Tenant, receiver: WebhookReceiver, status: int
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url_for("old"), event_types=["contact.*"])
        late = Answer(status, delay=0.5, headers={"Retry-After": "3600"})
        receiver.answer(late, path="old")
        await tenant.contact_created()
        await receiver.wait_for_count(1)
        await tenant.value(PatchEndpoint(endpoint_id=endpoint["id"], url=receiver.url_for("new")))
        await tenant.settled(endpoint, "retrying")
        (later,) = await tenant.contact_created()
        await receiver.wait_for(lambda r: r.path == "/new" and r.id == later)
        shown = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
        assert (shown["enabled"], shown["disabled_reason"]) == (True, None)

    async def test_deleting_cancels(self, tenant: Tenant, receiver: WebhookReceiver) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        receiver.default = Answer(500)
        await tenant.contact_created()
        await receiver.wait_for_count(1)
        (delivery,) = await tenant.deliveries(endpoint)
        await tenant.value(DeleteEndpoint(endpoint_id=endpoint["id"]))
        cancelled = await tenant.value(GetDelivery(delivery_id=delivery["id"]))
        assert cancelled["status"] == "cancelled"
        assert cancelled["next_attempt_at"] is None

    async def test_every_live_secret_signs(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver, seal: Any
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        new, expired = (SigningSecret.new("hmac") for _ in range(2))
        async with service.database.tenant(tenant.id) as tx:
            for secret, age, end in ((new, 0, None), (expired, 1, timedelta(seconds=-1))):
                await tx.execute(
                    "INSERT INTO endpoint_secrets"
                    " (id, tenant_id, endpoint_id, secret, active_from, expires_at) VALUES ($1, $2,"
                    " $3, $4, now() - make_interval(secs => $5), now() + $6::interval)",
                    uuid4(),
                    tenant.id,
                    endpoint["id"],
                    seal(secret),
                    age,
                    end,
                )
        await tenant.contact_created()
        got = await receiver.wait_for_count(1)
        headers = {name.lower(): value for name, value in got[0].headers.items()}
        for known in (endpoint["secret"], new.secret or ""):
            Webhook(known).verify(got[0].body, headers)
        with pytest.raises(WebhookVerificationError):
            Webhook(expired.secret or "").verify(got[0].body, headers)
        assert legacy_valid(new.material, headers, got[0].body)


class TestIsolation:
    async def test_a_hanging_endpoint_delays_nobody(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        await tenant.endpoint(receiver.url_for("hangs"))
        await tenant.endpoint(receiver.url_for("works"))
        receiver.answer(*[Answer(hang=True)] * 300, path="hangs")
        await tenant.contact_created(count=50)
        await receiver.wait_for_count(50, lambda r: r.path == "/works", timeout=25)

    async def test_refuses_addresses_that_are_not_public(
        self, receiver: WebhookReceiver, new_place: Any
    ) -> None:
        strict = await new_place()
        async with (
            strict.running(webhook_allowed_networks="") as service,
            strict.asking() as tenants,
        ):
            tenant = tenants()
            reply = await tenant.ask(CreateEndpoint.model_validate({"url": receiver.url}))
            assert reply.problem.errors[0].code == "url_not_allowed"
            # A planted row, or one saved while the address was still allowed.
            endpoint = await tenant.endpoint("http://example.com/")
            async with service.database.tenant(tenant.id) as tx:
                await tx.execute("UPDATE webhook_endpoints SET url = $1", receiver.url)
            await tenant.contact_created()
            delivery = await tenant.settled(endpoint, "exhausted")
            assert {a["error"] for a in delivery["attempt_log"]} == {"ssrf_blocked"}
        assert not len(receiver.requests)
