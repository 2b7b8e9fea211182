"""Every page of the console and of the simulator, by axe-core and by eye.

axe-core looks at each in both colour schemes, at a desk's and at a phone's width; pictures of them
are kept in `.dev/screenshots` for people to look at.
"""

from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

import pytest
from axe_playwright_python.async_playwright import Axe
from crm_fakes.receiver import Answer, WebhookReceiver
from e2e.crm import eventually
from playwright.async_api import Page, ViewportSize

from browser.people import Company

MARIA = "5511988880001"
GRAVE = {"serious", "critical"}
SIZES: dict[str, ViewportSize] = {
    "desk": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}
KEPT = {"inbox", "thread", "webhooks", "simulator"}


class Found(Protocol):
    """What axe-core found, as far as it is read here."""

    response: dict[str, Any]


async def violations(page: Page) -> list[str]:
    """What axe-core calls serious or critical, with the elements it means."""
    found: Found = await Axe().run(page)
    return [
        f"{page.url}: {each['id']}: {node['html'][:200]} ({node['failureSummary']})"
        for each in found.response["violations"]
        if each["impact"] in GRAVE
        for node in each["nodes"]
    ]


async def lived_in(company: Company, receiver: WebhookReceiver) -> dict[str, str]:
    """A company in which something of each kind has happened; returns its pages' addresses."""
    endpoint = await company.tenant.endpoint(receiver, "message.*")
    receiver.answer(Answer(500), path=endpoint["path"])
    for number, name, text in (
        ("5521977770002", "João Pereira", "Qual é o prazo para o Rio?"),
        ("5531966660003", "Beatriz Lima", "Obrigada, chegou tudo certo!"),
        ("5541955550004", "Carlos Eduardo Nogueira da Silva", "Vocês têm em azul?"),
    ):
        await company.written_by(number, name, text)
    maria = {"from_phone": MARIA, "push_name": "Maria Souza"}
    here = await company.written_by(MARIA, "Maria Souza", "Oi! Vocês entregam no Centro?")
    conversation = await company.tenant.get(f"/conversations/{here}")
    whom = {"contact_id": conversation["contact"]["id"], "channel_id": conversation["channel_id"]}
    answer = "Entregamos sim, até as 18 h.\nVeja em https://example.com/entregas"
    sent = await company.tenant.post("/messages/send", {**whom, "content": answer})
    await company.tenant.journey(sent["id"], "sent", "delivered")
    message = await company.tenant.get(f"/messages/{sent['id']}")
    await company.control("react", bare_id=message["external_id"], emoji="👍")
    place = {"latitude": -23.55, "longitude": -46.63, "name": "Praça da Sé"}
    await company.control("receive", **maria, kind="location", **place)
    await company.control("receive", **maria, kind="document", caption="Meu comprovante")
    typo = await company.control("receive", **maria, text="Posso pagar em dinhero?")
    await company.control("edit", bare_id=typo["bare_id"], text="Posso pagar em dinheiro?")
    note = {"content": "Prefere entregas pela manhã."}
    await company.tenant.post(f"/contacts/{whom['contact_id']}/notes", note)

    async def edited() -> bool:
        rows = await company.tenant.rows(f"/conversations/{here}/messages")
        return any(row["edited_at"] for row in rows) and any(row["reactions"] for row in rows)

    async def delivered() -> str | None:
        path = f"/webhook-endpoints/{endpoint['id']}/deliveries"
        tried = [d for d in await company.tenant.rows(path) if d["attempts"]]
        return tried[0]["id"] if tried else None

    await eventually(edited, "edit and reaction")
    delivery = await eventually(delivered, "delivery", seconds=60)
    console, phone = company.console, {"session": company.session, "chat": f"{MARIA}@c.us"}
    return {
        "inbox": f"{console}/",
        "thread": f"{console}/conversations/{here}",
        "channels": f"{console}/channels",
        "webhooks": f"{console}/webhooks",
        "endpoint": f"{console}/webhooks/{endpoint['id']}",
        "delivery": f"{console}/webhooks/deliveries/{delivery}",
        "problem": f"{console}/conversations/{endpoint['id']}",
        "simulator": f"{company.simulator}/?{urlencode(phone)}",
    }


@pytest.mark.timeout(600)
async def test_shut_nobody_out_and_are_good_to_look_at(company: Company, screenshots: Path) -> None:
    found: list[str] = []
    async with WebhookReceiver() as receiver:
        pages = await lived_in(company, receiver)
    desk = await company.desk()
    stranger = await company.page()
    for scheme in ("light", "dark"):
        for size, viewport in SIZES.items():
            for page in (desk, stranger):
                await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
                await page.set_viewport_size(viewport)
            await stranger.goto(f"{company.console}/login")
            found += await violations(stranger)
            for name, address in pages.items():
                await desk.goto(address)
                if name == "thread":
                    await desk.locator(".contact h2").wait_for()
                found += [f"{scheme}, {size}: {each}" for each in await violations(desk)]
                wide = "document.documentElement.scrollWidth > window.innerWidth"
                assert not await desk.evaluate(wide), f"{name} is wider than a {size}"
                if name in KEPT:
                    await desk.screenshot(path=screenshots / f"{name}-{size}-{scheme}.png")
    assert found == []
