"""What may be done with an endpoint: a new secret, a test event, a pause that loses nothing."""

from typing import Any
from uuid import uuid4

from crm_fakes.receiver import Answer, ReceivedRequest, WebhookReceiver
from crm_fakes.signatures import legacy_valid, secret_bytes
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from crm_webhooks.deliveries.retention import purge
from shared_events.webhooks.delivery import GetDelivery
from shared_events.webhooks.endpoint import GetEndpoint, PatchEndpoint, RotateSecret, SendTest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError


def verified_by(secret: str, got: ReceivedRequest) -> bool:
    """Whether the official library accepts a delivery by this secret."""
    try:
        Webhook(secret).verify(got.body, {name.lower(): v for name, v in got.headers.items()})
    except WebhookVerificationError:
        return False
    return True


async def rotated(tenant: Tenant, endpoint: dict[str, Any], **fields: Any) -> str:
    found = await tenant.value(RotateSecret(endpoint_id=endpoint["id"], **fields))
    assert found["secret"].startswith("whsec_")
    return str(found["secret"])


class TestRotateSecret:
    async def test_old_and_new_sign_until_the_overlap_ends(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, event_types=["contact.created"])
        secrets = [endpoint["secret"], await rotated(tenant, endpoint)]
        shown = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
        assert (shown["secret"], shown["version"]) == (None, 2)
        receiver.answer(Answer(500))
        await tenant.contact_created()
        first, again = await receiver.wait_for_count(2)
        assert [verified_by(s, got) for got in (first, again) for s in secrets] == [True] * 4
        assert first.headers["webhook-signature"].count("v1,") == 2
        assert legacy_valid(secret_bytes(secrets[1]), first.headers, first.body)
        # A day by default; a later rotation never makes an old secret live longer.
        await rotated(tenant, endpoint, overlap_seconds=7 * 86_400)
        lives = await tenant.rows(
            "SELECT extract(epoch FROM expires_at - now())::int AS left FROM endpoint_secrets"
            " ORDER BY active_from"
        )
        assert [row["left"] and round(row["left"] / 3600) for row in lives] == [24, 168, None]

    async def test_without_an_overlap_the_old_ones_sign_nothing_more(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, event_types=["contact.created"])
        receiver.answer(Answer(500))
        await tenant.contact_created()
        await receiver.wait_for_count(1)
        new = await rotated(tenant, endpoint, overlap_seconds=0)
        await tenant.contact_created()  # whatever was signed meanwhile, this is later
        got = (await receiver.wait_for_count(3))[-1]
        assert (verified_by(new, got), verified_by(endpoint["secret"], got)) == (True, False)

    async def test_is_bounded_guarded_and_nobody_elses(self, tenants: Any) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint("https://example.com/")
        for _ in range(9):
            await rotated(mine, endpoint)
        request = RotateSecret(endpoint_id=endpoint["id"])
        assert await mine.refusal(request) == ("conflict", "too_many_secrets")
        await rotated(mine, endpoint, overlap_seconds=0)
        stale = await mine.problem(request, expected_version=1)
        assert stale.kind == "precondition_failed"
        for asked in (request, SendTest(endpoint_id=endpoint["id"])):
            problem = (await other.ask(asked)).problem
            assert (problem.kind, problem.code) == ("not_found", "webhook_endpoint_not_found")
        assert len(await mine.rows("SELECT id FROM endpoint_secrets")) == 1


class TestSendTest:
    async def test_reaches_this_endpoint_alone_by_the_normal_path(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url_for("mine"), event_types=["contact.created"])
        await tenant.endpoint(receiver.url_for("all"))
        receiver.answer(Answer(503), path="mine")
        owed = await tenant.value(SendTest(endpoint_id=endpoint["id"]))
        assert (owed["event_type"], owed["status"]) == ("webhook.test", "pending")
        assert owed["trigger"] == "test"
        first, again = await receiver.wait_for_count(2)
        assert {first.id, again.id} == {owed["event_id"]}
        assert verified_by(endpoint["secret"], again)
        assert list(again.json) == ["id", "type", "timestamp", "tenant_id", "data"]
        assert again.json["data"]["endpoint_id"] == endpoint["id"]
        settled = await tenant.settled(endpoint)
        assert settled["id"] == owed["id"]
        assert [a["status_code"] for a in settled["attempt_log"]] == [503, 200]
        await tenant.contact_created()  # had it gone to the other as well, it had come before this
        await receiver.wait_for_count(1, lambda r: r.path == "/all")
        assert [r.type for r in receiver.requests if r.path == "/all"] == ["contact.created"]

    async def test_is_refused_while_nothing_is_sent(self, tenant: Tenant) -> None:
        endpoint = await tenant.endpoint("https://example.com/", enabled=False)
        request = SendTest(endpoint_id=endpoint["id"])
        assert await tenant.refusal(request) == ("conflict", "endpoint_disabled")
        stale = await tenant.problem(request, expected_version=7)
        assert stale.kind == "precondition_failed"


class TestDisabled:
    async def test_what_happens_meanwhile_is_kept_in_order(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url_for("mine"), enabled=False)
        theirs = await other.endpoint(receiver.url_for("theirs"))
        contact = uuid4()
        sent = await mine.contact_created(contact_id=contact, count=5)

        async def owed() -> bool:
            return len(await mine.deliveries(endpoint)) == len(sent)

        await eventually(owed)
        await other.contact_created()
        await other.settled(theirs)
        assert [r.path for r in receiver.requests] == ["/theirs"]
        await mine.value(PatchEndpoint(endpoint_id=endpoint["id"], enabled=True))
        got = await receiver.wait_for_count(len(sent), lambda r: r.path == "/mine")
        assert [r.id for r in got] == sent

    async def test_is_not_kept_for_ever(
        self, tenants: Any, service: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        held = await mine.endpoint("https://example.com/", enabled=False)
        fresh = await mine.endpoint("https://example.com/", enabled=False)
        theirs = await other.endpoint(receiver.url)
        receiver.default = Answer(429, headers={"Retry-After": "3600"})
        for tenant in (mine, other):
            await tenant.contact_created()

        async def all_owed() -> bool:
            counts = [
                len(await tenant.deliveries(endpoint))
                for tenant, endpoint in ((mine, held), (mine, fresh), (other, theirs))
            ]
            return counts == [1, 1, 1]

        await eventually(all_owed)
        for tenant, endpoint in ((mine, held), (other, theirs)):
            async with service.database.tenant(tenant.id) as tx:
                await tx.execute(
                    "UPDATE webhook_deliveries SET next_attempt_at = now() - interval '8 days',"
                    " lease_owner = NULL WHERE endpoint_id = $1",
                    endpoint["id"],
                )
        await purge(service.database, days=1)
        (expired,) = await mine.deliveries(held)
        shown = await mine.value(GetDelivery(delivery_id=expired["id"]))
        assert (shown["status"], shown["last_error"]) == ("cancelled", "expired")
        assert [d["status"] for d in await mine.deliveries(fresh)] == ["pending"]
        assert [d["status"] for d in await other.deliveries(theirs)] != ["cancelled"]
