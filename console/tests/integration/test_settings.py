"""People, API keys and the company's options, as far as the role goes."""

from typing import Any
from uuid import uuid4

import pytest
from crm_console.company import AGENTS_SEE, AUTO_ASSIGNMENT
from crm_console.team import ROLES
from crm_console.words import texts

from console.tests.conftest import Browser, attribute
from console.tests.double import NOW, Double, Json, rows

HTMX = {"HX-Request": "true"}
NAME = "<b>" + "ç" * 252


def last_act(double: Double) -> tuple[str, str, Any]:
    return [a for a in double.asked if a[0] != "GET"][-1]


def fields(page: Any, selector: str) -> dict[str, str]:
    return {str(i["name"]): str(i["value"]) for i in page.select(f"{selector} [name][value]")}


def an_agent(**shown: Any) -> Json:
    return {
        "id": str(uuid4()),
        "name": NAME,
        "email": "bia@example.com",
        "role": "agent",
        "custom_role": None,
        "active": True,
        "version": 4,
        **shown,
    }


async def test_people_are_invited_given_roles_and_deactivated(
    browser: Browser, double: Double
) -> None:
    bia, ana = an_agent(), an_agent(id=double.me, name="Ana", role="admin")
    ours_alone = {"id": str(uuid4()), "name": "Qualidade & " + "q" * 38}
    double.documents |= {"agents": rows(ana, bia), f"agents/{bia['id']}": bia}
    double.documents["roles"] = rows(ours_alone)
    assert "Settings" not in (await browser.read("/")).get_text()
    double.permissions = ("agents.read",)
    page = await browser.read("/settings")
    assert NAME in page.get_text() and page.select("#team form, #team b") == []
    assert [a.get_text() for a in page.select("nav.filters a")] == ["Team"]

    double.permissions = ("*",)
    page = await browser.read("/settings")
    assert [a.get_text() for a in page.select("nav.filters a")] == [
        *("Team", "Roles", "API keys", "Company")
    ]
    assert [a.get_text() for a in page.select("nav.filters [aria-current]")] == ["Team"]
    assert [a.get_text() for a in page.select("header nav [aria-current]")] == ["Settings"]
    assert page.select(f"#agent-{ana['id']} form[action$=active]") == []  # nobody locks herself out
    ours = f"#agent-{bia['id']}"
    assert attribute(page, f"{ours} option[selected]", "value") == "agent"
    act = attribute(page, f"{ours} form[action$=role]", "hx-post")
    part = await browser.post(act, data={"role": "supervisor", "version": "4"}, headers=HTMX)
    assert part.status_code == 200 and part.text.startswith('<div id="team"')
    assert last_act(double) == ("PUT", f"agents/{bia['id']}", {"role": "supervisor"})
    given = await browser.post(act, data={"role": ours_alone["id"], "version": "4"}, headers=HTMX)
    assert given.status_code == 200
    assert last_act(double) == ("PUT", f"agents/{bia['id']}", {"role": ours_alone["id"]})
    bia["custom_role"] = ours_alone
    page = await browser.read("/settings")
    assert attribute(page, f"{ours} option[selected]", "value") == ours_alone["id"]
    double.permissions = ("agents.*",)
    page = await browser.read("/settings")
    assert attribute(page, f"{ours} option[selected]", "value") == ours_alone["id"]
    double.permissions = ("*",)
    assert ours_alone["name"] in [each.get_text() for each in page.select(f"{ours} .state")]
    stale = await browser.post(act, data={"role": "admin", "version": "3"}, headers=HTMX)
    assert stale.status_code == 412 and "Somebody changed it" in stale.text
    act = attribute(page, f"{ours} form[action$=active]", "action")
    answer = await browser.post(act, data=fields(page, f"{ours} form[action$=active]"))
    assert answer.headers["location"] == "/settings"
    assert last_act(double) == ("PUT", f"agents/{bia['id']}", {"active": False})
    bia["active"] = False
    page = await browser.read("/settings")
    assert "Deactivated" in page.get_text()
    assert fields(page, f"{ours} form[action$=active]")["active"] == "true"

    double.documents["POST agents"] = {**bia, "invitation_token": "it-is-a-secret"}
    form = {"key": fields(page, "#invite")["key"], "name": NAME, "email": "a@b.co", "role": "agent"}
    part = await browser.post("/settings/agents", data=form, headers=HTMX)
    assert "/accept-invitation#token=it-is-a-secret" in part.text
    assert form["key"] not in part.text
    assert last_act(double)[2] == {"name": NAME, "email": "a@b.co", "role": "agent"}
    assert form["key"] in [h.get("Idempotency-Key") for h in double.headers]
    whole = await browser.post("/settings/agents", data=form)
    assert "it-is-a-secret" in whole.text and "<html" in whole.text
    assert "it-is-a-secret" not in (await browser.get("/settings")).text
    for wrong in ({"name": NAME + "x"}, {"name": ""}, {"role": "owner"}, {"key": "x"}):
        refused = await browser.post("/settings/agents", data={**form, **wrong}, headers=HTMX)
        assert refused.status_code == 422
    double.refusal = (409, "last_admin")
    refused = await browser.post(act, data={"active": "false", "version": "4"}, headers=HTMX)
    assert refused.status_code == 409 and "last active admin" in refused.text


