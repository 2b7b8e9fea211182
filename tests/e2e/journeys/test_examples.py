"""Every example of WAHA's webhooks, posted as WAHA posts it."""

from typing import Any

import pytest
from crm_fakes import examples
from crm_fakes.examples import Example
from crm_fakes.waha import WahaSimulator

from e2e.crm import Channel, Tenant, eventually

CREATED = [e for e in examples.load() if e.expected["action"] == "create_message"]
EDITED = {
    e.expected["target_key"]: e.expected["text"]
    for e in examples.load()
    if e.expected["action"] == "edit_message"
}
STATUSES = [e for e in examples.load() if e.expected["action"] == "update_session"]


async def post(tenant: Tenant, channel: Channel, example: Example, **more_headers: str) -> None:
    """Post an example as the channel's WAHA session would."""
    body, headers = example.with_session(channel.waha_session).signed(channel.hmac_key)
    headers |= more_headers
    answer = await tenant.http.post(channel.webhook_url, content=body, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"status": "accepted"})


class TestExamples:
    async def test_are_all_accepted_and_each_message_is_stored_as_expected(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        for example in examples.load():
            await post(tenant, channel, example)

        async def complete() -> dict[str, Any] | None:
            stored = {m["external_id"]: m for m in await tenant.messages()}
            wanted = {e.expected["external_key"] for e in CREATED}
            edited = all(key in stored and stored[key]["edited_at"] for key in EDITED)
            return stored if wanted <= stored.keys() and edited else None

        stored = await eventually(complete, "all example messages")
        contacts = {c["id"]: c for c in await tenant.rows("/contacts")}
        for example in CREATED:
            expected = example.expected
            message = stored[expected["external_key"]]
            contact = contacts[message["contact_id"]]
            assert message["direction"] == expected["direction"], example.name
            assert message["content_type"] == expected["content_type"], example.name
            said = EDITED.get(expected["external_key"], expected["text"])
            assert message["content"] == said, example.name
            if expected.get("phone"):
                assert contact["phone"] == f"+{expected['phone']}", example.name
            if media := expected.get("media"):
                kind = media.get("mimetype")
                assert kind is None or message["media_mime_type"] == kind, example.name

    async def test_receipts_reach_the_message_they_are_for(
        self, tenant: Tenant, waha: WahaSimulator
    ) -> None:
        channel = await tenant.channel(waha, pair=False)
        # An API echo without a send of ours is somebody else's send through the same WAHA.
        for name in ("ack_device_gows", "message_any_echo_of_api_send_gows", "ack_server_noweb"):
            await post(tenant, channel, examples.by_name(name))

        async def delivered() -> bool:
            return [m["status"] for m in await tenant.messages()] == ["delivered"]

        await eventually(delivered, "parked receipt applied")

    @pytest.mark.parametrize("example", STATUSES, ids=lambda e: e.name)
    async def test_a_session_status_becomes_the_channels(
        self, tenant: Tenant, waha: WahaSimulator, example: Example
    ) -> None:
        wanted = {
            "SCAN_QR_CODE": "pairing",
            "WORKING": "connected",
            "FAILED": "failed",
            "STOPPED": "stopped",
            "PASSKEY_REQUIRED": "pairing",
        }[example.expected["status"]]
        channel = await tenant.channel(waha, pair=False)
        await post(tenant, channel, example)

        async def shown() -> bool:
            return bool((await tenant.get(f"/channels/{channel.id}"))["status"] == wanted)

        await eventually(shown, f"channel {wanted}")
