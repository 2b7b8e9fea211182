"""The console, before the whole platform: it shows what comes, and what it writes goes out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from crm_console.app import create_console
from crm_console.middleware import COOKIE
from crm_console.settings import ConsoleSettings
from crm_fakes.waha import WahaSimulator
from crm_testing.streams import Reader
from fastapi import FastAPI

from e2e.crm import PASSWORD, Tenant, eventually
from e2e.stack import Platform

ORIGIN = "http://console.example.com"
CUSTOMER = "5511988880001"


@pytest.fixture
async def console(platform: Platform) -> AsyncIterator[FastAPI]:
    app = create_console(ConsoleSettings(crm_env="test", gateway_url=platform.gateway_url))
    async with app.router.lifespan_context(app):
        yield app


@asynccontextmanager
async def browser(console: FastAPI, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """One of the company's people, logged in."""
    transport, headers = httpx.ASGITransport(console), {"Origin": ORIGIN}
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:
        form = {"email": tenant.email, "password": PASSWORD}
        answer = await client.post("/login", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        yield client


async def told(page: Reader, change: str) -> None:
    while (await page.frame()).get("event") != change:
        pass


async def test_a_customer_is_seen_without_reload_and_answered(
    platform: Platform, console: FastAPI, tenant: Tenant, waha: WahaSimulator
) -> None:
    async with httpx.AsyncClient() as http:  # the stack's own
        answer = await http.get(f"{platform.url('console')}/health")
        assert answer.json() == {
            "status": "healthy",
            "service": "console",
            "checks": {"gateway": {"healthy": True, "message": "Connected"}},
        }
    channel = await tenant.channel(waha)
    other = await Tenant(platform.gateway_url).register()
    async with browser(console, tenant) as ours, browser(console, other) as theirs:
        cookie = {"Cookie": f"{COOKIE}={ours.cookies[COOKIE]}"}
        async with Reader(console, "/live", cookie, below="") as page:
            await told(page, "fresh")
            await page.until(lambda: b"\nid: " in page.body)  # it follows the gateway
            await waha.receive_text(
                channel.waha_session, CUSTOMER, "Oi! <b>Entregam</b>?", push_name="Maria"
            )
            await told(page, "inbox")
            [conversation] = await tenant.rows("/conversations")
            here = f"/conversations/{conversation['id']}"
            listed = (await ours.get("/inbox?view=none&unread=true")).text
            assert "Maria" in listed and "Oi! &lt;b&gt;Entregam&lt;/b&gt;?" in listed
            thread = (await ours.get(f"{here}/thread")).text
            assert "Oi! &lt;b&gt;Entregam&lt;/b&gt;?" in thread

            seq = {"up_to_seq": conversation["seq"]}
            await ours.post(f"{here}/read", data=seq)
            await told(page, f"conversation-{conversation['id']}")
            assert "Maria" not in (await ours.get("/inbox?unread=true")).text

            text = {"content": "Sim, amanhã!", "key": str(uuid4())}
            for _ in range(2):  # a double click
                answer = await ours.post(f"{here}/messages", data=text)
                assert (answer.status_code, answer.headers["location"]) == (303, here)

            async def ticked() -> bool:
                return "✓" in (await ours.get(f"{here}/thread")).text

            await eventually(ticked, "tick of the answer")
            [sent] = waha.sent.values()
            assert (sent.chat, sent.text, sent.times) == (f"{CUSTOMER}@c.us", "Sim, amanhã!", 1)
            assert len(await tenant.messages()) == 2
        assert (await theirs.get(here)).status_code == 404
        assert "Maria" not in (await theirs.get("/inbox")).text
        refused = await theirs.post(f"{here}/messages", data={**text, "key": str(uuid4())})
        assert refused.status_code == 404
    await other.http.aclose()
