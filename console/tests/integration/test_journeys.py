"""The way of a message, for somebody who asks where it is."""

from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from crm_console.journeys import steps
from crm_console.words import Words

from console.tests.conftest import Browser, attribute
from console.tests.double import Double, Json, a_message

REASON = "<b>" + "ç" * 997


def hop(service: str, what: str, at: str | None, **detail: Any) -> Json:
    return {"service": service, "what": what, "at": at, "detail": detail}


def a_journey(message_id: str, **shown: Any) -> Json:
    return {
        "message_id": message_id,
        "direction": "outbound",
        "status": "sent",
        "waiting_for": None,
        "hops": [
            hop("messaging", "queued", "2026-03-14T12:30:00Z", sent_by="Ana", session_id=None),
            hop("channels-waha", "entered", None, behind=2),
            hop("channels-waha", "asked", "2026-03-14T12:32:30Z", attempts=3),
            hop("whatsapp", "sent", "2026-03-14T12:32:30Z"),
            hop("webhooks", "delivery", "2026-03-14T12:32:30.250Z", last_error=REASON),
            hop("messaging", "message.invented", "2026-03-14T12:40:00Z"),
        ],
        "missing": [],
        **shown,
    }


async def test_the_way_of_a_message_is_told_with_times_and_what_lies_between(
    browser: Browser, double: Double
) -> None:
    ours = double.converse()
    said = a_message(conversation_id=ours["id"], content="Chegou? <i>", direction="outbound")
    double.messages = [said]
    waits = {
        "service": "channels-waha",
        "what": "turn",
        "since": "2026-03-14T12:30:00Z",
        "next_at": "2026-03-14T12:35:00Z",
        "reason": REASON,
    }
    path = f"messages/{said['id']}/journey"
    double.documents[path] = a_journey(said["id"], waiting_for=waits)
    thread = await browser.read(f"/conversations/{ours['id']}")
    page = await browser.read(attribute(thread, f"#menu-{said['id']} a[href$=journey]", "href"))
    assert page.select("#main b, #main i") == [] and "Chegou? <i>" in page.get_text()
    told = [" ".join(li.get_text(" ").split()) for li in page.select(".hops > li")]
    assert told[0].startswith("Queued to be sent Conversations · Mar 14, 2026")
    assert "sent_by Ana" in told[0] and "session_id" not in told[0]
    assert "time not written down" in told[1] and "later" not in told[1] and "behind 2" in told[1]
    assert told[2].startswith("WhatsApp was asked to send it Number") and "2.5 min later" in told[2]
    assert told[3].startswith("Sent WhatsApp")  # at once: nothing lies between
    assert (
        told[4].startswith("Owed to your own system")
        and "250 ms later" in told[4]
        and REASON in told[4]
    )
    assert "message.invented" in told[5]
    assert len(page.select(".hops > li.went-wrong")) == 1
    waiting = " ".join((page.select_one(".waits") or page).get_text(" ").split())
    assert "behind an earlier message" in waiting and "next look: Mar 14, 2026" in waiting
    assert REASON in waiting
    assert f"conversation-{ours['id']} from:body" in attribute(page, "#journey", "hx-trigger")

    double.documents[path] = a_journey(said["id"], missing=["messaging", "webhooks"], status=None)
    part = await browser.read(attribute(page, "#journey", "hx-get"))
    assert "missing here: Conversations, Webhooks" in part.get_text()
    assert "where it should be" not in part.get_text() and part.select("html") == []
    double.documents[path] = a_journey(said["id"])
    part = await browser.read(f"/messages/{said['id']}/hops")
    assert "where it should be" in part.get_text()
    assert (await browser.get(f"/messages/{uuid4()}/journey")).status_code == 404


async def test_of_a_contact_its_newest_messages_are_told_page_by_page(
    browser: Browser, double: Double
) -> None:
    contact, said, other = str(uuid4()), a_message(content="Oi"), str(uuid4())
    journeys = [a_journey(said["id"]), a_journey(other)]
    double.documents |= {
        f"contacts/{contact}": {
            "id": contact,
            "name": "Maria <b>",
            "identities": [],
            "email": None,
            "custom_fields": {},
            "tags": [],
            "pipeline_id": None,
            "pipeline_status_id": None,
        },
        f"contacts/{contact}/notes": {"data": [], "has_more": False, "next_cursor": None},
        f"contacts/{contact}/events": {"data": [], "has_more": False, "next_cursor": None},
        f"contacts/{contact}/journey": {"data": journeys, "next_cursor": "a+b", "has_more": True},
        f"contacts/{contact}/messages": {"data": [said], "next_cursor": "a+b", "has_more": True},
    }
    panel = await browser.read(f"/contacts/{contact}/panel")
    page = await browser.read(attribute(panel, ".follow a", "href"))
    assert "Maria <b>" in page.get_text() and page.select("#main b") == []
    assert [len(a.select(".hops > li")) for a in page.select("article")] == [6, 6]
    assert [len(a.select("blockquote")) for a in page.select("article")] == [1, 0]
    assert page.select_one(f"a[href='/messages/{other}/journey']") is not None
    await browser.read(attribute(page, "a.more", "href"))
    newest = {"limit": "20", "cursor": "a+b"}
    assert ("GET", f"contacts/{contact}/journey", newest) in double.asked
    assert ("GET", f"contacts/{contact}/messages", {**newest, "sort": "-sent_at"}) in double.asked
    double.permissions = ("contacts.read",)
    assert (await browser.read(f"/contacts/{contact}/panel")).select(".follow") == []


def test_a_time_before_the_one_in_front_says_nothing() -> None:
    hops = [hop("x", "a", "2026-03-14T12:30:00.9Z"), hop("x", "b", "2026-03-14T12:30:00Z")]
    assert [step.seconds for step in steps(hops)] == [None, None]
    assert steps([]) == []


@pytest.mark.parametrize(
    ("seconds", "english", "portuguese"),
    [
        (0.25, "250 ms", "250 ms"),
        (1, "1 sec", "1 s"),
        (59.94, "59.9 sec", "59,9 s"),
        (150, "2.5 min", "2,5 min"),
        (5400, "1.5 hr", "1,5 h"),
        (86_400, "1 day", "1 dia"),
    ],
)
def test_spans_are_said_in_a_unit_that_fits(seconds: float, english: str, portuguese: str) -> None:
    zone = ZoneInfo("UTC")
    said = [Words(language, zone).span(seconds) for language in ("en", "pt-BR")]
    assert [text.replace("\xa0", " ") for text in said] == [english, portuguese]
