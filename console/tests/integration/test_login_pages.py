"""Who comes in, what the cookie is worth, and what other sites' pages can do."""

import asyncio

import pytest
from crm_console.middleware import COOKIE
from fastapi import FastAPI

from console.tests.conftest import PASSWORD, Browser, attribute
from console.tests.double import Double


async def test_logs_in_and_out(stranger: Browser, double: Double) -> None:
    for path in ("/", "/inbox", "/media/0190b5a2-0000-7000-8000-000000000000"):
        answer = await stranger.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    part = await stranger.get("/inbox", headers={"HX-Request": "true"})
    assert part.headers["hx-redirect"] == "/login"

    wrong = await stranger.log_in("wrong <b>")
    assert wrong.status_code == 401 and "Wrong e-mail or password." in wrong.text
    assert "ana@example.com" in wrong.text and COOKIE not in stranger.cookies

    right = await stranger.log_in()
    cookie = right.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "access-" not in cookie
    assert len(cookie) < 4096
    assert double.headers[-1]["X-Forwarded-For"] == "203.0.113.9"
    page = await stranger.read("/")
    assert (
        "Loja Exemplo" in page.get_text()
        and attribute(page, "a.quiet", "aria-label") == "Ana: your account"
    )
    assert [a.get_text() for a in page.select("header nav a")] == ["Inbox"]
    assert [a.get_text() for a in page.select("header nav [aria-current]")] == ["Inbox"]

    await stranger.post("/logout")
    assert COOKIE not in stranger.cookies
    assert double.asked[-1][:2] == ("POST", "auth/logout")
    assert (await stranger.get("/")).headers["location"] == "/login"


async def test_asks_for_a_code_of_who_has_a_second_factor(
    stranger: Browser, double: Double
) -> None:
    assert 'name="code"' not in (await stranger.get("/login")).text
    double.code = "492039"
    for code, told in (("", "and a code of your authenticator"), ("111111", "The code is wrong")):
        answer = await stranger.log_in(code=code)
        assert answer.status_code == 401 and told in answer.text
        assert 'name="code"' in answer.text and "ana@example.com" in answer.text
        assert PASSWORD not in answer.text and COOKIE not in stranger.cookies
    assert (await stranger.log_in("wrong")).text.count('name="code"') == 0
    assert (await stranger.log_in(code="492039")).headers["location"] == "/"
    assert COOKIE in stranger.cookies


async def test_a_login_is_renewed_once_however_many_ask(browser: Browser, double: Double) -> None:
    double.expires_in = 0
    await browser.log_in()
    double.expires_in = 900
    old = browser.cookies[COOKIE]
    answers = await asyncio.gather(*(browser.get("/inbox") for _ in range(8)))
    assert {a.status_code for a in answers} == {200} and double.refreshes == 1
    assert browser.cookies[COOKIE] != old

    # An answer that never reached the browser took its cookie with it.
    browser.cookies.clear()
    browser.cookies.set(COOKIE, old, domain="console.example.com")
    assert (await browser.get("/inbox")).status_code == 200 and double.refreshes == 1


async def test_who_is_logged_out_elsewhere_is_out(browser: Browser, double: Double) -> None:
    double.tokens.clear()
    answer = await browser.get("/")
    assert answer.headers["location"] == "/login" and COOKIE not in browser.cookies
    browser.cookies.set(COOKIE, "forged", domain="console.example.com")
    assert (await browser.get("/")).headers["location"] == "/login"
    assert COOKIE not in browser.cookies


@pytest.mark.parametrize(
    "sent",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://console.example.com"},
        {"Origin": "http://evil.example.com"},
        {"Origin": "null"},
        {},
    ],
)
async def test_takes_no_form_from_another_site(
    console: FastAPI, browser: Browser, double: Double, sent: dict[str, str]
) -> None:
    del browser.headers["Sec-Fetch-Site"]
    before = len(double.asked)
    for path in ("/login", "/logout", "/language"):
        assert (await browser.post(path, headers=sent)).status_code == 403
    assert len(double.asked) == before and COOKIE in browser.cookies
    own = {"Origin": "http://console.example.com"}
    answer = await browser.post("/language", data={"language": "en"}, headers=own)
    assert answer.status_code == 303


async def test_speaks_the_readers_language_and_remembers_a_choice(stranger: Browser) -> None:
    async def heading(accepted: str) -> str:
        page = await stranger.get("/login", headers={"Accept-Language": accepted})
        return page.text[page.text.index("<h1>") + 4 : page.text.index("</h1>")]

    assert await heading("pt-PT,pt;q=0.9,en;q=0.8") == "Entrar"
    assert await heading("de,en;q=0.3,pt;q=0.5") == "Entrar"
    assert await heading("de,pt;q=0") == "Log in"
    assert await heading("en;q=x, , ;q=") == "Log in"
    for referer, back in (
        ("http://console.example.com/conversations/1?x=1", "/conversations/1"),
        ("http://console.example.com//evil.example.com", "/"),
        ("", "/"),
    ):
        chosen = await stranger.post(
            "/language", data={"language": "pt-BR"}, headers={"Referer": referer}
        )
        assert chosen.headers["location"] == back
    assert await heading("en") == "Entrar"
    await stranger.post("/language", data={"language": "../../etc"})
    assert await heading("en") == "Entrar"


async def test_runs_nothing_but_its_own_scripts(stranger: Browser) -> None:
    answer = await stranger.get("/login")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy
    assert "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = await stranger.read("/login")
    for script in page.select("script"):
        assert (await stranger.get(str(script["src"]))).status_code == 200 and not script.string
    assert page.select("[style], [onclick], style") == []
    assert (await stranger.get(attribute(page, "link[rel=stylesheet]", "href"))).status_code == 200
    assert (await stranger.get("/nowhere")).status_code == 404


async def test_tells_its_health(stranger: Browser, double: Double) -> None:
    assert (await stranger.get("/health")).json()["status"] == "healthy"
    assert "crm_ready 1.0" in (await stranger.get("/metrics")).text
    await double.stop()
    assert (await stranger.get("/health/ready")).status_code == 200  # it says so on its pages
    login = await stranger.log_in()
    assert login.status_code == 503 and "does not answer" in login.text
