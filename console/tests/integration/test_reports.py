"""Reports: the period and what a row is, the table, and what draws it."""

from typing import Any
from uuid import uuid4

import pytest
from crm_console.reports import BY, COUNTS, SPANS
from crm_console.words import texts

from console.tests.conftest import Browser, attribute
from console.tests.double import Double

NAME = "<b>" + "ç" * 252


def figures(**shown: Any) -> dict[str, Any]:
    row = {"day": None, "agent_id": None, "channel_id": None, "name": None}
    return {**dict.fromkeys(COUNTS, 0), **dict.fromkeys(SPANS), **row, **shown}


async def test_tells_what_was_said_in_the_readers_days(browser: Browser, double: Double) -> None:
    double.documents["reports/conversations"] = {
        "total": figures(messages_in=12),
        "data": [
            figures(day="2026-03-01", messages_in=12, first_response_median_seconds=90.0),
            figures(day="2026-03-02"),
        ],
    }
    assert "Reports" not in (await browser.read("/")).get_text()
    double.permissions = ("reports.read",)
    browser.cookies.set("zone", "America/Sao_Paulo")
    page = await browser.read("/reports?from=2026-03-01&to=2026-03-02&by=day")
    assert next(a[2] for a in double.asked if a[1] == "reports/conversations") == {
        "from": "2026-03-01T03:00:00+00:00",
        "to": "2026-03-03T03:00:00+00:00",
        "by": "day",
        "timezone": "America/Sao_Paulo",
    }
    assert [r.get_text() for r in page.select("tbody th")] == ["3/1/26", "3/2/26"]
    waited = page.select("tbody tr")[0].select("td")[len(COUNTS)]
    assert (waited["data-value"], waited.get_text()) == ("1.5", "1.5 min")
    unknown = page.select("tbody tr")[1].select("td")[len(COUNTS)]
    assert unknown.get_text() == "–" and not unknown.has_attr("data-value")
    assert (page.select_one("tfoot td") or page).get_text() == "12"
    columns = [th.get("data-chart") for th in page.select("thead th")]
    assert columns.count("volume") == columns.count("time") == 2
    assert [f["data-chart"] for f in page.select("figure[aria-hidden=true]")] == ["volume", "time"]
    assert attribute(page, "input[name=from]", "value") == "2026-03-01"
    for script in page.select("script"):
        assert (await browser.get(str(script["src"]))).status_code == 200 and not script.string


async def test_a_row_is_an_agent_a_number_or_nobody(browser: Browser, double: Double) -> None:
    double.permissions = ("reports.read",)
    rows = [
        figures(agent_id=str(uuid4()), name=NAME),
        figures(agent_id=str(uuid4())),
        figures(),
    ]
    double.documents["reports/conversations"] = {"total": figures(), "data": rows}
    page = await browser.read("/reports?by=agent")
    named = [th.get_text() for th in page.select("tbody th")]
    assert named == [NAME, "Somebody else", "Nobody has it"] and page.select("#main b") == []
    assert attribute(page, "option[selected]", "value") == "agent"
    double.documents["reports/conversations"]["data"] = []
    page = await browser.read("/reports?by=channel")
    assert "Nothing in this period" in page.get_text() and page.select("figure, table") == []
    for wrong in ("by=hour", "from=yesterday", "from="):
        assert (await browser.get(f"/reports?{wrong}")).status_code == 422
    double.refusal = (422, "validation_failed")
    assert (await browser.get("/reports?from=2025-01-01&to=2026-01-01")).status_code == 422


@pytest.mark.parametrize("name", [*COUNTS, *SPANS, *(f"by.{by}" for by in BY)])
def test_every_column_has_a_heading(name: str) -> None:
    assert f"report.{name}" in texts("en")
