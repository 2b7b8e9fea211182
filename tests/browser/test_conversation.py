"""What a conversation shows and lets people do: every kind of message, and every act."""

from datetime import UTC, datetime, timedelta

from playwright.async_api import FilePayload, expect

from browser.people import Company
from browser.test_journeys import MARIA, bubble, stay, stayed, write
from browser.test_pages import PHOTO, photo

CARD = (
    "BEGIN:VCARD\nVERSION:3.0\nFN:Rita Alves\n"
    "TEL;type=CELL;waid=5511955550009:+55 11 95555-0009\nEND:VCARD"
)
FAMILY = "120363000000000001@g.us"


async def test_whatever_is_said_is_shown(company: Company) -> None:
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Oi!')}"
    desk = await company.desk(path=here)
    await stay(desk)
    phone = await company.phone(MARIA, "Maria")
    picture: FilePayload = {"name": "morro.png", "mimeType": "image/png", "buffer": photo()}
    await phone.get_by_label("Picture, voice or file").set_input_files(picture)
    await phone.get_by_role("button", name="Send to the company").click()
    image = desk.locator("article img")
    await expect(image).to_be_visible()
    await expect(image).to_have_js_property("naturalWidth", PHOTO[0])  # it came, from the gateway

    maria = {"from_phone": MARIA, "push_name": "Maria"}
    await company.control("receive", **maria, kind="voice")
    voice = desk.get_by_label("Voice message")
    await expect(voice).to_be_visible()
    source = await voice.get_attribute("src")
    sound = await desk.request.get(f"{company.console}{source}")
    assert sound.ok and sound.headers["content-type"].startswith("audio/ogg")
    await company.control("receive", **maria, kind="document", filename="<i>nota.pdf")
    await expect(desk.get_by_role("link", name="nota.pdf")).to_be_visible()
    place = {"latitude": -23.55, "longitude": -46.63, "name": "Praça da Sé"}
    await company.control("receive", **maria, kind="location", **place)
    map_ = desk.get_by_role("link", name="Praça da Sé")
    await expect(map_).to_have_attribute(
        "href", "https://www.openstreetmap.org/?mlat=-23.55&mlon=-46.63"
    )
    await company.control("receive", **maria, kind="vcard", vcard=CARD)
    await expect(desk.locator(".cards li")).to_contain_text("Rita Alves")
    await expect(desk.locator(".cards li")).to_contain_text("95555")
    assert await stayed(desk)


async def test_an_agent_answers_reacts_edits_and_deletes(company: Company) -> None:
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Entregam hoje?')}"
    desk, phone = await company.desk(path=here), await company.phone(MARIA, "Maria")
    question = desk.locator("article.inbound")
    await question.get_by_label("Reply to this message").click()
    await expect(desk.locator(".composer blockquote")).to_contain_text("Entregam hoje?")
    async with desk.expect_response("**/typing") as shown:
        await write(desk, "Hoje nao")
    assert (await shown.value).status == 204
    answer = desk.locator("article.outbound")
    await expect(answer.locator("blockquote")).to_have_text("Entregam hoje?")
    await expect(bubble(phone, "Hoje nao").locator("blockquote")).to_have_text("Entregam hoje?")

    await question.get_by_label("More about this message").click()
    await question.get_by_label("React with ❤").click()
    await expect(question.locator(".reactions")).to_contain_text("❤")
    await expect(phone.locator("article.person footer")).to_contain_text("❤")
    await expect(answer.locator(".ticks.delivered")).to_be_visible()
    await answer.get_by_label("More about this message").click()
    await answer.get_by_role("link", name="Edit").click()
    box = desk.locator(".composer textarea")
    await expect(box).to_have_value("Hoje nao")
    await write(desk, "Hoje não, amanhã")
    await expect(answer).to_contain_text("edited")
    await expect(bubble(phone, "Hoje não, amanhã")).to_contain_text("edited")
    desk.on("dialog", lambda dialog: dialog.accept())
    await answer.get_by_role("button", name="Delete for everyone").click()
    await expect(answer).to_contain_text("This message was deleted")
    await expect(phone.locator("article.company")).to_contain_text("deleted")


async def test_what_is_scheduled_waits_and_can_be_taken_back(company: Company) -> None:
    here = f"/conversations/{await company.written_by(MARIA, 'Maria', 'Oi!')}"
    desk = await company.desk(path=here)
    await desk.locator("#later summary").click()
    later = datetime.now(UTC) + timedelta(days=2)
    await desk.get_by_label("Send at").fill(later.strftime("%Y-%m-%dT10:30"))
    await write(desk, "Lembrete")
    waiting = desk.locator("#scheduled")
    await expect(waiting.locator("summary")).to_contain_text("1 scheduled")
    await waiting.locator("summary").click()
    await expect(waiting).to_contain_text("Lembrete")
    await expect(waiting).to_contain_text("10:30")
    await expect(desk.locator("article")).to_have_count(1)
    await waiting.get_by_role("button", name="Cancel").click()
    await expect(waiting.locator("summary")).to_have_count(0)


async def test_a_group_is_taken_answered_closed_and_reopened(company: Company) -> None:
    said = {"push_name": "Maria", "text": "Oi, família!", "group": FAMILY}
    await company.control("receive", from_phone=MARIA, **said)
    desk, bia = await company.desk(), await company.desk(await company.agent("Bia", "supervisor"))
    for page in (desk, bia):
        await page.locator(".rows a").filter(has_text="Oi, família!").click()
        await expect(bubble(page, "Oi, família!")).to_be_visible()
    await desk.get_by_role("button", name="Take it").click()
    await expect(bia.locator("#head")).to_contain_text("Ana Souza has it")
    await write(desk, "Oi, gente")
    await expect(bubble(bia, "Oi, gente").locator(".ticks.sent")).to_be_visible()
    await desk.get_by_role("button", name="Close", exact=True).click()
    await expect(bia.locator("#head")).to_contain_text("Closed")
    await bia.reload()  # whoever comes later finds it closed, and can open it
    await bia.get_by_role("button", name="Reopen").click()
    await expect(desk.get_by_role("button", name="Close", exact=True)).to_be_visible()
