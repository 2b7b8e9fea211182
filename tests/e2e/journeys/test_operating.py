"""What operators do to a whole platform: they bring it back from a backup."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import Said, backup, crm

from e2e.crm import Tenant, eventually
from e2e.journeys.test_outbound import conversation, status_reached
from e2e.stack import SERVICES, Platform, running_platform

pytestmark = pytest.mark.timeout(900)  # each command is a process, and many are replaced

SERVERS = ("postgres", "rabbitmq", "temporal")


@pytest.fixture(scope="module")
async def operated(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    """A platform of one's own, for its disks are taken away."""
    async with running_platform(tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
async def company(operated: Platform) -> AsyncIterator[Tenant]:
    company = await Tenant(operated.gateway_url).register()
    yield company
    await company.http.aclose()


async def command(platform: Platform, name: str, *words: str) -> Said:
    """Run a command of a service with the settings of its process."""
    return await crm(name, *words, **platform.settings(name))


class TestBackup:
    async def test_of_all_services_at_work_is_restored_beside_empty_servers(
        self,
        operated: Platform,
        company: Tenant,
        waha: WahaSimulator,
        receiver: WebhookReceiver,
        tmp_path: Path,
    ) -> None:
        channel, contact_id = await conversation(company, waha)
        await company.endpoint(receiver, "message.received")
        since = datetime.now(UTC)
        await operated.all_at_once("stop", "messaging")
        held = [f"na fila {number:02}" for number in range(30)]
        for text in held:
            await waha.receive_text(channel.waha_session, "5511966660009", text)
        await waha.settled()
        await eventually(lambda: self.drained(operated, "channels-waha"), "events in the broker")
        said = await backup("dump", tmp_path, operated.state["database_url"])
        assert said.code == 0, said.err
        await operated.all_at_once("start", "messaging")
        await company.message_count(1 + len(held))
        lost = await company.post("/contacts", {"name": "Depois", "phone": "+5511966660010"})
        reply = {"contact_id": contact_id, "channel_id": channel.id, "content": "Depois"}
        after = await company.post("/messages/send", reply)
        await status_reached(company, after["id"], "delivered")

        await operated.all_at_once("stop", *SERVICES)
        await operated.all_at_once("stop", *SERVERS)
        for server in SERVERS:
            operated.forget(server)
        await operated.all_at_once("start", *SERVERS)
        for name in SERVICES:
            await operated.all_at_once("start", f"{name}-migrate")
        said = await backup("restore", tmp_path, operated.state["database_url"])
        assert said.code == 0, said.err
        assert datetime.fromisoformat(said.out.strip()) >= since.replace(microsecond=0)
        said = await command(operated, "channels-waha", "ledger", "distrust")
        assert said.code == 0, said.err
        # So much before the backup as the longest queue was long then.
        replay = ("outbox", "replay", "--since", since.isoformat())
        for said in await asyncio.gather(*(command(operated, name, *replay) for name in SERVICES)):
            assert said.code == 0, said.err
        await operated.all_at_once("start", *SERVICES)
        await operated.healthy()

        messages = await company.message_count(1 + len(held))
        assert {m["content"] for m in messages} == {"Bom dia", *held}
        own = [m["content"] for m in messages if m["content"] in held]
        assert own == held, "in the order they were written"
        await company.get(f"/contacts/{lost['id']}", expect=404)
        told = await receiver.wait_for(lambda r: r.json["data"]["message"]["content"] == held[-1])
        assert told.signature_valid
        queued = await company.post("/messages/send", {**reply, "content": "De novo"})
        await status_reached(company, queued["id"], "delivered")
        assert [(sent.text, sent.times) for sent in waha.sent.values()] == [
            ("Depois", 1),
            ("De novo", 1),
        ]

    async def drained(self, platform: Platform, name: str) -> bool:
        _, health = await platform.health(name)
        return bool(health["checks"]["publishing"]["healthy"])
