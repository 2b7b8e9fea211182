"""A pipeline's board: what stands where, more of a column, and moving a contact."""

from typing import Any
from uuid import uuid4

from crm_console.live import touched

from console.tests.conftest import Browser, attribute
from console.tests.double import Double, rows

HTMX = {"HX-Request": "true"}
NAME = "<b>" + "ç" * 252
SUPERVISOR = ("contacts.*", "pipelines.read")


def a_contact(name: str, version: int = 7) -> dict[str, Any]:
    contact_id = str(uuid4())
    return {"id": contact_id, "name": name, "phone": None, "tags": ["vip"], "version": version}


def a_column(name: str, *contacts: dict[str, Any], **shown: Any) -> dict[str, Any]:
    status = {"id": str(uuid4()), "name": name, "type": "open", "color": None}
    return {
        "status": {**status, **shown.pop("status", {})},
        "count": len(contacts),
        "contacts": list(contacts),
        "has_more": False,
        "next_cursor": None,
        **shown,
    }


def shown_in(page: Any) -> dict[str, list[str]]:
    return {
        str(column["data-status"]): [a.get_text() for a in column.select("li > a")]
        for column in page.select(".column")
    }


async def test_a_contact_is_moved_between_columns_unless_somebody_changed_it(
    browser: Browser, double: Double
) -> None:
    pipeline = str(uuid4())
    maria = a_contact(NAME)
    new, won = a_column("Novo", maria), a_column("Ganho", status={"type": "won"})
    double.documents |= {
        "pipelines": rows(
            {"id": pipeline, "name": "Vendas"}, {"id": str(uuid4()), "name": "Suporte"}
        ),
        f"pipelines/{pipeline}/board": {
            "pipeline": {"id": pipeline, "name": "Vendas"},
            "columns": [new, won],
        },
        f"contacts/{maria['id']}/pipeline-status": {"version": 7},
    }
    assert "Board" not in (await browser.read("/")).get_text()
    double.permissions = ("pipelines.read",)
    path = f"/board/{pipeline}"
    assert (await browser.get("/board")).headers["location"] == path
    page = await browser.read(path)
    assert shown_in(page) == {new["status"]["id"]: [NAME], won["status"]["id"]: []}
    assert page.select("#board form, #board b, [draggable]") == []  # it may look only
    assert [a.get_text() for a in page.select("nav.filters a")] == ["Vendas", "Suporte"]
    assert "won" in page.select(".column")[1].get_text()

    double.permissions = SUPERVISOR
    page = await browser.read(path)
    trigger = attribute(page, "#board", "hx-trigger")
    assert f"board-{pipeline} from:body" in trigger and "fresh from:body" in trigger
    form = page.select_one(f"#card-{maria['id']}[draggable] form")
    assert form is not None
    there = [str(b["value"]) for b in form.select("button")]
    assert there == [won["status"]["id"]]
    moved = {str(i["name"]): str(i["value"]) for i in form.select("input")}
    moved["status_id"] = there[0]
    part = await browser.post(str(form["hx-post"]), data=moved, headers=HTMX)
    assert part.status_code == 200 and 'id="board"' in part.text
    put = next(a for a in double.asked if a[0] == "PUT")
    place = {"pipeline_id": pipeline, "status_id": there[0]}
    assert put[1:] == (f"contacts/{maria['id']}/pipeline-status", place)

    double.documents[f"contacts/{maria['id']}/pipeline-status"]["version"] = 8
    refused = await browser.post(str(form["hx-post"]), data=moved, headers=HTMX)
    assert (refused.status_code, refused.headers["hx-retarget"]) == (412, "#problem")
    assert "Somebody changed it" in refused.text
    refused = await browser.post(str(form["action"]), data=moved)
    assert refused.status_code == 412 and "Somebody changed it" in refused.text
    asked = len(double.asked)
    for wrong in ({"version": "-1"}, {"version": str(2**31)}, {"status_id": "x"}):
        answer = await browser.post(f"{path}/move", data={**moved, **wrong}, headers=HTMX)
        assert answer.status_code == 422
    assert not any(a[0] == "PUT" for a in double.asked[asked:])


async def test_more_of_a_column_stays_shown(browser: Browser, double: Double) -> None:
    pipeline = str(uuid4())
    first, rest = a_contact("Ana"), [a_contact(f"N{n}") for n in range(60)]
    full = a_column("Novo", first, count=10_000, has_more=True, next_cursor="c1")
    double.documents |= {
        "pipelines": rows({"id": pipeline, "name": "Vendas"}),
        f"pipelines/{pipeline}/board": {
            "pipeline": {"id": pipeline, "name": "Vendas"},
            "columns": [full, a_column("Ganho", a_contact("Bia"))],
        },
        "contacts": {"data": rest[:50], "has_more": True, "next_cursor": "c2"},
    }
    double.permissions = SUPERVISOR
    page = await browser.read(f"/board/{pipeline}")
    status = full["status"]["id"]
    assert len(shown_in(page)[status]) == 1 and "10000+" in page.get_text()
    part = await browser.read(attribute(page, "a.more", "hx-get"))
    assert len(shown_in(part)[status]) == 51
    asked = [a[2] for a in double.asked if a[1] == "contacts"]
    assert asked == [{"limit": "50", "cursor": "c1", "pipeline_status_id": status}]
    assert attribute(part, "#board", "hx-get").endswith(f"?more={status}")
    assert f"?more={status}" in attribute(part, "#board form", "hx-post")
    await browser.read(attribute(part, "a.more", "hx-get"))
    assert [a[2]["cursor"] for a in double.asked if a[1] == "contacts"][1:] == ["c1", "c2"]
    too_many = "&".join([f"more={status}"] * 21)
    assert (await browser.get(f"/board/{pipeline}?{too_many}")).status_code == 422


async def test_without_pipelines_or_statuses_there_is_a_word(
    browser: Browser, double: Double
) -> None:
    double.permissions = SUPERVISOR
    double.documents["pipelines"] = rows()
    assert "No pipeline yet" in (await browser.read("/board")).get_text()
    pipeline = {"id": str(uuid4()), "name": "Vendas"}
    path = f"pipelines/{pipeline['id']}/board"
    double.documents |= {"pipelines": rows(pipeline), path: {"pipeline": pipeline, "columns": []}}
    assert "has no status" in (await browser.read(f"/board/{pipeline['id']}")).get_text()


def test_boards_that_a_contact_left_and_came_to_are_told() -> None:
    contact = {"id": "c", "pipeline_id": "p2"}
    before, after = {"pipeline_id": "p1"}, {"pipeline_id": "p2"}
    data = {"contact": contact, "before": before, "after": after}
    moved = touched({"type": "contact.pipeline_status_changed", "data": data})
    assert moved == {"contact-c", "inbox", "board-p1", "board-p2"}
    out = {"contact": {"id": "c", "pipeline_id": None}, "before": before, "after": None}
    left = touched({"type": "contact.pipeline_status_changed", "data": out})
    assert left == {"contact-c", "inbox", "board-p1"}
