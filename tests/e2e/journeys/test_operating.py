"""What operators do to a whole platform: turn its keys, and bring it back from nothing."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import pytest
from crm_dev.credentials import load_or_create
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import Said, backup, crm
from cryptography.fernet import Fernet

from e2e.crm import PASSWORD, Tenant, eventually
from e2e.journeys.test_faults import watched
from e2e.journeys.test_outbound import conversation, status_reached
from e2e.stack import SERVICES, Platform, running_platform

pytestmark = pytest.mark.timeout(900)  # each command is a process, and many are replaced

_REST = "-secret-of-this-platform-of-these-tests-0123456789"
MESSAGES = 600
"""One a second while keys turn, the rest when they have."""
BEHIND = tuple(name for name in SERVICES if name != "gateway")
SERVERS = ("postgres", "rabbitmq", "temporal")
SEALERS = ("gateway", "channels-waha", "webhooks")
"""Who keeps something that is sealed, or registered elsewhere, under a key."""


class Installation:
    """A platform whose processes are given what `give` says from their next start on."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder
        folder.mkdir()
        self.given: dict[str, dict[str, str]] = {name: {} for name in SERVICES}
        for name in SERVICES:
            self.give(name)
            program = folder / f"crm-{name}"
            real = Path(sys.executable).with_name(program.name)
            program.write_text(f'#!/bin/sh\nset -a\n. {folder}/{name}.env\nexec {real} "$@"\n')
            program.chmod(0o700)

    def give(self, name: str, **settings: str) -> None:
        """Have the next process of a service find these settings, over all it has by default."""
        self.given[name] = settings
        lines = (f"{key}={quote(value)}\n" for key, value in settings.items())
        (self.programs / f"{name}.env").write_text("".join(lines))

    async def command(self, platform: Platform, name: str, *words: str) -> Said:
        """Run a command of a service with the settings of its process."""
        settings = {**platform.settings(name), **self.given[name]}
        return await crm(name, *words, **settings)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    return Installation(tmp_path_factory.mktemp("installation") / "programs")


@pytest.fixture(scope="module")
async def operated(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Platform]:
    """A platform of one's own, for its keys and its disks are turned and taken away."""
    programs = str(installation.programs)
    async with running_platform(tmp_path_factory.mktemp("stack"), CRM_PROGRAMS=programs) as stack:
        yield stack


@pytest.fixture
async def company(operated: Platform) -> AsyncIterator[Tenant]:
    company = await Tenant(operated.gateway_url).register()
    yield company
    await company.http.aclose()


def keys_of(platform: Platform) -> tuple[dict[str, str], dict[str, str]]:
    """The keys of the platform that have two places, and new ones."""
    held = load_or_create(platform.directory / "secrets.json")
    old = {
        "JWT_SECRET": held.jwt_secret,
        "REQUEST_SIGNING_KEY": held.request_signing_key,
        "INGRESS_MASTER_KEY": held.ingress_master_key,
        "ENCRYPTION_KEY": held.encryption_key,
    }
    new = {name: f"{name}{_REST}" for name in old}
    return old, new | {"ENCRYPTION_KEY": Fernet.generate_key().decode()}


def beside(used: dict[str, str], known: dict[str, str]) -> dict[str, str]:
    """One set of keys in use, the other believed."""
    spare = {f"{name}_PREVIOUS": key for name, key in known.items() if name != "ENCRYPTION_KEY"}
    return used | spare | {"ENCRYPTION_KEY": f"{used['ENCRYPTION_KEY']},{known['ENCRYPTION_KEY']}"}


class TestTurningKeys:
    async def test_loses_and_doubles_nothing(
        self,
        operated: Platform,
        installation: Installation,
        company: Tenant,
        waha: WahaSimulator,
        receiver: WebhookReceiver,
    ) -> None:
        """All that have two places at once, in the gateway first, while people write."""
        old, new = keys_of(operated)
        steps = beside(old, new), beside(new, old), new
        async with watched(company, waha, receiver, MESSAGES) as traffic:
            enough = asyncio.Event()

            async def write() -> None:
                while not enough.is_set() and len(traffic.texts) < MESSAGES:
                    await traffic.write(2, per_second=0.5)

            writing = asyncio.create_task(write())
            for step in steps:
                if step is new:
                    for name in SEALERS:
                        said = await installation.command(operated, name, "keys", "rotate")
                        assert said.code == 0, said.out + said.err
                        said = await installation.command(operated, name, "keys", "check")
                        assert said.code == 0, said.out + said.err
                for names in ("gateway",), BEHIND:
                    for name in names:
                        installation.give(name, **step)
                    await operated.all_at_once("stop", *names)
                    await operated.all_at_once("start", *names)
                await operated.healthy()
                before = len(traffic.texts)
                await traffic.reached(before + 3)
            enough.set()
            await writing
            refused = await company.http.get("/settings")
            assert refused.status_code == 401, "a token under the key that is gone"
            login = {"email": company.email, "password": PASSWORD}
            found = await company.post("/auth/login", login, expect=200)
            company.http.headers["Authorization"] = f"Bearer {found['access_token']}"
            await traffic.write(MESSAGES - len(traffic.texts), per_second=60)


class TestBackup:
    async def test_of_all_services_at_work_is_restored_beside_empty_servers(
        self,
        operated: Platform,
        installation: Installation,
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
        said = await installation.command(operated, "channels-waha", "ledger", "distrust")
        assert said.code == 0, said.err
        # So much before the backup as the longest queue was long then.
        replay = ("outbox", "replay", "--since", since.isoformat())
        for said in await asyncio.gather(
            *(installation.command(operated, name, *replay) for name in SERVICES)
        ):
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
