"""Files, times and what becomes of a message that was said."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from crm_console.composer import EMOJI, kind_of

from console.tests.conftest import Browser, attribute
from console.tests.double import Double, Json, a_message, rows

HTMX = {"HX-Request": "true"}


def acts(double: Double, *methods: str) -> list[tuple[str, str, Any]]:
    return [a for a in double.asked if a[0] in methods and not a[1].startswith("auth/")]


async def filled(browser: Browser, path: str, **said: Any) -> Json:
    form = (await browser.read(f"{path}/composer")).select("#composer > input")
    return {**{str(i["name"]): str(i["value"]) for i in form}, **said}


async def test_a_file_goes_through_and_is_sent_by_its_id(browser: Browser, double: Double) -> None:
    ours = double.converse()
    path = f"/conversations/{ours['id']}"
    page = await browser.read(path)
    chooser = page.select_one("#composer input[type=file]")
    # Of a form without other fields: the gateway takes nothing beside the file.
    assert chooser is not None and chooser["form"] == "attach" and page.select("#attach *") == []
    names = ("ç" * 240 + ".png", "<b>.pdf")
    chips = []
    for name in names:
        file = {"file": (name, b"\x89PNG" + bytes(3_000_000), "image/png")}
        part = await browser.post(str(chooser["hx-post"]), files=file, headers=HTMX)
        assert part.status_code == 200 and "<b>" not in part.text
        chips.append(part.text.partition('value="')[2].partition('"')[0])
    taken = [a[2] for a in double.asked if a[1] == "media"]
    assert [t["filename"] for t in taken] == list(names) and len(taken[0]["bytes"]) == 3_000_004
    double.files[chips[0]]["mime_type"] = "image/png"

    form = await filled(browser, path, content="x" * 4096, media_id=chips)
    for _ in range(2):  # what is sent again is the same
        answer = await browser.post(f"{path}/messages", data=form, headers=HTMX)
        assert answer.status_code == 200, answer.text
    sent = [a[2] for a in acts(double, "POST") if a[1] == "messages/send"]
    to = {"contact_id": ours["contact"]["id"], "channel_id": ours["channel_id"]}
    assert sent[:2] == [
        {**to, "content_type": "image", "media_id": chips[0], "content": "x" * 4096},
        {**to, "content_type": "document", "media_id": chips[1]},
    ]
    keys = [h["Idempotency-Key"] for h in double.headers if "Idempotency-Key" in h]
    assert sent[2:] == sent[:2] and keys[2:] == keys[:2] and keys[0] != keys[1]

    asked = len(double.asked)
    for wrong in ({"media_id": [str(uuid4())] * 11}, {"content": " ", "media_id": []}):
        refused = await browser.post(f"{path}/messages", data={**form, **wrong}, headers=HTMX)
        assert refused.status_code == 422
    assert not any(a[1] == "messages/send" for a in double.asked[asked:])
    double.refusal = (413, "body_too_large")
    refused = await browser.post(f"{path}/files", files={"file": ("a", b"x")}, headers=HTMX)
    assert refused.status_code == 413 and "too large" in refused.text
    browser.cookies.clear()
    double.refusal, asked = None, len(double.asked)
    refused = await browser.post(f"{path}/files", files={"file": ("a", b"x")}, headers=HTMX)
    assert refused.headers["hx-redirect"] == "/login" and len(double.asked) == asked


async def test_who_is_written_to_sees_it(browser: Browser, double: Double) -> None:
    ours = double.converse()
    path = f"/conversations/{ours['id']}"
    page = await browser.read(path)
    text = page.select_one("#composer textarea")
    assert text is not None
    answer = await browser.post(str(text["data-typing"]))
    assert (answer.status_code, answer.content) == (204, b"")
    assert double.asked[-1] == ("POST", f"{path}/typing"[1:], {"state": "typing"})


async def test_a_message_waits_for_a_time_of_the_readers(browser: Browser, double: Double) -> None:
    ours = double.converse()
    path = f"/conversations/{ours['id']}"
    browser.cookies.set("zone", "America/Sao_Paulo")
    page = await browser.read(path)
    assert attribute(page, "#scheduled", "hx-trigger") == "load"
    form = await filled(browser, path, content="Bom dia!", send_at="2026-12-01T09:30")
    answer = await browser.post(f"{path}/messages", data=form, headers=HTMX)
    assert answer.headers["hx-trigger"] == "scheduled"
    assert double.asked[-1][2]["send_at"] == "2026-12-01T12:30:00+00:00"
    form = await filled(browser, path, content="Agora", send_at="")
    await browser.post(f"{path}/messages", data=form, headers=HTMX)
    assert "send_at" not in double.asked[-1][2]
    refused = await browser.post(f"{path}/messages", data={**form, "send_at": "soon"})
    assert refused.status_code == 422

    at = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    waits = a_message(content="Bom dia <b>", send_at=at, status="scheduled", seq=0)
    double.documents["messages/scheduled"] = rows(waits)
    part = await browser.read(attribute(page, "#scheduled", "hx-get"))
    assert "1 scheduled" in part.get_text() and "Bom dia <b>" in part.get_text()
    assert "scheduled from:body" in attribute(part, "#scheduled", "hx-trigger")
    query = next(a[2] for a in double.asked if a[1] == "messages/scheduled")
    assert query == {"limit": "50", "conversation_id": ours["id"]}
    double.documents["messages/scheduled"] = rows()
    cancel = attribute(part, "form", "hx-post")
    part_after = await browser.post(cancel, headers=HTMX)
    assert 'id="scheduled"' in part_after.text and "Bom dia" not in part_after.text
    assert acts(double, "DELETE")[-1][1] == f"messages/scheduled/{waits['id']}"
    double.refusal = (409, "not_scheduled")
    refused = await browser.post(cancel, headers=HTMX)
    assert refused.status_code == 409 and "does not wait" in refused.text


async def test_a_message_of_ours_is_edited_deleted_and_sent_once_more(
    browser: Browser, double: Double
) -> None:
    ours = double.converse()
    path, talk = f"/conversations/{ours['id']}", {"conversation_id": ours["id"]}
    said = a_message(**talk, direction="outbound", status="sent", content="Sim <b>", version=3)
    failed = a_message(**talk, direction="outbound", status="failed")
    gone = a_message(**talk, direction="outbound", status="sent", revoked_at="2026-03-14T12:30:06Z")
    double.messages = [said, failed, gone, a_message(**talk)]
    page = await browser.read(path)
    may = {
        m["id"]: [
            str(a.get("hx-post") or a.get("hx-get")).rpartition("/")[2].partition("?")[0]
            for a in page.select(f"#menu-{m['id']} :is([hx-post], [hx-get])")
        ]
        for m in double.messages
    }
    assert list(may.values()) == [
        ["reaction", "composer", "delete"],
        ["reaction", "retry", "delete"],
        [],
        ["reaction"],
    ]
    composer = await browser.read(f"{path}/composer?edit={said['id']}")
    text = composer.select_one("textarea")
    assert text is not None and text.get_text() == "Sim <b>"
    form = {"content": "x" * 4096, "edited_at": attribute(composer, "[name=edited_at]", "value")}
    said["version"] = 4  # the customer read it in between, which hinders nobody
    act = attribute(composer, "#composer", "hx-post")
    told = {"hx-trigger": f"conversation-{ours['id']}"}
    answer = await browser.post(act, data=form, headers=HTMX)
    assert answer.status_code == 200 and told.items() <= dict(answer.headers).items()
    assert "x" * 4096 not in answer.text and 'name="key"' in answer.text
    changed = ("PATCH", f"messages/{said['id']}", {"content": "x" * 4096})
    assert changed in double.asked
    assert [h["If-Match"] for h in double.headers if "If-Match" in h] == ['"4"']
    said["edited_at"] = "2026-03-14T12:40:00Z"
    stale = await browser.post(act, data=form, headers=HTMX)
    assert stale.status_code == 412 and "Somebody changed it" in stale.text
    assert double.asked.count(changed) == 1
    for wrong in ({"content": ""}, {"content": "x" * 4097}, {"edited_at": "x" * 41}):
        assert (await browser.post(act, data={**form, **wrong})).status_code == 422

    delete = attribute(page, f"#menu-{said['id']} form[action$=delete]", "hx-post")
    answer = await browser.post(delete, headers=HTMX)
    assert answer.status_code == 204 and told.items() <= dict(answer.headers).items()
    assert double.asked[-1][:2] == ("DELETE", f"messages/{said['id']}")
    answer = await browser.post(attribute(page, "form[action$=retry]", "action"))
    assert answer.headers["location"] == path
    assert double.asked[-1][:2] == ("POST", f"messages/{failed['id']}/retry")

    react = attribute(page, f"#menu-{said['id']} form[action$=reaction]", "hx-post")
    await browser.post(react, data={"emoji": "👍"}, headers=HTMX)
    assert double.asked[-1] == ("PUT", f"messages/{said['id']}/reaction", {"emoji": "👍"})
    await browser.post(react, data={"emoji": ""}, headers=HTMX)
    assert double.asked[-1][:2] == ("DELETE", f"messages/{said['id']}/reaction")
    assert (await browser.post(react, data={"emoji": "x" * 51})).status_code == 422
    assert "Take our reaction back" not in page.get_text()
    said["reactions"] = [{"emoji": "👍", "by": "agent"}]
    thread = await browser.read(f"{path}/thread")
    assert "Take our reaction back" in thread.get_text()
    double.permissions = ("messages.read", "sessions.read")
    assert (await browser.read(f"{path}/thread")).select(".menu form") == []


@pytest.mark.parametrize(
    ("mime_type", "kind"),
    [
        ("image/png", "image"),
        ("image/svg+xml", "document"),
        ("image/gif", "document"),
        ("video/mp4", "video"),
        ("video/x-matroska", "document"),
        ("audio/ogg", "audio"),
        ("application/pdf", "document"),
        ("", "document"),
    ],
)
def test_a_file_is_sent_as_what_whatsapp_shows(mime_type: str, kind: str) -> None:
    assert kind_of(mime_type) == kind


def test_the_emoji_are_told_apart() -> None:
    assert len(set(EMOJI)) == len(EMOJI) and "\ufe0f" not in EMOJI
