"""Every page of the console and of the simulator, by axe-core and by eye.

axe-core looks at each by light at a desk's width and in the dark at a phone's; pictures of some, by
either light at either width, are kept in `.dev/screenshots` for people to look at.
"""

import struct
import zlib
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import urlencode

import pytest
from axe_playwright_python.async_playwright import Axe
from crm_fakes.receiver import Answer, WebhookReceiver
from e2e.crm import eventually
from playwright.async_api import FilePayload, Page, ViewportSize, expect

from browser.people import Company

Scheme = Literal["light", "dark"]
MARIA = "5511988880001"
GRAVE = {"serious", "critical"}
SIZES: dict[str, ViewportSize] = {
    "desk": {"width": 1280, "height": 800},
    "phone": {"width": 390, "height": 844},
}
KEPT = {"inbox", "thread", "board", "journey", "webhooks", "endpoint", "reports", "simulator"}
STATUSES = (
    ("Novo", "#0a62b8", "open"),
    ("Proposta", "#b8860b", "open"),
    ("Fechado", "#0b6b4f", "won"),
)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
SEEN: tuple[tuple[Scheme, str], ...] = (("light", "desk"), ("dark", "phone"))
PHOTO = (240, 160)
"""The size of a customer's picture, in pixels."""


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


def photo() -> bytes:
    """A sunset over green hills, as PNG (RFC 2083)."""
    width, height = PHOTO
    rows = bytearray()
    for y in range(height):
        sky, hill = y / height, 100 + y // 4
        pixel = bytes((250 - y // 4, 140 + int(90 * sky), 90 + y // 2))
        horizon = [100 + (x - 120) ** 2 // 300 for x in range(width)]
        rows += b"\0" + b"".join(
            pixel if y < horizon[x] else bytes((40, hill, 70)) for x in range(width)
        )
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(rows))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


async def sold(company: Company) -> str:
    """A pipeline in which each contact has a place; returns its id."""
    pipeline = await company.tenant.post("/pipelines", {"name": "Vendas"})
    path = f"/pipelines/{pipeline['id']}/statuses"
    statuses = [
        await company.tenant.post(path, {"name": name, "color": color, "type": kind})
        for name, color, kind in STATUSES
    ]
    for number, contact in enumerate(await company.tenant.rows("/contacts")):
        place = {"pipeline_id": pipeline["id"], "status_id": statuses[number % 3]["id"]}
        path = f"/contacts/{contact['id']}/pipeline-status"
        await company.tenant.request("PUT", path, 200, json=place)
    return str(pipeline["id"])


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
    phone = await company.phone(MARIA, "Maria Souza")
    picture: FilePayload = {"name": "morro.png", "mimeType": "image/png", "buffer": photo()}
    await phone.get_by_label("Picture, voice or file").set_input_files(picture)
    await phone.get_by_role("button", name="Send to the company").click()
    await phone.get_by_role("img").wait_for()
    await company.control("receive", **maria, kind="document", caption="Meu comprovante")
    typo = await company.control("receive", **maria, text="Posso pagar em dinhero?")
    await company.control("edit", bare_id=typo["bare_id"], text="Posso pagar em dinheiro?")
    note = {"content": "Prefere entregas pela manhã."}
    await company.tenant.post(f"/contacts/{whom['contact_id']}/notes", note)

    tagged = {"tags": ["vip", "entrega"]}
    await company.tenant.request("PATCH", f"/contacts/{whom['contact_id']}", 200, json=tagged)
    pipeline = await sold(company)

    async def edited() -> bool:
        rows = await company.tenant.rows(f"/conversations/{here}/messages")
        return any(row["edited_at"] for row in rows) and any(row["reactions"] for row in rows)

    async def delivered() -> str | None:
        path = f"/webhook-endpoints/{endpoint['id']}/deliveries"
        tried = [d for d in await company.tenant.rows(path) if d["attempts"]]
        return tried[0]["id"] if tried else None

    await eventually(edited, "edit and reaction")
    delivery = await eventually(delivered, "delivery", seconds=60)
    console, chat = company.console, {"session": company.session, "chat": f"{MARIA}@c.us"}
    return {
        "inbox": f"{console}/",
        "thread": f"{console}/conversations/{here}",
        "board": f"{console}/board/{pipeline}",
        "journey": f"{console}/messages/{sent['id']}/journey",
        "journeys": f"{console}/contacts/{whom['contact_id']}/journey",
        "channels": f"{console}/channels",
        "channel": f"{console}/channels/{company.channel['id']}",
        "webhooks": f"{console}/webhooks",
        "endpoint": f"{console}/webhooks/{endpoint['id']}",
        "delivery": f"{console}/webhooks/deliveries/{delivery}",
        "reports": f"{console}/reports",
        "team": f"{console}/settings",
        "keys": f"{console}/settings/keys",
        "company": f"{console}/settings/company",
        "account": f"{console}/account",
        "problem": f"{console}/conversations/{endpoint['id']}",
        "simulator": f"{company.simulator}/?{urlencode(chat)}",
    }


async def shut_out(page: Page, address: str, size: str) -> list[str]:
    """Whom a page shuts out: by axe-core, or by being wider than what it is shown on."""
    await page.goto(address)
    for panel in await page.locator("#panel").all():
        await expect(panel).not_to_be_empty()
    wide = "document.documentElement.scrollWidth > window.innerWidth"
    found = [f"{address} is wider than a {size}"] if await page.evaluate(wide) else []
    return found + await violations(page)


@pytest.mark.timeout(600)
async def test_shut_nobody_out_and_are_good_to_look_at(company: Company, screenshots: Path) -> None:
    found: list[str] = []
    async with WebhookReceiver() as receiver:
        pages = await lived_in(company, receiver)
    desk, stranger = await company.desk(), await company.page()
    for scheme, size in SEEN:
        for page in (desk, stranger):
            await page.emulate_media(color_scheme=scheme)
            await page.set_viewport_size(SIZES[size])
        for path in ("login", "forgot-password", "accept-invitation#token=x", "reset-password"):
            found += await shut_out(stranger, f"{company.console}/{path}", size)
        for name, address in pages.items():
            found += await shut_out(desk, address, size)
            for light in SCHEMES if name in KEPT else ():
                await desk.emulate_media(color_scheme=light)
                await desk.screenshot(path=screenshots / f"{name}-{size}-{light}.png")
            await desk.emulate_media(color_scheme=scheme)
    assert found == []
