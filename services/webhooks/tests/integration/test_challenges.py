"""A URL that must answer a challenge gets nothing else before it has."""

from typing import Any

import pytest
from crm_fakes.receiver import Answer, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from crm_testing.services import eventually
from shared_events.webhooks.endpoint import (
    DeleteEndpoint,
    GetEndpoint,
    PatchEndpoint,
    VerifyEndpoint,
)

ECHO = Answer(echo=True)


async def until(tenant: Tenant, endpoint: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The endpoint, once it is shown with these."""

    async def shown() -> dict[str, Any] | None:
        found = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
        return found if fields.items() <= found.items() else None

    found: dict[str, Any] = await eventually(shown)
    return found


async def asked(tenant: Tenant, url: str, **fields: Any) -> dict[str, Any]:
    """A new endpoint whose URL is asked for the first time."""
    endpoint = await tenant.endpoint(url, verify="challenge", **fields)
    await tenant.value(VerifyEndpoint(endpoint_id=endpoint["id"]))
    return endpoint


def challenged(receiver: WebhookReceiver) -> int:
    return receiver.by_type["webhook.challenge"]


class TestCreation:
    async def test_holds_what_is_owed_until_the_url_has_answered(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, verify="challenge")
        assert (endpoint["enabled"], endpoint["disabled_reason"]) == (False, "unverified")
        (row,) = await tenant.rows("SELECT challenge_due_at FROM webhook_endpoints")
        assert row["challenge_due_at"] is None
        sent = await tenant.contact_created(count=3)

        async def owed() -> bool:
            return len(await tenant.deliveries(endpoint)) == len(sent)

        await eventually(owed)
        receiver.trust(endpoint["secret"])  # the receiver knows it before anything is sent
        receiver.answer(Answer(body="welcome"), ECHO)
        verify = VerifyEndpoint(endpoint_id=endpoint["id"])
        await tenant.value(verify)
        await until(tenant, endpoint, challenge_error="challenge_not_echoed", verified_at=None)
        assert set(receiver.by_type) == {"webhook.challenge"}

        await tenant.value(verify)
        found = await until(tenant, endpoint, enabled=True, disabled_reason=None)
        assert found["verified_at"] is not None
        assert found["challenge_error"] is None
        got = await receiver.wait_for_count(3, lambda r: r.type == "contact.created")
        assert {r.id for r in got} == set(sent)
        challenges = receiver.of_type("webhook.challenge")
        assert [r.signature_valid for r in challenges] == [True, True], "none at the creation"
        assert challenges[-1].json["data"]["endpoint_id"] == endpoint["id"]
        assert len({r.json["data"]["challenge"] for r in challenges}) == 2

    async def test_of_one_that_checks_signatures_takes_two_steps(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        """Of two companies that have the same URL, the one whose secret it knows is answered."""
        mine, stranger = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url, verify="challenge")
        receiver.trust(endpoint["secret"])
        receiver.answer(Answer(401), ECHO)
        theirs = await asked(stranger, receiver.url)
        await until(stranger, theirs, enabled=False, challenge_error="http_4xx")
        await mine.value(VerifyEndpoint(endpoint_id=endpoint["id"]))
        await until(mine, endpoint, enabled=True)
        seen = [(r.json["tenant_id"], r.signature_valid) for r in receiver.requests]
        assert seen == [(stranger.id, False), (mine.id, True)]

    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (Answer(302, echo=True), "http_3xx"),
            (Answer(500, echo=True), "http_5xx"),
            (Answer(hang=True), "timeout"),
            (Answer(body='{"data": {"challenge": "x"}}'), "challenge_not_echoed"),
        ],
    )
    async def test_says_why_it_was_no_answer(
        self, tenant: Tenant, receiver: WebhookReceiver, answer: Answer, error: str
    ) -> None:
        receiver.answer(answer)
        endpoint = await asked(tenant, receiver.url, signing="ed25519")
        await until(tenant, endpoint, enabled=False, challenge_error=error)

    async def test_of_a_disabled_one_enables_nothing(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        receiver.answer(Answer(500), ECHO)
        endpoint = await asked(tenant, receiver.url, enabled=False)
        await until(tenant, endpoint, challenge_error="http_5xx")
        enable = PatchEndpoint(endpoint_id=endpoint["id"], enabled=True)
        assert await tenant.refusal(enable) == ("conflict", "endpoint_unverified")
        await tenant.value(VerifyEndpoint(endpoint_id=endpoint["id"]))
        await until(tenant, endpoint, challenge_error=None, disabled_reason="disabled_by_user")
        assert (await tenant.value(enable))["enabled"]


class TestChange:
    async def test_another_url_must_answer_too(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        receiver.answer(ECHO, path="/old")
        endpoint = await asked(tenant, receiver.url_for("old"))
        await until(tenant, endpoint, enabled=True)
        receiver.answer(Answer(500), path="/new")
        moved = PatchEndpoint.model_validate(
            {"endpoint_id": endpoint["id"], "url": receiver.url_for("new")}
        )
        changed = await tenant.value(moved)
        assert (changed["disabled_reason"], changed["verified_at"]) == ("unverified", None)
        await until(tenant, endpoint, challenge_error="http_5xx")
        assert [row["event_type"] for row in await tenant.outbox("webhook.endpoint_disabled")]
        # The same URL once more is no other; who wants no challenge any more is sent to.
        await tenant.value(moved)
        none = PatchEndpoint(endpoint_id=endpoint["id"], verify="none")
        assert (await tenant.value(none))["enabled"]
        await tenant.contact_created()
        await receiver.wait_for(lambda r: r.path == "/new" and r.type == "contact.created")
        assert challenged(receiver) == 2

    async def test_while_one_is_asked_is_what_counts(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        receiver.answer(Answer(echo=True, delay=0.3), path="/old")
        receiver.answer(Answer(404), path="/new")
        endpoint = await asked(tenant, receiver.url_for("old"))
        await receiver.wait_for(lambda r: r.path == "/old")
        moved = {"endpoint_id": endpoint["id"], "url": receiver.url_for("new")}
        await tenant.value(PatchEndpoint.model_validate(moved))
        await until(tenant, endpoint, challenge_error="http_4xx", verified_at=None, enabled=False)

    async def test_to_a_challenge_of_one_that_had_none(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url)
        again = VerifyEndpoint(endpoint_id=endpoint["id"])
        assert await tenant.refusal(again) == ("conflict", "endpoint_without_challenge")
        receiver.answer(ECHO)
        change = PatchEndpoint(endpoint_id=endpoint["id"], verify="challenge")
        assert (await tenant.value(change))["disabled_reason"] == "unverified"
        await until(tenant, endpoint, enabled=True)


class TestGuards:
    async def test_it_is_nobody_elses_and_no_way_inside(
        self, tenants: Any, new_place: Any, receiver: WebhookReceiver
    ) -> None:
        place = await new_place()
        async with place.running(), place.asking() as make:
            mine, other = make(), make()
            receiver.answer(Answer(500))
            endpoint = await asked(mine, receiver.url)
            await until(mine, endpoint, challenge_error="http_5xx")
            request = VerifyEndpoint(endpoint_id=endpoint["id"])
            problem = (await other.ask(request)).problem
            assert (problem.kind, problem.code) == ("not_found", "webhook_endpoint_not_found")
            stale = await mine.problem(request, expected_version=1)
            assert stale.kind == "precondition_failed"
        async with (
            place.running(webhook_allowed_networks="127.0.0.9/32"),
            place.asking() as make,
        ):
            mine = make(mine.id)
            await mine.value(request)
            await until(mine, endpoint, challenge_error="ssrf_blocked")
        assert challenged(receiver) == 1

    async def test_one_company_whose_urls_hang_holds_up_no_other(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        receiver.answer(*[Answer(hang=True)] * 30, path="/hangs")
        hanging = [await asked(mine, receiver.url_for("hangs")) for _ in range(30)]
        receiver.answer(ECHO, path="/answers")
        theirs = await asked(other, receiver.url_for("answers"))
        await until(other, theirs, enabled=True)
        assert len([r for r in receiver.requests if r.path == "/hangs"]) < 10
        for endpoint in hanging:
            await mine.value(DeleteEndpoint(endpoint_id=endpoint["id"]))

    async def test_what_a_dead_process_left_is_asked_again(
        self, tenant: Tenant, service: Any, receiver: WebhookReceiver
    ) -> None:
        receiver.answer(Answer(500), ECHO)
        endpoint = await asked(tenant, receiver.url)
        await until(tenant, endpoint, challenge_error="http_5xx")
        async with service.database.tenant(tenant.id) as tx:
            await tx.execute(
                "UPDATE webhook_endpoints SET challenge_due_at = now() WHERE id = $1",
                endpoint["id"],
            )
        await until(tenant, endpoint, enabled=True)
