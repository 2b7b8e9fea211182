"""Who has a conversation, its end, and whom it is with."""

from typing import Any
from uuid import uuid4

from console.tests.conftest import Browser, attribute
from console.tests.double import NOW, Double, a_message

HTMX = {"HX-Request": "true"}
SUPERVISOR = ("contacts.*", "messages.*", "sessions.*", "notes.*", "agents.read", "pipelines.read")


def form_of(page: Any, selector: str) -> dict[str, str]:
    form = page.select_one(selector)
    assert form is not None, page
    return {str(i["name"]): str(i["value"]) for i in form.select("input, button[name]")}


async def test_a_conversation_is_taken_given_closed_and_reopened(
    browser: Browser, double: Double
) -> None:
    session = str(uuid4())
    ours = double.converse(active_session={"id": session, "assigned_agent_id": None})
    path = f"/conversations/{ours['id']}"
    page = await browser.read(path)
    assert "Nobody has it" in page.get_text()
    assert "+5511988880001" in page.get_text()
    assert attribute(page, "#head", "hx-get") == f"{path}/head"
    assert f"session-{ours['contact']['id']}" in attribute(page, "#head", "hx-trigger")
    take = form_of(page, "form[action$=assign]")
    assert take == {"session_id": session, "agent_id": double.me}

    part = await browser.post(f"{path}/assign", data=take, headers=HTMX)
    assert part.status_code == 200 and 'id="head"' in part.text
    acts = [a for a in double.asked if a[0] == "POST"]
    whom = {"agent_id": double.me, "expected_assignee_id": None}
    assert acts[-1][1:] == (f"sessions/{session}/assign", whom)

    # Somebody else had it in between: who looks decides anew.
    other = {"id": str(uuid4()), "name": "Bia <3", "active": True}
    gone = {"id": str(uuid4()), "name": "Caio", "active": False}
    ours["active_session"]["assigned_agent_id"] = other["id"]
    double.documents["agents"] = {"data": [other, gone], "has_more": False, "next_cursor": None}
    part_of_agent = await browser.read(f"{path}/head")
    assert "Somebody else has it" in part_of_agent.get_text()
    assert part_of_agent.select("select[name=agent_id] option[selected]") == []
    double.permissions = SUPERVISOR
    head = await browser.read(f"{path}/head")
    assert "Bia <3 has it" in head.get_text() and "Caio" not in head.get_text()
    give = form_of(head, "form[action$=assign]:has(select)")
    await browser.post(f"{path}/assign", data={**give, "agent_id": ""}, headers=HTMX)
    acts = [a for a in double.asked if a[0] == "POST"]
    assert acts[-1][2] == {"agent_id": None, "expected_assignee_id": other["id"]}

    close = form_of(head, "form[action$=close]")
    assert "Not a customer" in head.get_text()
    answer = await browser.post(f"{path}/close", data={**close, "reason": "spam"})
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    acts = [a for a in double.asked if a[0] == "POST"]
    assert acts[-1][1:] == (f"sessions/{session}/close", {"reason": "spam"})
    too_long = await browser.post(f"{path}/close", data={**close, "reason": "x" * 51})
    assert too_long.status_code == 422

    ours["active_session"] = None
    double.documents["sessions"] = {"data": [{"id": session, "status": "closed"}]}
    head = await browser.read(f"{path}/head")
    assert "Closed" in head.get_text()
    query = next(a[2] for a in double.asked if a[1] == "sessions")
    assert query["contact_id"] == ours["contact"]["id"] and query["limit"] == "1"
    reopen = form_of(head, "form[action$=reopen]")
    await browser.post(f"{path}/reopen", data=reopen, headers=HTMX)
    acts = [a for a in double.asked if a[0] == "POST"]
    assert acts[-1][1] == f"sessions/{session}/reopen"
    double.permissions = ("sessions.read", "messages.read")
    assert (await browser.read(f"{path}/head")).select("form") == []


async def test_shows_whom_it_is_with_and_takes_notes(browser: Browser, double: Double) -> None:
    name, pipeline, status = str(uuid4()), str(uuid4()), str(uuid4())
    one = {"has_more": False, "next_cursor": None}
    double.documents |= {
        f"contacts/{name}": {
            "id": name,
            "name": "Maria <b>",
            "email": "maria@example.com",
            "identities": [
                {"kind": "phone", "value": "5511988880001"},
                {"kind": "lid", "value": "987654321"},
            ],
            "tags": ["vip", "<i>"],
            "custom_fields": {"cpf": "123", "filhos": 2, "endereço": {"rua": "<b>"}},
            "pipeline_id": pipeline,
            "pipeline_status_id": status,
        },
        f"contacts/{name}/notes": {
            "data": [{"id": "n", "content": "Liga às 9", "pinned": True, "created_at": NOW}],
            **one,
        },
        f"contacts/{name}/events": {
            "data": [{"id": "e", "title": "Contato criado", "occurred_at": NOW}],
            **one,
        },
        f"pipelines/{pipeline}": {"name": "Vendas"},
        f"pipelines/{pipeline}/statuses/{status}": {"name": "Proposta"},
    }
    double.permissions = SUPERVISOR
    panel = await browser.read(f"/contacts/{name}/panel")
    text = panel.get_text(" ", strip=True)
    for shown in ("Maria <b>", "987654321", "vip", "<i>", "cpf 123", "filhos 2", "rua"):
        assert shown in text, shown
    for shown in ("Vendas › Proposta", "Liga às 9", "Contato criado"):
        assert shown in text, shown
    assert panel.select("b, i") == []
    double.permissions = ("contacts.read",)
    asked = len(double.asked)
    text = (await browser.read(f"/contacts/{name}/panel")).get_text()
    assert "Vendas" not in text and "Liga" not in text
    assert not any("notes" in a[1] or "pipelines" in a[1] for a in double.asked[asked:])

    double.permissions = SUPERVISOR
    ours = double.converse(contact={"id": name, "name": "Maria", "phone": None})
    page = await browser.read(f"/conversations/{ours['id']}")
    assert attribute(page, "#panel", "hx-get") == f"/contacts/{name}/panel"
    note = {**form_of(page, "#note"), "content": "x" * 10_000}
    answer = await browser.post(f"/contacts/{name}/notes", data=note, headers=HTMX)
    assert 'id="note"' in answer.text and note["key"] not in answer.text
    assert double.asked[-1] == ("POST", f"contacts/{name}/notes", {"content": note["content"]})
    assert double.headers[-1]["Idempotency-Key"] == note["key"]
    too_long = {**note, "content": "x" * 10_001}
    assert (await browser.post(f"/contacts/{name}/notes", data=too_long)).status_code == 422


async def test_a_group_goes_on_after_its_end(browser: Browser, double: Double) -> None:
    group = double.converse(contact=None, is_group=True, subject="Família")
    path, session = f"/conversations/{group['id']}", str(uuid4())
    assert (await browser.read(f"{path}/head")).select("form") == []  # nothing was said yet
    double.messages = [a_message(conversation_id=group["id"], session_id=session)]
    double.documents[f"sessions/{session}"] = {"id": session, "status": "expired"}
    head = await browser.read(f"{path}/head")
    assert "Ended by silence" in head.get_text()
    newest = {"limit": "1", "direction": "backward"}
    assert ("GET", f"{path[1:]}/messages", newest) in double.asked
    again = form_of(head, "form[action$=reopen]")
    await browser.post(f"{path}/reopen", data=again, headers=HTMX)
    acts = [a[1] for a in double.asked if a[0] == "POST"]
    assert acts[-1] == f"sessions/{session}/reopen"
