"""How people come in, find their way, and move about: language, keys, search, board, roles."""

from e2e.crm import PASSWORD, eventually
from playwright.async_api import expect
from pyotp import TOTP

from browser.people import Company
from browser.test_journeys import JOAO, MARIA, bubble


async def test_who_is_invited_chooses_a_password_and_is_in(company: Company) -> None:
    admin = await company.desk(path="/settings")
    form = admin.locator("#invite")
    await form.get_by_label("Name").fill("Bia Prado")
    await form.get_by_label("E-mail").fill(f"bia-{company.session}@example.com")
    await form.get_by_role("button").click()
    link = admin.get_by_role("link", name="The link of the invitation")
    address = await link.get_attribute("href")
    bia = await company.page()
    await bia.goto(f"{company.console}{address}")
    assert "#" not in bia.url  # neither a history nor who looks over a shoulder has it
    await expect(bia.get_by_label("Token of the invitation")).to_be_hidden()
    await bia.get_by_label("Password, at least 8 characters").fill(PASSWORD)
    await bia.keyboard.press("Enter")
    await expect(bia.get_by_role("link", name="Bia Prado: your account")).to_be_visible()
    again = await company.page()
    await again.goto(f"{company.console}{address}")
    await again.get_by_label("Password, at least 8 characters").fill(PASSWORD)
    await again.keyboard.press("Enter")
    await expect(again.locator(".card [role=alert]")).to_contain_text("not good any more")


async def test_a_second_factor_is_set_up_asked_for_and_wanted_of_all(company: Company) -> None:
    bia = await company.desk(await company.agent("Bia"))
    admin = await company.desk()
    await admin.get_by_role("link", name="Ana Souza: your account").click()
    await admin.get_by_label("Password").fill(PASSWORD)
    await admin.get_by_role("button", name="Set up a second factor").click()
    await expect(admin.get_by_role("img", name="QR code")).to_be_visible()
    device = TOTP(await admin.locator(".once code").inner_text())
    await admin.get_by_label("A code of the app").fill(device.now())
    await admin.get_by_role("button", name="Ask me for codes").click()
    await expect(admin.get_by_text("Keep these recovery codes")).to_be_visible()
    recovery = await admin.locator(".once code").all_inner_texts()

    await admin.goto(f"{company.console}/settings/company")
    await admin.get_by_label("Everybody needs a second factor").check()
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_label("Everybody needs a second factor")).to_be_checked()

    async def is_led_there() -> bool:
        await bia.goto(f"{company.console}/")
        return bia.url == f"{company.console}/account"

    await eventually(is_led_there, "Bia's account")
    again = await company.page()
    await again.goto(f"{company.console}/login")
    for code in ("", recovery[0]):
        await again.get_by_label("E-mail").fill(company.tenant.email)
        await again.get_by_label("Password").fill(PASSWORD)
        if code:
            await again.get_by_label("Code of your authenticator").fill(code)
        await again.keyboard.press("Enter")
        if not code:
            await expect(again.get_by_label("Code of your authenticator")).to_be_visible()
    await again.wait_for_url(f"{company.console}/")


async def test_keys_alone_are_enough(company: Company) -> None:
    for number, name in ((JOAO, "João"), (MARIA, "Maria")):
        await company.written_by(number, name, f"Sou {name}")
    page = await company.page()
    await page.goto(f"{company.console}/login")
    await page.keyboard.type(company.tenant.email)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator(".rows a")).to_have_count(2)
    await page.wait_for_load_state()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await expect(page.locator(".rows a").nth(1)).to_be_focused()
    await page.keyboard.press("k")
    await page.keyboard.press("Enter")
    await expect(bubble(page, "Sou Maria")).to_be_visible()
    await expect(page.locator(".composer textarea")).to_be_focused()
    await page.keyboard.type("Oi,")
    await page.keyboard.press("Shift+Enter")
    await page.keyboard.type("Maria")
    await page.keyboard.press("Enter")
    await expect(page.locator("article.outbound .text")).to_have_text("Oi,\nMaria")
    await page.locator(".composer textarea").blur()
    await page.keyboard.press("/")
    await expect(page.get_by_role("searchbox")).to_be_focused()
    await page.keyboard.type("joao")
    await page.keyboard.press("Enter")
    await expect(page.locator(".rows .name")).to_have_text(["João"])
    await page.get_by_role("searchbox").fill(JOAO[-8:])
    await page.keyboard.press("Enter")
    await expect(page.locator(".rows .name")).to_have_text(["João"])
    await page.get_by_role("searchbox").fill("nobody of this name")
    await page.keyboard.press("Enter")
    await expect(page.locator("#list")).to_contain_text("No conversation here.")


async def test_speaks_the_language_of_who_looks(company: Company) -> None:
    await company.written_by(MARIA, "Maria", "Oi!")
    page = await company.page(locale="pt-BR", timezone_id="America/Sao_Paulo")
    await page.goto(f"{company.console}/login")
    await expect(page.get_by_role("heading")).to_have_text("Entrar")
    await page.get_by_label("E-mail").fill(company.tenant.email)
    await page.get_by_label("Senha").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.locator(".rows a")).to_contain_text("Oi!")
    await expect(page.locator("html")).to_have_attribute("lang", "pt-BR")
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await page.locator(".rows a").click()
    await expect(page.get_by_role("button", name="Take it")).to_be_visible()


async def test_cards_are_dragged_and_everybody_sees_it(company: Company) -> None:
    await company.written_by(MARIA, "Maria", "Quero comprar")
    (contact,) = await company.tenant.rows("/contacts")
    pipeline = await company.tenant.post("/pipelines", {"name": "Vendas"})
    path = f"/pipelines/{pipeline['id']}/statuses"
    new, won = [await company.tenant.post(path, {"name": n}) for n in ("Novo", "Ganho")]
    place = {"pipeline_id": pipeline["id"], "status_id": new["id"]}
    status = f"/contacts/{contact['id']}/pipeline-status"
    await company.tenant.request("PUT", status, 200, json=place)
    board = f"/board/{pipeline['id']}"
    email = await company.agent("Bia", "supervisor")
    ana, bia = await company.desk(path=board), await company.desk(email, board)
    card = ana.locator(f"#card-{contact['id']}")
    await card.drag_to(ana.locator(f"#status-{won['id']}"))
    for desk in (ana, bia):
        await expect(desk.locator(f"#status-{won['id']}")).to_contain_text("Maria")
        await expect(desk.locator(f"#status-{new['id']} .contact-card")).to_have_count(0)


async def test_agents_see_their_own_where_the_company_says_so(company: Company) -> None:
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Segredo')}"
    bia, caio = [await company.agent(name) for name in ("Bia", "Caio")]
    theirs, others = await company.desk(bia, here), await company.desk(caio)
    await expect(others.locator(".rows li")).to_contain_text("Segredo")
    admin = await company.desk(path="/settings/company")
    await admin.get_by_label("Agents see").select_option("own")
    await admin.get_by_role("button", name="Save").click()
    await theirs.get_by_role("button", name="Take it").click()
    await expect(theirs.locator("#head")).to_contain_text("You have it")
    await others.goto(f"{company.console}/")
    await expect(others.locator("#list")).to_contain_text("No conversation here.")
    answer = await others.goto(f"{company.console}{here}")
    assert answer is not None and answer.status == 404
    await expect(others.get_by_text("Segredo")).to_have_count(0)
    await expect(theirs.locator(".rows li")).to_contain_text("Segredo")
