"""Numbers and webhooks, for who may see them."""

import base64
from uuid import uuid4

from console.tests.conftest import Browser, attribute
from console.tests.double import NOW, Double, rows

HTMX = {"HX-Request": "true"}
PNG = b"\x89PNG\r\n\x1a\n"


async def test_numbers_are_paired_started_and_stopped(browser: Browser, double: Double) -> None:
    name = str(uuid4())
    channel = {
        "id": name,
        "name": "Vendas <3",
        "status": "pairing",
        "status_reason": None,
        "phone": None,
    }
    double.documents["channels"] = rows(channel)
    double.documents[f"channels/{name}/qr"] = {
        "mimetype": "image/png",
        "data": base64.b64encode(PNG).decode(),
    }
    assert "Numbers" not in (await browser.read("/")).get_text()
    double.permissions = ("channels.read",)
    page = await browser.read("/channels")
    assert attribute(page, "#channels h2 a", "href") == f"/channels/{name}"
    assert "Numbers" in page.get_text() and "Vendas <3" in page.get_text()
    assert "Waiting to be paired" in page.get_text() and page.select("#channels form, .qr") == []

    double.permissions = ("*",)
    page = await browser.read("/channels")
    assert "every 15s" in attribute(page, "#channels", "hx-trigger")  # the code is replaced
    code = await browser.get(attribute(page, ".qr", "src"))
    assert (code.headers["content-type"], code.content) == ("image/png", PNG)
    double.documents[f"channels/{name}/qr"]["mimetype"] = "text/html"
    assert (await browser.get(f"/channels/{name}/qr")).status_code == 404
    actions = [str(form["action"]) for form in page.select("#channels form")]
    assert actions == [f"/channels/{name}/{a}" for a in ("start", "stop", "restart", "logout")]
    channel["status"], channel["phone"] = "connected", "+5511988880001"
    part = await browser.post(actions[0], headers=HTMX)
    assert "Connected" in part.text and "every 15s" not in part.text
    assert ("POST", f"channels/{name}/start", {}) in double.asked
    assert (await browser.post(actions[1])).headers["location"] == "/channels"
    assert (await browser.post(f"/channels/{name}/delete")).status_code == 422


async def test_a_number_tells_whether_it_hears(browser: Browser, double: Double) -> None:
    name = str(uuid4())
    health = {
        "status": "connected",
        "status_reason": None,
        "last_message_at": NOW,
        "last_heard_at": None,
        "deaf_since": None,
        "missing_since": None,
        "last_probe": {"at": NOW, "outcome": "heard"},
        "repairs": 0,
        "last_repair_at": None,
    }
    double.documents[f"channels/{name}"] = {"id": name, "name": "Vendas <3", "phone": None}
    double.documents[f"channels/{name}/health"] = health
    double.permissions = ("channels.read",)
    page = await browser.read(f"/channels/{name}")
    assert "Vendas <3" in page.get_text() and "It hears what is said." in page.get_text()
    assert [th.get_text() for th in page.select("th")] == [
        *("Newest message", "Looked at last", "Restarts in a row")
    ]
    assert "nothing is missing" in page.get_text()
    health |= {"missing_since": NOW}
    assert "being read" in (await browser.read(f"/channels/{name}")).get_text()
    health |= {"status": "degraded", "status_reason": "deaf", "deaf_since": NOW, "repairs": 2}
    health |= {"last_repair_at": NOW, "last_heard_at": NOW, "last_probe": None}
    page = await browser.read(f"/channels/{name}")
    assert "hears nothing" in page.get_text() and "Unstable" in page.get_text()
    assert [th.get_text() for th in page.select("th")] == [
        *("Newest message", "Heard last", "Deaf since", "May miss messages since"),
        *("Restarted last", "Restarts in a row"),
    ]


async def test_a_webhook_is_followed_to_its_attempts_and_delivered_again(
    browser: Browser, double: Double
) -> None:
    endpoint, delivery = str(uuid4()), str(uuid4())
    ours = {
        "id": endpoint,
        "url": "https://example.com/<b>",
        "description": "ERP",
        "event_types": ["message.*"],
        "enabled": False,
        "disabled_reason": "unverified",
        "challenge_error": "http_4xx",
    }
    owed = {
        "id": delivery,
        "endpoint_id": endpoint,
        "event_type": "message.received",
        "status": "retrying",
        "attempts": 2,
        "next_attempt_at": NOW,
        "last_status_code": 503,
        "last_error": None,
        "created_at": NOW,
    }
    attempt = {
        "number": 1,
        "started_at": NOW,
        "duration_ms": 1234,
        "status_code": None,
        "error": "timeout",
        "response_excerpt": "<script>alert(1)</script>",
    }
    double.documents |= {
        "webhook-endpoints": rows(ours),
        f"webhook-endpoints/{endpoint}": ours,
        f"webhook-endpoints/{endpoint}/deliveries": rows(owed),
        f"webhook-deliveries/{delivery}": {**owed, "attempt_log": [attempt]},
    }
    double.permissions = ("webhooks.read",)
    page = await browser.read("/webhooks")
    assert "https://example.com/<b>" in page.get_text() and "Disabled" in page.get_text()
    assert "unverified http_4xx" in page.get_text()
    page = await browser.read(f"/webhooks/{endpoint}?status=retrying")
    assert "Retrying 503" in page.get_text(" ", strip=True)
    query = next(a[2] for a in double.asked if a[1].endswith("/deliveries"))
    assert query == {"limit": "50", "status": "retrying"}
    page = await browser.read(attribute(page, "td a", "href"))
    assert "1234 ms" in page.get_text() and "timeout" in page.get_text()
    assert page.select("script:not([src]), form[action$=redeliver]") == []
    double.permissions = ("webhooks.*",)
    page = await browser.read(f"/webhooks/deliveries/{delivery}")
    answer = await browser.post(attribute(page, "form[action$=redeliver]", "action"))
    assert answer.headers["location"] == f"/webhooks/deliveries/{delivery}"
    assert double.asked[-1][:2] == ("POST", f"webhook-deliveries/{delivery}/redeliver")
