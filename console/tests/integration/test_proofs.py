"""The page by which a person proves an e-mail."""

from console.tests.conftest import Browser, attribute
from console.tests.double import Double

TOKEN = "t" * 500


async def test_a_link_is_opened_by_anybody_and_proves_by_the_button(
    stranger: Browser, double: Double
) -> None:
    page = await stranger.read("/verify-email")
    assert attribute(page, ".card form", "action") == "/verify-email"
    assert page.select("[data-from-hash] [name=token]") and not page.select("[action$=again]")
    assert not double.asked
    answer = await stranger.post("/verify-email", data={"token": TOKEN})
    assert answer.status_code == 200 and "your e-mail is confirmed" in answer.text
    assert double.asked == [("POST", "auth/email/verify", {"token": TOKEN})]
    assert double.headers[-1]["X-Forwarded-For"] == "203.0.113.9"
    for wrong in ("", TOKEN + "t"):
        assert (await stranger.post("/verify-email", data={"token": wrong})).status_code == 422
    assert len(double.asked) == 1


async def test_a_stale_link_is_told(stranger: Browser, double: Double) -> None:
    double.refusal = (401, "invalid_verification_token")
    answer = await stranger.post("/verify-email", data={"token": TOKEN})
    assert answer.status_code == 401 and "This link is not good any more" in answer.text
    await stranger.post("/language", data={"language": "pt-BR"})
    assert "Confirme o seu e-mail" in (await stranger.get("/verify-email")).text


async def test_who_is_asked_for_a_proof_is_led_there_and_stays_logged_in(
    browser: Browser, double: Double
) -> None:
    double.refusal = (403, "email_unverified")
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/verify-email")
    part = await browser.get("/board", headers={"HX-Request": "true"})
    assert part.headers["hx-redirect"] == "/verify-email"
    page = await browser.read("/verify-email")
    assert page.select("[action='/verify-email/again']") and page.select("[action='/logout']")
    double.refusal = (429, "too_many_attempts")
    answer = await browser.post("/verify-email/again")
    assert answer.status_code == 429 and 'role="alert"' in answer.text
    double.refusal = None
    answer = await browser.post("/verify-email/again")
    assert answer.status_code == 200 and "A link is on its way" in answer.text
    assert double.asked[-1][:2] == ("POST", "auth/email/verification")


async def test_who_is_nobody_has_nothing_mailed(stranger: Browser, double: Double) -> None:
    answer = await stranger.post("/verify-email/again")
    assert answer.headers["location"] == "/login" and not double.asked
