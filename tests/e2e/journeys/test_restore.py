"""A backup taken at work, restored on servers that never saw any of it (docs/operations.md)."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from crm_dev.postgres import binaries
from crm_fakes.receiver import WebhookReceiver
from crm_fakes.waha import WahaSimulator
from crm_testing.commands import crm

from e2e.crm import PASSWORD, Tenant, eventually
from e2e.journeys.test_outbound import PHONE, conversation, status_reached
from e2e.stack import SERVICES, Platform, free_port_block

TOOLS = Path(__file__).parents[3] / "deploy" / "backup"
BEFORE, BETWEEN = 5, 3


async def ran(program: Path, *arguments: str, **environment: str) -> str:
    """What a program printed, which must go well."""
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def slow_tools(directory: Path, go: Path) -> Path:
    """PostgreSQL's tools, of which pg_dump waits between messaging and webhooks until told to."""
    directory.mkdir()
    for name in ("pg_dump", "pg_restore"):
        tool = directory / name
        waits = f"case $* in *=webhooks*) while [ ! -e {go} ]; do sleep 0.1; done;; esac"
        tool.write_text(f'#!/bin/sh\n{waits}\nexec {binaries() / name} "$@"\n')
        tool.chmod(0o755)
    return directory


async def operated(stack: Platform, service: str, *words: str) -> list[int]:
    """What `crm <service> <words>` prints on this platform's servers."""
    said = await crm(
        service,
        *words,
        CRM_ENV="development",
        DATABASE_URL=stack.state["database_urls"][service],
        RABBITMQ_URL=stack.state["amqp_urls"][service],
        PUBLIC_BASE_URL=stack.gateway_url,
        INGRESS_MASTER_KEY="not-asked-for",
        ENCRYPTION_KEY="A" * 43 + "=",
    )
    assert said.code == 0, said
    return said.documents


@pytest.mark.timeout(1200)
async def test_all_that_was_backed_up_is_there_once(
    tmp_path: Path, waha: WahaSimulator, receiver: WebhookReceiver
) -> None:
    base, backup, go = free_port_block(), tmp_path / "backup", tmp_path / "go"
    tools = {"PG_BIN": str(slow_tools(tmp_path / "tools", go))}
    lost, fresh = (Platform(tmp_path / name, base) for name in ("lost", "fresh"))

    await lost.crm_dev("up")
    try:
        tenant = await Tenant(lost.gateway_url).register()
        await tenant.endpoint(receiver, "message.received")
        channel, contact_id = await conversation(tenant, waha)
        for number in range(1, BEFORE):
            await waha.receive_text(channel.waha_session, PHONE, f"before {number}")
        await tenant.message_count(BEFORE)
        waha.faults.add("refuse")
        owed = await tenant.post(
            "/messages/send",
            {"contact_id": contact_id, "channel_id": channel.id, "content": "Já vai"},
        )
        admin = {"DATABASE_ADMIN_URL": lost.state["database_url"]}
        dump = asyncio.create_task(ran(TOOLS / "dump", str(backup), **tools, **admin))

        async def halfway() -> bool:
            return (backup / "messaging.dump").exists()

        await eventually(halfway, "dump of messaging")
        for number in range(BETWEEN):
            await waha.receive_text(channel.waha_session, PHONE, f"between {number}")
        known = await tenant.message_count(BEFORE + 1 + BETWEEN)
        await eventually(lambda: _all_came(receiver, BEFORE + BETWEEN), "webhooks")
        go.touch()
        await dump
        waha.faults.clear()
        await status_reached(tenant, owed["id"], "sent")
        await tenant.http.aclose()
    finally:
        await lost.crm_dev("down")

    fresh.directory.mkdir()
    shutil.copy(lost.directory / "secrets.json", fresh.directory)
    await fresh.crm_dev("up")
    try:
        for service in SERVICES:
            await fresh.crm_dev("stop", service)
        admin = {"DATABASE_ADMIN_URL": fresh.state["database_url"]}
        begun = (await ran(TOOLS / "restore", str(backup), **tools, **admin)).strip()
        assert await operated(fresh, "channels-waha", "ledger", "distrust") == [1]
        for service in SERVICES:
            await operated(fresh, service, "outbox", "replay", "--since", begun)
            await fresh.crm_dev("start", service)

        again = Tenant(fresh.gateway_url)
        answer = await again.post(
            "/auth/login", {"email": tenant.email, "password": PASSWORD}, expect=200
        )
        again.http.headers["Authorization"] = f"Bearer {answer['access_token']}"
        restored = await again.message_count(BEFORE + 1 + BETWEEN, seconds=120)
        said = sorted(message["content"] for message in restored)
        assert said == sorted(message["content"] for message in known)
        assert (await again.get(f"/contacts/{contact_id}"))["id"] == contact_id
        await status_reached(again, owed["id"], "sent")
        assert [sent.times for sent in waha.sent.values()] == [1]

        await waha.receive_text(channel.waha_session, PHONE, "after")
        await again.message_count(BEFORE + 1 + BETWEEN + 1)
        await again.http.aclose()
    finally:
        await fresh.crm_dev("down")


async def _all_came(receiver: WebhookReceiver, count: int) -> bool:
    return len({request.id for request in receiver.requests}) >= count
