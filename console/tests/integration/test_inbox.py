"""The inbox as a browser gets it, from a double of the gateway."""

from uuid import uuid4

from console.tests.conftest import Browser, attribute
from console.tests.double import Double, a_message

SCRIPT = "<script>alert(1)</script>"


async def test_lists_conversations_by_view_and_search_page_by_page(
    browser: Browser, double: Double
) -> None:
    for number in range(60):
        double.converse(
            unread_count=number % 2,
            last_message={**a_message(content=None), "preview": f"{SCRIPT} {number}"},
        )
    page = await browser.read("/?view=me&unread=true&search=Mar%C3%ADa")
    _, _, query = next(a for a in double.asked if a[1] == "conversations")
    assert query == {"limit": "50", "assigned": "me", "unread": "true", "search": "María"}
    rows = page.select("#list li")
    assert len(rows) == 50 and f"{SCRIPT} 0" in rows[0].get_text()
    assert page.select("script:not([src])") == []
    assert [a.get_text() for a in page.select("nav.filters [aria-current]")] == ["Mine", "Unread"]
    assert rows[0].select(".count") == [] and rows[1].select_one(".count") is not None

    part = await browser.read(attribute(page, "a.more", "hx-get"))
    assert len(part.select("#list li")) == 60 and part.select("a.more") == []
    assert "pages=2" in attribute(part, "#list", "hx-get")


async def test_shows_what_was_said(browser: Browser, double: Double) -> None:
    ours = double.converse(unread_count=2, seq=9)
    talk = {"conversation_id": ours["id"]}
    first = a_message(
        **talk, content=f"{SCRIPT}\nhttps://example.com/a", sent_at="2026-03-13T23:30:00Z"
    )
    double.messages = [  # newest first, as the gateway answers
        a_message(
            **talk,
            content_type="contact",
            content=None,
            metadata={"contacts": [{"name": "João", "phone": "5511"}, 7]},
        ),
        a_message(
            **talk,
            content_type="location",
            content=None,
            metadata={"location": {"latitude": -23.5, "longitude": -46.6, "name": None}},
        ),
        a_message(**talk, content_type="location", content=None, metadata={"location": "<b>"}),
        a_message(
            **talk,
            content_type="poll",
            content="Quando?",
            metadata={"poll": {"options": ["Hoje", "Amanhã"]}},
        ),
        a_message(
            **talk,
            content_type="document",
            content=None,
            media_id=str(uuid4()),
            metadata={"media": {"filename": "nota.pdf", "state": "stored"}},
        ),
        a_message(**talk, content_type="voice", content=None, media_id=str(uuid4())),
        a_message(
            **talk,
            content_type="image",
            content="foto",
            media_id=str(uuid4()),
            metadata={"media": {"state": "pending"}},
        ),
        a_message(**talk, content="apagado", revoked_at="2026-03-14T12:40:00Z"),
        a_message(**talk, direction="outbound", status="failed", failure_reason="no such number"),
        a_message(
            **talk,
            direction="outbound",
            status="read",
            edited_at="2026-03-14T12:40:00Z",
            reply_to_id=first["id"],
            reactions=[{"emoji": "👍", "by": "customer"}],
        ),
        first,
    ]
    browser.cookies.set("zone", "America/Sao_Paulo")
    page = await browser.read(f"/conversations/{ours['id']}")
    days = [d["id"] for d in page.select("h2.day")]
    assert days == ["day-2026-03-13", "day-2026-03-14"]
    texts = [m.get_text(" ", strip=True) for m in page.select("article")]
    assert SCRIPT in texts[0] and page.select("script:not([src])") == []
    link = page.select_one("article .text a")
    assert (
        link is not None and link["href"] == "https://example.com/a" and "noopener" in link["rel"]
    )
    assert (
        SCRIPT in texts[1] and "edited" in texts[1] and "✓✓ read" in texts[1] and "👍" in texts[1]
    )
    assert "no such number" in texts[2] and "failed" in texts[2]
    assert "deleted" in texts[3] and "apagado" not in texts[3]
    assert "not here yet" in texts[4] and page.select("article img") == []
    assert page.select_one("article audio") is not None
    assert "nota.pdf" in texts[6]
    assert "Hoje" in texts[7] and "Amanhã" in texts[7]
    assert "openstreetmap" in str(page.select("article")[9]) and "openstreetmap" not in str(
        page.select("article")[8]
    )
    assert "João" in texts[10] and "5511" in texts[10]
    assert attribute(page, "#read-9 input", "value") == "9"
    assert page.select_one("#list [aria-current=page]") is not None


async def test_a_page_does_not_begin_before_all_that_makes_it_live(browser: Browser) -> None:
    """htmx begins at once when it is deferred, with the extensions that have come by then."""
    page = await browser.read("/")
    names = [str(s["src"]).partition("-")[0] for s in page.select("head script:not([defer])")]
    assert names == ["/static/htmx", "/static/hx"]
