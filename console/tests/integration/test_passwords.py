"""Passwords by invitation and by mail, and forms that are too large."""

from collections.abc import AsyncIterator

import pytest
from crm_console.middleware import COOKIE

from console.tests.conftest import PASSWORD, Browser, attribute
from console.tests.double import Double

TOKEN = "t" * 500
CHUNK = b"x" * 2**16
GIVEN = {"token": TOKEN, "password": PASSWORD}


async def test_who_was_invited_chooses_a_password_and_is_in(
    stranger: Browser, double: Double
) -> None:
    page = await stranger.read("/accept-invitation")
    assert attribute(page, "form.card", "action") == "/accept-invitation"
    assert attribute(page, "[name=password]", "autocomplete") == "new-password"
    assert page.select("[data-from-hash] [name=token]") and "Choose your password" in page.text
    answer = await stranger.post("/accept-invitation", data=GIVEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert COOKIE in stranger.cookies
    asked = {"invitation_token": TOKEN, "password": PASSWORD}
    assert double.asked[-1] == ("POST", "auth/accept-invitation", asked)
    assert double.headers[-1]["X-Forwarded-For"] == "203.0.113.9"
    assert (await stranger.get("/")).status_code == 200


async def test_who_has_a_link_of_a_mail_chooses_another_password(
    browser: Browser, double: Double
) -> None:
    page = await browser.read("/reset-password")
    assert attribute(page, "form.card", "action") == "/reset-password"
    answer = await browser.post("/reset-password", data=GIVEN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert double.asked[-1][1:] == (
        "auth/password/reset",
        {"reset_token": TOKEN, "password": PASSWORD},
    )
    assert COOKIE not in browser.cookies  # the gateway has ended it


async def test_who_has_an_account_joins_by_its_password_and_code(
    stranger: Browser, double: Double
) -> None:
    assert "one-time-code" not in (await stranger.get("/accept-invitation")).text
    double.refusal = (401, "two_factor_required")
    answer = await stranger.post("/accept-invitation", data=GIVEN)
    assert answer.status_code == 401 and "one-time-code" in answer.text
    double.refusal = None
    answer = await stranger.post("/accept-invitation", data={**GIVEN, "code": "492039"})
    assert answer.headers["location"] == "/" and double.asked[-1][2]["code"] == "492039"


@pytest.mark.parametrize(
    ("path", "code", "told"),
    [
        ("/accept-invitation", "account_exists", "This e-mail has an account already"),
        ("/accept-invitation", "invalid_invitation", "This invitation is not good any more"),
        ("/reset-password", "invalid_reset_token", "This link is not good any more"),
    ],
)
async def test_a_stale_link_is_told_in_the_form(
    stranger: Browser, double: Double, path: str, code: str, told: str
) -> None:
    double.refusal = (401, code)
    answer = await stranger.post(path, data=GIVEN)
    assert answer.status_code == 401 and told in answer.text
    assert f'value="{TOKEN}"' in answer.text and PASSWORD not in answer.text
    assert COOKIE not in stranger.cookies
    asked = len(double.asked)
    for wrong in ({"token": ""}, {"token": TOKEN + "t"}, {"password": "short"}):
        assert (await stranger.post(path, data={**GIVEN, **wrong})).status_code == 422
    assert len(double.asked) == asked


async def test_who_forgot_a_password_is_told_the_same_whoever_it_is(
    stranger: Browser, double: Double
) -> None:
    assert attribute(await stranger.read("/login"), ".card a", "href") == "/forgot-password"
    assert (await stranger.read("/forgot-password")).select("[name=email]")
    answer = await stranger.post("/forgot-password", data={"email": "ana@example.com"})
    assert "is on its way" in answer.text and 'name="email"' not in answer.text
    assert double.asked[-1][1:] == ("auth/password/forgot", {"email": "ana@example.com"})
    assert double.headers[-1]["X-Forwarded-For"] == "203.0.113.9"
    double.refusal = (503, "mail_not_configured")
    answer = await stranger.post("/forgot-password", data={"email": "ana@example.com"})
    assert answer.status_code == 503 and "No mail is sent from here" in answer.text


class Endless:
    """A body without an end; `read` are the bytes that somebody wanted of it."""

    def __init__(self, beginning: bytes = b"") -> None:
        self.read, self._beginning = 0, beginning

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._beginning
        while self.read < 2**24:
            self.read += len(CHUNK)
            yield CHUNK


@pytest.mark.parametrize(
    ("kind", "beginning"),
    [
        ("application/x-www-form-urlencoded", b"email="),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="email"; filename="x"\r\n\r\n',
        ),
    ],
)
async def test_a_form_is_bounded_before_anybody_asks_who_sent_it(
    stranger: Browser, double: Double, kind: str, beginning: bytes
) -> None:
    asked = len(double.asked)
    for path in ("/login", "/accept-invitation", "/language", "/settings/agents"):
        body = Endless(beginning)
        answer = await stranger.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code == 413 and "too much at once" in answer.text
        assert body.read < 2**18
    assert len(double.asked) == asked


async def test_a_file_of_nobody_is_not_read(stranger: Browser) -> None:
    body = Endless()
    path = "/conversations/0190b5a2-0000-7000-8000-000000000000/files"
    answer = await stranger.post(path, content=body)
    assert answer.headers["location"] == "/login" and body.read <= len(CHUNK)


async def test_the_longest_text_fits_into_a_form(browser: Browser, double: Double) -> None:
    here = double.converse()
    form = {"key": "0190b5a2-0000-7000-8000-000000000000", "content": "💚" * 4096}
    answer = await browser.post(f"/conversations/{here['id']}/messages", data=form)
    assert answer.status_code == 303, answer.text
