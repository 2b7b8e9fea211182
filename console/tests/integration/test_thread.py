"""What is written in the console reaches the gateway, once."""

from uuid import uuid4

from console.tests.conftest import Browser, attribute
from console.tests.double import Double, a_message

HTMX = {"HX-Request": "true"}


async def test_a_text_is_sent_once_and_answers_what_it_was_a_reply_to(
    browser: Browser, double: Double
) -> None:
    ours = double.converse()
    path = f"/conversations/{ours['id']}"
    double.messages = [a_message(conversation_id=ours["id"], content="Entregam?")]
    reply = attribute(await browser.read(path), "a.reply", "hx-get")
    composer = await browser.read(reply)
    assert "Entregam?" in composer.get_text()
    form = {str(i["name"]): str(i["value"]) for i in composer.select("input[type=hidden]")}
    form["content"] = "Sim! ç" + "x" * 4090

    answer = await browser.post(f"{path}/messages", data=form, headers=HTMX)
    assert (
        answer.status_code == 200 and "textarea" in answer.text and form["key"] not in answer.text
    )
    method, asked, body = double.asked[-1]
    assert (method, asked) == ("POST", "messages/send")
    assert body == {
        "contact_id": ours["contact"]["id"],
        "channel_id": ours["channel_id"],
        "content": form["content"],
        "reply_to_id": double.messages[0]["id"],
    }
    assert double.headers[-1]["Idempotency-Key"] == form["key"]
    again = await browser.post(f"{path}/messages", data=form)
    assert (again.status_code, again.headers["location"]) == (303, path)
    assert double.headers[-1]["Idempotency-Key"] == form["key"]

    asked_before = len(double.asked)
    for wrong in ({"content": "x" * 4097}, {"content": ""}, {"key": "no uuid"}):
        refused = await browser.post(f"{path}/messages", data={**form, **wrong}, headers=HTMX)
        assert refused.status_code == 422
    assert all(a[1] != "messages/send" for a in double.asked[asked_before:])


async def test_what_the_gateway_refuses_is_said_beside_the_page(
    browser: Browser, double: Double
) -> None:
    ours = double.converse()
    path = f"/conversations/{ours['id']}"
    double.refusal = (409, "conflict")
    form = {"key": str(uuid4()), "content": "oi"}
    answer = await browser.post(f"{path}/messages", data=form, headers=HTMX)
    assert (answer.status_code, answer.headers["hx-retarget"]) == (409, "#problem")
    answer = await browser.post(f"{path}/messages", data=form)
    assert answer.status_code == 409 and "<html" in answer.text
    double.refusal = None
    theirs = await browser.get(f"/conversations/{uuid4()}")
    assert theirs.status_code == 404


async def test_a_group_is_answered_as_a_group(browser: Browser, double: Double) -> None:
    group = double.converse(contact=None, is_group=True, subject="Família <3")
    path = f"/conversations/{group['id']}"
    page = await browser.read(path)
    assert "Família <3" in page.get_text()
    assert f"session-{group['id']} from:body" in attribute(page, "#head", "hx-trigger")
    assert page.select("#panel") == []  # only people have that
    assert page.select("[name=send_at]")
    form = {"content": "Oi, gente", "key": attribute(page, "[name=key]", "value")}
    assert (await browser.post(f"{path}/messages", data=form, headers=HTMX)).status_code == 200
    (sent,) = (asked[2] for asked in double.asked if asked[1] == "messages/send")
    whom = {"conversation_id": group["id"], "channel_id": group["channel_id"]}
    assert sent == {**whom, "content": "Oi, gente"}


async def test_who_may_not_write(browser: Browser, double: Double) -> None:
    ours = double.converse()
    double.permissions = ("messages.read", "sessions.read")
    page = await browser.read(f"/conversations/{ours['id']}")
    assert page.select("textarea") == [] and "You may not" in page.get_text()
    double.permissions = ()
    assert (await browser.read("/")).select("header nav a") == []


async def test_what_was_shown_is_marked_as_read(browser: Browser, double: Double) -> None:
    ours = double.converse()
    path = f"/conversations/{ours['id']}/read"
    answer = await browser.post(path, data={"up_to_seq": "12"}, headers=HTMX)
    assert answer.status_code == 204
    assert double.asked[-1] == ("POST", path[1:], {"up_to_seq": 12})


async def test_a_file_is_fetched_from_where_files_are(browser: Browser) -> None:
    name = uuid4()
    answer = await browser.get(f"/media/{name}")
    assert answer.headers["location"] == f"https://files.example.com/{name}"


async def test_a_small_picture_is_shown_where_there_is_one(
    browser: Browser, double: Double
) -> None:
    ours, name = double.converse(), str(uuid4())
    said = a_message(conversation_id=ours["id"], content_type="image", media_id=name)
    double.messages = [said]
    page = await browser.read(f"/conversations/{ours['id']}")
    source = attribute(page, "article img", "src")
    whole = f"https://files.example.com/{name}"
    assert (await browser.get(source)).headers["location"] == whole
    small = "https://files.example.com/small"
    double.files[name] = {"thumbnail_url": small}
    assert (await browser.get(source)).headers["location"] == small
    link = attribute(page, "article a:has(img)", "href")
    assert (await browser.get(link)).headers["location"] == whole


async def test_older_messages_stay_shown_while_new_ones_come(
    browser: Browser, double: Double
) -> None:
    ours = double.converse()
    double.messages = [a_message(conversation_id=ours["id"], content=f"m{n}") for n in range(60)]
    page = await browser.read(f"/conversations/{ours['id']}")
    assert len(page.select("article")) == 50
    part = await browser.read(attribute(page, "button.more", "hx-get"))
    assert len(part.select("article")) == 60 and part.select("button.more") == []
    assert attribute(part, "#thread", "hx-get").endswith("older=2")
