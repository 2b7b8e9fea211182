"""Customers at the simulator's page and agents at the console, in browsers, live."""

from e2e.crm import Tenant
from playwright.async_api import Locator, Page, expect

from browser.people import Company

MARIA, JOAO = "5511988880001", "5521977770002"
AGAIN_MS = 150_000
"""The gateway comes back, and WAHA tells again what nobody heard, in growing intervals."""


def bubble(page: Page, text: str) -> Locator:
    """What was said, at the console or on the phone."""
    return page.locator("article").filter(has_text=text)


async def write(page: Page, text: str) -> None:
    """Type a text and send it by Enter, at the console or on the phone."""
    box = page.locator(".composer textarea, .write textarea")
    await box.fill(text)
    await box.press("Enter")


async def stay(*pages: Page) -> None:
    """Mark pages: one that is loaded anew forgets it."""
    for page in pages:
        await page.evaluate("window.stayed = true")


async def stayed(page: Page) -> bool:
    return bool(await page.evaluate("window.stayed === true"))


async def test_a_customer_writes_and_is_answered_without_reload(company: Company) -> None:
    desk = await company.desk()
    await stay(desk)
    phone = await company.phone(MARIA, "Maria")
    await write(phone, "Oi! <b>Entregam</b>?")
    row = desk.locator(".rows li").filter(has_text="Maria")
    await expect(row).to_contain_text("Oi! <b>Entregam</b>?")
    await expect(row.locator(".count")).to_have_text("1")
    assert await stayed(desk)

    await row.get_by_role("link").click()
    await stay(desk, phone)
    await expect(bubble(desk, "Entregam")).to_be_visible()
    await expect(desk.locator(".rows .count")).to_have_count(0)  # what was shown is read
    await write(desk, "Sim, amanhã!")
    await expect(desk.locator(".composer textarea")).to_have_value("")
    await expect(bubble(phone, "Sim, amanhã!")).to_contain_text("delivered")
    ours = bubble(desk, "Sim, amanhã!")
    await expect(ours.locator(".ticks.delivered")).to_be_visible()

    await phone.get_by_role("button", name="Mark as read").click()
    await expect(ours.locator(".ticks.read")).to_be_visible()
    await bubble(phone, "Sim, amanhã!").get_by_label("More").click()
    await bubble(phone, "Sim, amanhã!").get_by_role("button", name="👍").click()
    await expect(ours.locator(".reactions")).to_have_text("👍")
    await bubble(phone, "Entregam").get_by_label("More").click()
    await phone.get_by_label("Another text").fill("Entregam no domingo?")
    await phone.get_by_role("button", name="Edit").click()
    await expect(bubble(desk, "Entregam no domingo?")).to_contain_text("edited")
    await bubble(phone, "Entregam").get_by_label("More").click()
    await phone.get_by_role("button", name="Delete for everyone").click()
    await expect(bubble(desk, "Entregam")).to_have_count(0)
    assert await stayed(desk)


async def test_two_agents_see_each_others_changes(company: Company) -> None:
    bia_mail = await company.agent("Bia", "supervisor")
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Alguém aí?')}"
    ana, bia = await company.desk(path=here), await company.desk(bia_mail, here)
    await expect(bubble(ana, "Alguém aí?")).to_be_visible()
    await expect(ana.locator("#head")).to_contain_text("Nobody has it")
    await stay(ana, bia)
    await bia.get_by_role("button", name="Take it").click()
    await expect(ana.locator("#head")).to_contain_text("Bia has it")
    await write(bia, "Estou aqui.")
    await expect(bubble(ana, "Estou aqui.")).to_be_visible()
    await ana.locator(".composer textarea").fill("half a wo")  # nobody's words are lost
    await ana.locator(".note textarea").fill("Cliente antiga")
    await ana.locator(".note button").click()
    await expect(bia.locator("ul.notes")).to_contain_text("Cliente antiga")
    await write(await company.phone(MARIA, "Maria"), "Que bom!")
    for desk in (ana, bia):
        await expect(bubble(desk, "Que bom!")).to_be_visible()
    await bia.get_by_role("button", name="Close", exact=True).click()
    await expect(ana.get_by_role("button", name="Reopen")).to_be_visible()
    await expect(ana.locator(".composer textarea")).to_have_value("half a wo")
    assert await stayed(ana) and await stayed(bia)


async def test_nothing_is_missed_while_the_gateway_restarts(company: Company) -> None:
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Primeira')}"
    desk = await company.desk(path=here)
    await expect(bubble(desk, "Primeira")).to_be_visible()
    await stay(desk)
    company.platform.kill("gateway")  # its supervisor starts it again
    await company.control("receive", from_phone=MARIA, push_name="Maria", text="Segunda")
    await company.control("receive", from_phone=JOAO, push_name="João", text="Sou outro")
    await expect(bubble(desk, "Segunda")).to_be_visible(timeout=AGAIN_MS)
    await expect(desk.locator(".rows li").filter(has_text="João")).to_contain_text("Sou outro")
    await write(await company.phone(MARIA, "Maria"), "Terceira")
    await expect(bubble(desk, "Terceira")).to_be_visible()
    await expect(desk.locator("article .text")).to_have_text(["Primeira", "Segunda", "Terceira"])
    assert await stayed(desk)


async def test_what_a_role_forbids_is_neither_shown_nor_reachable(company: Company) -> None:
    other = await Tenant(company.platform.gateway_url).register()
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Oi')}"
    admin = await company.desk()
    sections = admin.get_by_role("navigation", name="Sections").get_by_role("link")
    await expect(sections).to_have_text(
        ["Inbox", "Board", "Numbers", "Webhooks", "Reports", "Settings"]
    )
    desk = await company.desk(await company.agent("Caio"))
    sections = desk.get_by_role("navigation", name="Sections").get_by_role("link")
    await expect(sections.filter(has_text="Inbox")).to_be_visible()
    await expect(sections.filter(has_text="Webhooks")).to_have_count(0)
    for path in ("/webhooks", f"/webhooks/{company.channel['id']}"):
        answer = await desk.goto(f"{company.console}{path}")
        assert answer is not None and answer.status == 403
    await desk.goto(f"{company.console}/channels")
    await expect(desk.get_by_role("button", name="Stop")).to_have_count(0)

    stranger = await company.desk(other.email)
    await expect(stranger.locator(".rows li a")).to_have_count(0)
    answer = await stranger.goto(f"{company.console}{here}")
    assert answer is not None and answer.status == 404
    await expect(stranger.get_by_text("Maria")).to_have_count(0)
    await other.http.aclose()