async def test_a_role_is_made_changed_and_deleted(browser: Browser, double: Double) -> None:
    role: Json = {
        "id": str(uuid4()),
        "name": "Qualidade <b>",
        "permissions": ["contacts.read", "notes.*"],
        "sees": None,
        "version": 3,
    }
    double.documents |= {"roles": rows(role), f"roles/{role['id']}": role, "POST roles": role}
    double.permissions = ("agents.read", "roles.read")
    page = await browser.read("/settings/roles")
    assert "Qualidade <b>" in page.get_text() and "What agents see here" in page.get_text()
    assert "contacts.read, notes.*" in page.get_text()
    assert page.select("#roles form, #roles b") == []
    assert [a.get_text() for a in page.select("nav.filters [aria-current]")] == ["Roles"]

    double.permissions = ("*",)
    page = await browser.read("/settings/roles")
    made = {
        "key": fields(page, "#make-role")["key"],
        "name": "Vendas",
        "permissions": " contacts.*, messages.send\n",
        "sees": "own",
    }
    part = await browser.post("/settings/roles", data=made, headers=HTMX)
    assert part.status_code == 200 and part.text.startswith('<div id="roles"')
    body: Json = {"name": "Vendas", "permissions": ["contacts.*", "messages.send"], "sees": "own"}
    assert last_act(double) == ("POST", "roles", body)
    assert made["key"] in [h.get("Idempotency-Key") for h in double.headers]
    assert (await browser.post("/settings/roles", data=made)).headers["location"] == (
        "/settings/roles"
    )

    ours = f"#role-{role['id']} details form"
    shown = fields(page, ours)
    assert (shown["name"], shown["permissions"]) == (role["name"], "contacts.read notes.*")
    assert attribute(page, f"{ours} option[selected]", "value") == ""
    act = attribute(page, ours, "hx-post")
    change = {"version": shown["version"], "name": "Outra", "permissions": "notes.*", "sees": ""}
    assert (await browser.post(act, data=change, headers=HTMX)).status_code == 200
    body = {"name": "Outra", "permissions": ["notes.*"], "sees": None}
    assert last_act(double) == ("PATCH", f"roles/{role['id']}", body)
    stale = await browser.post(act, data={**change, "version": "2"}, headers=HTMX)
    assert stale.status_code == 412 and "Somebody changed it" in stale.text
    for wrong in ({"name": ""}, {"name": "x" * 51}, {"permissions": ""}, {"sees": "some"}):
        assert (await browser.post(act, data={**change, **wrong}, headers=HTMX)).status_code == 422
        answer = await browser.post("/settings/roles", data={**made, **wrong}, headers=HTMX)
        assert answer.status_code == 422

    act = attribute(page, f"#role-{role['id']} form[action$=delete]", "hx-post")
    assert "Qualidade <b>" in attribute(page, f"form[hx-post='{act}']", "hx-confirm")
    assert (await browser.post(act)).headers["location"] == "/settings/roles"
    assert last_act(double)[:2] == ("DELETE", f"roles/{role['id']}")
    double.refused[f"roles/{role['id']}"] = (409, "role_in_use")
    browser.cookies.set("language", "pt-BR")
    refused = await browser.post(act, headers=HTMX)
    assert refused.status_code == 409 and "outro papel" in refused.text
    double.documents["roles"] = rows()
    assert "Ainda não há papel" in (await browser.read("/settings/roles")).get_text()


