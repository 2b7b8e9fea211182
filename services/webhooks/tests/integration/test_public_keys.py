"""Endpoints that verify by a public key, as their README says it is done."""

import base64
from typing import Any

import pytest
from crm_fakes.receiver import Answer, ReceivedRequest, WebhookReceiver
from crm_testing.scenes.webhooks import Tenant
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import ValidationError
from shared_events.webhooks.endpoint import (
    CreateEndpoint,
    GetEndpoint,
    ListEndpoints,
    RotateSecret,
)
from standardwebhooks.webhooks import Webhook

WANTED = {"event_types": ["contact.created"]}


def verified_by(public_key: str, got: ReceivedRequest) -> bool:
    """Whether one of its signatures is by this key, as docs say it is verified."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_")))
    named = got.headers["webhook-id"], got.headers["webhook-timestamp"]
    signed = ".".join(named).encode() + b"." + got.body
    for signature in got.headers["webhook-signature"].split():
        version, _, encoded = signature.partition(",")
        try:
            if version == "v1a" and not key.verify(base64.b64decode(encoded), signed):
                return True
        except InvalidSignature:
            continue
    return False


async def rotated(tenant: Tenant, endpoint: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return await tenant.value(RotateSecret(endpoint_id=endpoint["id"], **fields))


class TestPublicKeys:
    async def test_verify_what_an_endpoint_gets_and_are_shown_to_whoever_reads_it(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, signing="ed25519", **WANTED)
        assert endpoint["secret"] is None
        assert endpoint["public_key"].startswith("whpk_")
        receiver.answer(Answer(500))
        await tenant.contact_created()
        for got in await receiver.wait_for_count(2):
            assert verified_by(endpoint["public_key"], got)
            assert "X-Webhook-Signature" not in got.headers
            assert got.headers["webhook-signature"].startswith("v1a,")
        shown = await tenant.value(GetEndpoint(endpoint_id=endpoint["id"]))
        (listed,) = (await tenant.value(ListEndpoints()))["data"]
        assert shown["public_key"] == listed["public_key"] == endpoint["public_key"]
        another = await tenant.endpoint(receiver.url, signing="ed25519", **WANTED)
        assert another["public_key"] != endpoint["public_key"]
        assert not verified_by(another["public_key"], receiver.requests[0])

    async def test_turn_with_an_overlap_in_which_both_verify_and_without_one(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        old = await tenant.endpoint(receiver.url, signing="ed25519", **WANTED)
        new = await rotated(tenant, old)
        assert (new["secret"], new["public_key"] == old["public_key"]) == (None, False)
        await tenant.contact_created()
        (got,) = await receiver.wait_for_count(1)
        assert [verified_by(e["public_key"], got) for e in (old, new)] == [True, True]
        newest = await rotated(tenant, old, overlap_seconds=0)
        await tenant.contact_created()
        got = (await receiver.wait_for_count(2))[-1]
        keys = [e["public_key"] for e in (old, new, newest)]
        assert [verified_by(key, got) for key in keys] == [False, False, True]

    async def test_take_over_from_a_secret_and_give_way_to_one(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, **WANTED)
        assert endpoint["public_key"] is None
        secret = endpoint["secret"]
        public = await rotated(tenant, endpoint, signing="ed25519")
        await tenant.contact_created()
        (got,) = await receiver.wait_for_count(1)
        headers = {name.lower(): value for name, value in got.headers.items()}
        Webhook(secret).verify(got.body, headers)
        assert verified_by(public["public_key"], got)
        assert "X-Webhook-Signature" in got.headers  # who knows the secret may still want it
        back = await rotated(tenant, endpoint, signing="hmac", overlap_seconds=0)
        assert (back["public_key"], back["secret"][:6]) == (None, "whsec_")
        await tenant.contact_created()
        got = (await receiver.wait_for_count(2))[-1]
        Webhook(back["secret"]).verify(
            got.body, {name.lower(): value for name, value in got.headers.items()}
        )
        assert not verified_by(public["public_key"], got)

    async def test_are_nobody_elses_and_of_a_known_kind(
        self, tenants: Any, receiver: WebhookReceiver
    ) -> None:
        mine, other = tenants(), tenants()
        endpoint = await mine.endpoint(receiver.url, signing="ed25519")
        problem = (await other.ask(GetEndpoint(endpoint_id=endpoint["id"]))).problem
        assert problem.kind == "not_found"
        with pytest.raises(ValidationError):
            CreateEndpoint.model_validate({"url": receiver.url, "signing": "rsa"})

    async def test_have_private_keys_that_nobody_can_read(
        self, tenant: Tenant, receiver: WebhookReceiver
    ) -> None:
        endpoint = await tenant.endpoint(receiver.url, signing="ed25519")
        (row,) = await tenant.rows("SELECT secret, signing FROM endpoint_secrets")
        assert row["signing"] == "ed25519"
        assert len(row["secret"]) > 32 + 50  # sealed: more than its bytes
        assert "whsk_" not in str(endpoint)
