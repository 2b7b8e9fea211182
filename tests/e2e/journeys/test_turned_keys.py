"""Keys turned as docs/operations.md says, while customers write and agents look."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import crm
from cryptography.fernet import Fernet
from shared_events.channels import ingress

from e2e.crm import PASSWORD, Channel, Tenant, eventually, of_type
from e2e.stack import SERVICES, Platform, running_platform

NEW = {
    "JWT_SECRET": "the-newer-secret-of-access-tokens-0123456789",
    "INGRESS_MASTER_KEY": "the-newer-master-key-of-the-ingress-0123456789",
    "ENCRYPTION_KEY": Fernet.generate_key().decode(),
}
PROCESSES = ("gateway", "gateway-2", "channels-waha", "webhooks")
KEEPERS = ("gateway", "channels-waha", "webhooks")
BETWEEN_SECONDS = 0.2


class Turning:
    """A platform whose processes read their keys from a file as they start."""

    def __init__(self, stack: Platform, keys: Path) -> None:
        self.stack = stack
        self._keys = keys
        drawn = json.loads((stack.directory / "secrets.json").read_text())
        self.old: dict[str, str] = {name: drawn[name.lower()] for name in NEW}
        self.now: Mapping[str, str] = self.old

    async def turn(self, **keys: str) -> None:
        """Give all processes these keys, one process after the other."""
        self.now = keys
        self._keys.write_text("".join(f"export {k}='{v}'\n" for k, v in keys.items()))
        for name in PROCESSES:
            await self.stack.crm_dev("stop", name)
            await self.stack.crm_dev("start", name)

    async def keys(self, verb: str, service: str) -> list[dict[str, Any]]:
        """What `crm <service> keys <verb>` tells, which must go well."""
        state = self.stack.state
        said = await crm(
            service,
            "keys",
            verb,
            CRM_ENV="development",
            DATABASE_URL=state["database_urls"][service],
            RABBITMQ_URL=state["amqp_urls"][service],
            PUBLIC_BASE_URL=state["gateway_url"],
            **self.now,
        )
        assert said.code == 0, said
        return said.documents


@pytest.fixture
async def turning(tmp_path: Path) -> AsyncIterator[Turning]:
    programs, keys = tmp_path / "programs", tmp_path / "keys"
    programs.mkdir()
    keys.touch()
    real = Path(sys.executable).parent
    for name in SERVICES:
        program = programs / f"crm-{name}"
        program.write_text(f'#!/bin/sh\n. {keys}\nexec {real}/crm-{name} "$@"\n')
        program.chmod(0o755)
    async with running_platform(
        tmp_path / "stack", CRM_PROGRAMS=str(programs), CRM_REPLICAS="gateway=2"
    ) as stack:
        yield Turning(stack, keys)


class Traffic:
    """Customers who write and an agent who looks, through both gateways, without a pause."""

    def __init__(self, agents: list[Tenant], waha: WahaSimulator, channel: Channel) -> None:
        self.answers: list[int] = []
        self.written = 0
        self._agents, self._waha, self._channel = agents, waha, channel
        self._over = asyncio.Event()

    async def __aenter__(self) -> "Traffic":
        self._tasks = [asyncio.create_task(one()) for one in (self._write, self._look)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _write(self) -> None:
        while not self._over.is_set():
            await self._waha.receive_text(
                self._channel.waha_session, f"55119888800{self.written % 7:02}", f"n{self.written}"
            )
            self.written += 1
            await asyncio.sleep(BETWEEN_SECONDS)

    async def _look(self) -> None:
        while not self._over.is_set():
            for agent in self._agents:
                try:
                    answer = await agent.http.get("/contacts")
                except httpx.TransportError:  # a process that is being replaced
                    continue
                self.answers.append(answer.status_code)
            await asyncio.sleep(BETWEEN_SECONDS)


@pytest.mark.timeout(1200)
async def test_turned_under_traffic(
    turning: Turning, waha: WahaSimulator, receiver: WebhookReceiver
) -> None:
    old, urls = turning.old, turning.stack.state["gateway_urls"]
    agents = [Tenant(url) for url in urls]
    await agents[0].register()
    agents[1].http.headers["Authorization"] = agents[0].http.headers["Authorization"]
    channel = await agents[0].channel(waha)
    endpoint = await agents[0].endpoint(receiver, "message.received")
    async with Traffic(agents, waha, channel) as traffic:
        await turning.turn(
            JWT_SECRET=old["JWT_SECRET"],
            JWT_SECRET_PREVIOUS=NEW["JWT_SECRET"],
            INGRESS_MASTER_KEY=old["INGRESS_MASTER_KEY"],
            INGRESS_MASTER_KEY_PREVIOUS=NEW["INGRESS_MASTER_KEY"],
            ENCRYPTION_KEY=f"{old['ENCRYPTION_KEY']},{NEW['ENCRYPTION_KEY']}",
        )
        await turning.turn(
            JWT_SECRET=NEW["JWT_SECRET"],
            JWT_SECRET_PREVIOUS=old["JWT_SECRET"],
            INGRESS_MASTER_KEY=NEW["INGRESS_MASTER_KEY"],
            INGRESS_MASTER_KEY_PREVIOUS=old["INGRESS_MASTER_KEY"],
            ENCRYPTION_KEY=f"{NEW['ENCRYPTION_KEY']},{old['ENCRYPTION_KEY']}",
        )
        for service in KEEPERS:
            await turning.keys("rotate", service)
            await turning.keys("check", service)
        spent = agents[0].http.headers["Authorization"]
        answer = await agents[0].post(
            "/auth/login", {"email": agents[0].email, "password": PASSWORD}, expect=200
        )
        for agent in agents:
            agent.http.headers["Authorization"] = f"Bearer {answer['access_token']}"
        await turning.turn(**NEW)
    assert traffic.answers.count(200) > len(traffic.answers) / 2
    assert 401 not in traffic.answers

    received = await agents[0].message_count(traffic.written, seconds=120)
    assert len({message["content"] for message in received}) == traffic.written

    async def all_told() -> bool:
        return len({r.id for r in receiver.requests}) >= traffic.written

    await eventually(all_told, "a webhook for each message", seconds=120)
    assert all(r.signature_valid for r in receiver.requests if of_type("message.received")(r))
    assert endpoint["path"] in {r.path for r in receiver.requests}

    await _is_over(turning, channel, spent)
    for agent in agents:
        await agent.http.aclose()


async def _is_over(turning: Turning, channel: Channel, spent: str) -> None:
    """What the old keys made is worth nothing any more."""
    async with httpx.AsyncClient(base_url=turning.stack.gateway_url, timeout=30) as http:
        refused = await http.get("/api/v1/contacts", headers={"Authorization": spent})
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
        body = b'{"event": "message"}'
        signed = {"X-Webhook-Hmac": ingress.body_signature(channel.hmac_key, body)}
        path = httpx.URL(channel.webhook_url).path
        refused = await http.post(path, content=body, headers=signed)
        assert (refused.status_code, refused.json()["code"]) == (401, "invalid_token")