async def test_a_key_is_shown_once_and_revoked(browser: Browser, double: Double) -> None:
    key = {
        "id": str(uuid4()),
        "name": NAME,
        "prefix": "crm_ab",
        "scopes": ["contacts.*", "messages.send"],
        "last_used_at": None,
        "expires_at": NOW,
    }
    double.documents |= {
        "api-keys": rows(key),
        "POST api-keys": {**key, "key": "crm_ab_secret"},
    }
    double.permissions = ("agents.read", "api_keys.read")
    page = await browser.read("/settings/keys")
    text = page.get_text()
    assert NAME in text and "crm_ab…" in text and "never used" in text and "Mar 14, 2026" in text
    assert page.select("#keys form, #keys b") == []
    double.permissions = ("*",)
    browser.cookies.set("zone", "America/Sao_Paulo")
    page = await browser.read("/settings/keys")
    form = {
        "key": fields(page, "#make-key")["key"],
        "name": NAME,
        "scopes": " contacts.*, messages.send ",
        "last_day": "2027-01-31",
    }
    part = await browser.post("/settings/keys", data=form, headers=HTMX)
    assert "crm_ab_secret" in part.text and part.headers["cache-control"] == "no-store"
    assert last_act(double) == (
        "POST",
        "api-keys",
        {
            "name": NAME,
            "scopes": ["contacts.*", "messages.send"],
            "expires_at": "2027-02-01T03:00:00+00:00",
        },
    )
    assert "crm_ab_secret" not in (await browser.get("/settings/keys")).text
    await browser.post("/settings/keys", data={**form, "scopes": " ", "last_day": ""})
    assert last_act(double)[2] == {"name": NAME}
    too_long = {**form, "name": NAME + "x"}
    assert (await browser.post("/settings/keys", data=too_long, headers=HTMX)).status_code == 422
    revoke = page.select_one(f"#key-{key['id']} form[hx-confirm]")
    assert revoke is not None
    part = await browser.post(str(revoke["hx-post"]), headers=HTMX)
    assert part.text.startswith('<div id="keys"')
    assert last_act(double)[:2] == ("DELETE", f"api-keys/{key['id']}")


async def test_the_companys_options_are_changed_unless_somebody_else_did(
    browser: Browser, double: Double
) -> None:
    double.documents["settings"] = {
        "agents_see": "own",
        "auto_assignment": "least_busy",
        "sessions_per_agent": 1000,
        "event_retention_days": None,
        "require_two_factor": True,
        "version": 2,
        "updated_at": NOW,
    }
    double.permissions = ("agents.read", "settings.read")
    page = await browser.read("/settings/company")
    assert (
        page.select_one("fieldset[disabled]") is not None and page.select("#company button") == []
    )
    double.permissions = ("*",)
    page = await browser.read("/settings/company")
    assert [o["value"] for o in page.select("option[selected]")] == ["own", "least_busy"]
    assert page.select("[name=require_two_factor][checked]")
    form = {
        "agents_see": "all",
        "auto_assignment": "off",
        "sessions_per_agent": "1",
        "version": attribute(page, "[name=version]", "value"),
    }
    part = await browser.post("/settings/company", data=form, headers=HTMX)
    assert part.status_code == 200 and part.text.startswith('<form id="company"')
    wanted = {"agents_see": "all", "auto_assignment": "off", "sessions_per_agent": 1}
    unset = {"event_retention_days": None, "require_two_factor": False}
    assert last_act(double) == ("PATCH", "settings", wanted | unset)
    more = {"event_retention_days": "365", "require_two_factor": "true"}
    await browser.post("/settings/company", data=form | more, headers=HTMX)
    set_ = {"event_retention_days": 365, "require_two_factor": True}
    assert last_act(double) == ("PATCH", "settings", wanted | set_)
    answer = await browser.post("/settings/company", data=form)
    assert answer.headers["location"] == "/settings/company"
    stale = await browser.post("/settings/company", data={**form, "version": "1"}, headers=HTMX)
    assert stale.status_code == 412 and "Somebody changed it" in stale.text
    for wrong in (
        {"agents_see": "none"},
        {"sessions_per_agent": "1001"},
        {"event_retention_days": "366"},
    ):
        refused = await browser.post("/settings/company", data={**form, **wrong}, headers=HTMX)
        assert refused.status_code == 422


@pytest.mark.parametrize("language", ["en", "pt-BR"])
def test_every_choice_has_a_word(language: str) -> None:
    names = {f"role.{each}" for each in ROLES}
    names |= {f"company.see.{each}" for each in AGENTS_SEE}
    names |= {f"company.assign.{each}" for each in AUTO_ASSIGNMENT}
    assert names <= texts(language).keys()
