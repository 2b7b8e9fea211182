"""A person's own second factor, and the companies they switch between."""

from typing import Any
from uuid import uuid4

import pytest

from console.tests.conftest import PASSWORD, Browser, attribute
from console.tests.double import NOW, Double, Json, rows

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
URI = f"otpauth://totp/Ventros%20CRM:ana%40example.com?secret={SECRET}&issuer=Ventros%20CRM"
RECOVERY = [f"{n:05d}-{n:05d}" for n in range(10)]
OFF: Json = {"enabled": False, "enabled_at": None, "recovery_codes_left": 0}
ON: Json = {"enabled": True, "enabled_at": NOW, "recovery_codes_left": 9}


def company(name: str, *, current: bool = False) -> Json:
    return {"id": str(uuid4()), "name": name, "current": current}


@pytest.fixture
def own(double: Double) -> Double:
    """The gateway of somebody of one company, without a second factor."""
    double.documents |= {
        "auth/two-factor": OFF,
        "POST auth/two-factor": {"secret": SECRET, "otpauth_uri": URI},
        "POST auth/two-factor/confirm": {"recovery_codes": RECOVERY},
        "POST auth/two-factor/recovery-codes": {"recovery_codes": RECOVERY},
        "auth/tenants": rows(company("Loja Exemplo", current=True)),
    }
    return double


def acts(double: Double) -> list[tuple[str, str, Any]]:
    return [a for a in double.asked if a[0] != "GET" and a[1] != "auth/login"]


async def test_a_second_factor_is_set_up_by_a_picture_and_a_code(
    browser: Browser, own: Double
) -> None:
    assert attribute(await browser.read("/"), "header a.quiet", "href") == "/account"
    page = await browser.read("/account")
    assert attribute(page, "main form", "action") == "/account/two-factor"
    begun = await browser.post("/account/two-factor", data={"password": PASSWORD})
    assert begun.status_code == 200 and SECRET in begun.text and "<svg" in begun.text
    assert 'action="/account/two-factor/confirm"' in begun.text and PASSWORD not in begun.text
    own.documents["auth/two-factor"] = ON
    done = await browser.post("/account/two-factor/confirm", data={"code": "492 039"})
    assert all(each in done.text for each in RECOVERY) and SECRET not in done.text
    assert acts(own) == [
        ("POST", "auth/two-factor", {"password": PASSWORD}),
        ("POST", "auth/two-factor/confirm", {"code": "492 039"}),
    ]
    page = await browser.read("/account")
    assert "Recovery codes left: 9" in page.get_text() and RECOVERY[0] not in page.get_text()


@pytest.mark.parametrize("act", ["recovery-codes", "disable"])
async def test_what_takes_password_and_code(browser: Browser, own: Double, act: str) -> None:
    own.documents["auth/two-factor"] = ON
    page = await browser.read("/account")
    path = f"/account/two-factor/{act}"
    (form,) = page.select(f"main form[action='{path}']")
    assert [str(field["name"]) for field in form.select("input")] == ["password", "code"]
    given = {"password": PASSWORD, "code": "492039"}
    answer = await browser.post(path, data=given)
    assert answer.status_code == 200 and (RECOVERY[0] in answer.text) is (act == "recovery-codes")
    assert acts(own) == [("POST", f"auth/two-factor/{act}", given)]
    for wrong in ({"password": ""}, {"code": ""}, {"code": "1" * 41}):
        assert (await browser.post(path, data={**given, **wrong})).status_code == 422
    assert len(acts(own)) == 1


async def test_why_it_was_not_done_is_told_in_the_page(browser: Browser, own: Double) -> None:
    own.refused = {"auth/two-factor/confirm": (422, "invalid_code")}
    answer = await browser.post("/account/two-factor/confirm", data={"code": "1"})
    assert answer.status_code == 422 and "The code is wrong" in answer.text
    own.refused = {"auth/two-factor/confirm": (401, "token_revoked")}
    answer = await browser.post("/account/two-factor/confirm", data={"code": "1"})
    assert answer.headers["location"] == "/login"


async def test_who_lacks_what_the_company_wants_is_led_there(browser: Browser, own: Double) -> None:
    own.refused = {"auth/me": (403, "two_factor_required_by_company")}
    answer = await browser.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/account")
    part = await browser.get("/board", headers={"HX-Request": "true"})
    assert part.headers["hx-redirect"] == "/account"
    page = await browser.read("/account")
    assert page.select("[action='/account/two-factor']") and page.select("[action='/logout']")


async def test_another_company_is_gone_on_in(browser: Browser, own: Double) -> None:
    page = await browser.read("/account")
    assert page.select("[name=tenant_id]") == []  # there is no other
    here, there = company("Loja Exemplo", current=True), company("<b>" + "ç" * 252)
    own.documents["auth/tenants"] = rows(here, there)
    page = await browser.read("/account")
    assert attribute(page, "[name=tenant_id]:not([disabled])", "value") == there["id"]
    assert there["name"] in page.get_text() and page.select("main b") == []
    tokens = set(own.tokens)
    answer = await browser.post("/account/company", data={"tenant_id": there["id"]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    method, path, body = acts(own)[-1]
    assert (method, path, body["tenant_id"]) == ("POST", "auth/switch", there["id"])
    assert body["refresh_token"] in tokens
    own.tokens -= tokens  # only the new login is known
    assert (await browser.get("/account")).status_code == 200
