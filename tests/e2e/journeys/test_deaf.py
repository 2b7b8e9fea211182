"""A number that says it works and hears nothing: found, restarted, its gap filled."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator

from e2e.crm import Tenant, eventually
from e2e.stack import Platform, running_platform

MARIA, JOAO = "5511988880001", "5511977770002"


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """One that waits for seconds where others wait for minutes."""
    async with running_platform(
        tmp_path_factory.mktemp("stack"),
        WAHA_QUIET_SECONDS="1",
        WAHA_QUIET_MAX_SECONDS="4",
        WAHA_DEAF_GRACE_SECONDS="2",
        WAHA_REPAIR_SECONDS="5",
    ) as stack:
        yield stack


async def test_is_found_restarted_and_hears_what_it_missed_once_and_in_order(
    tenant: Tenant, waha: WahaSimulator, receiver: WebhookReceiver
) -> None:
    channel = await tenant.channel(waha)
    await tenant.endpoint(receiver, "message.received", "channel.status_changed")
    await waha.receive_text(channel.waha_session, MARIA, "1")
    await tenant.message_count(1)
    await waha.deafen(channel.waha_session)
    # Seconds are all that WhatsApp tells: what is said within one that was heard seems heard.
    then = int(time.time()) + 1
    for text in ("2", "3"):
        await waha.receive_text(channel.waha_session, MARIA, text, timestamp=then)
    await waha.receive_text(channel.waha_session, JOAO, "de outro", timestamp=then)

    async def repaired() -> Any:
        health = await tenant.get(f"/channels/{channel.id}/health")
        is_well = health["status"] == "connected" and health["deaf_since"] is None
        return health if health["repairs"] and is_well else None

    health = await eventually(repaired, "repaired channel")
    assert (health["repairs"], health["last_repair_at"] is not None) == (1, True)
    await waha.receive_text(channel.waha_session, MARIA, "4")
    messages = await tenant.message_count(5)
    hers = sorted((m["seq"], m["content"]) for m in messages if m["content"] != "de outro")
    assert [text for _, text in hers] == ["1", "2", "3", "4"]
    missed = {m["content"] for m in messages if m["metadata"].get("recovered")}
    assert {"2", "3", "de outro"} >= missed >= {"de outro"}
    conversations = await tenant.rows("/conversations")
    assert sorted(c["unread_count"] for c in conversations) == [1, 4]

    async def told() -> bool:
        seen = [r.json["data"]["message"]["content"] for r in receiver.of_type("message.received")]
        assert len(seen) == len(set(seen))
        return set(seen) >= {"2", "3", "4", "de outro"}

    await eventually(told, "webhooks of all that was missed")
    changed = [r.json["data"]["channel"] for r in receiver.of_type("channel.status_changed")]
    assert "deaf" in {channel["status_reason"] for channel in changed}
