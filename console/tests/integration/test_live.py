"""What happens reaches open pages, through breaks and the ends of tokens."""

import asyncio

from crm_console.middleware import COOKIE
from crm_testing.services import eventually
from crm_testing.streams import Reader
from fastapi import FastAPI

from console.tests.conftest import Browser
from console.tests.double import Double


def reader(console: FastAPI, browser: Browser, **headers: str) -> Reader:
    cookie = f"{COOKIE}={browser.cookies.get(COOKIE, '')}"
    return Reader(console, "/live", {"Cookie": cookie, **headers}, below="")


async def followed(double: Double, times: int) -> None:
    async def seen() -> bool:
        return len(double.stream_headers) == times and bool(double.streams)

    await eventually(seen)


async def told(page: Reader, name: str) -> None:
    while (await page.frame()).get("event") != name:
        pass


async def test_an_event_names_what_it_changed(
    console: FastAPI, browser: Browser, double: Double
) -> None:
    async with reader(console, browser) as page:
        assert page.headers["content-type"].startswith("text/event-stream")
        assert await page.frame() == {"event": "fresh", "data": "-"}
        await followed(double, 1)
        # Line separators of other kinds than the stream's own are part of what was said.
        message = {"conversation_id": "c1", "contact_id": "p1", "content": "a\u2028b\x85c\x0bd"}
        double.tell("message.received", "7", message=message, contact={"id": "p1"})
        for name in ("conversation-c1", "inbox"):
            await told(page, name)
        await page.until(lambda: b"id: 7\n" in page.body)
        assert "a\u2028b".encode() not in page.body

        double.tell("session.assigned", "8", session={"contact_id": "p2"}, contact={"id": "p2"})
        of_group = {"contact_id": "p9", "conversation_id": "c9"}
        double.tell("session.assigned", "8a", session=of_group, contact={"id": "p9"})
        double.tell("conversation.read", "9", conversation_id="c3", contact_id=None)
        double.tell("contact.updated", "10", contact={"id": "p5"})
        double.tell("note.added", "11", note={"contact_id": "p4"})
        await page.until(lambda: b"id: 11\n" in page.body)
        names = page.body.rpartition(b"id: 7\n")[2]
        for changed in (
            b"session-p2",
            b"session-c9",
            b"conversation-c3",
            b"contact-p4",
            b"contact-p5",
            b"inbox",
        ):
            assert b"event: %b\n" % changed in names
        assert names.count(b"event: inbox\n") == 1  # of two at once
    await eventually(lambda: asyncio.sleep(0, not double.streams))


async def test_a_gateway_that_goes_is_followed_again_behind_the_last_event(
    console: FastAPI, browser: Browser, double: Double
) -> None:
    async with reader(console, browser, **{"Last-Event-ID": "41"}) as page:
        await followed(double, 1)
        assert double.stream_headers[0]["Last-Event-ID"] == "41"
        double.tell("message.read", "42", message={"contact_id": "p1"}, contact={"id": "p1"})
        await told(page, "inbox")
        double.end("moving")
        await followed(double, 2)
        assert double.stream_headers[1]["Last-Event-ID"] == "42"
        await double.stop()
        await double.start()
        await followed(double, 3)
        assert b"event: fresh" not in page.body  # nothing was missed


async def test_a_page_looks_anew_only_when_nothing_can_be_missed_any_more(
    console: FastAPI, browser: Browser, double: Double
) -> None:
    await double.stop()
    async with reader(console, browser) as page:
        first = asyncio.create_task(page.frame())
        await double.start()
        assert await first == {"event": "fresh", "data": "-"}
        assert len(double.stream_headers) == 1


async def test_the_stream_ends_with_the_token_and_says_that_anything_may_have_changed(
    console: FastAPI, browser: Browser, double: Double
) -> None:
    async with reader(console, browser, **{"Last-Event-ID": "41"}) as page:
        await followed(double, 1)
        double.tokens.clear()
        double.end("token_expired")
        await told(page, "fresh")
        await page.ended()
    browser.cookies.clear()
    async with reader(console, browser) as page:  # nobody: the page asks, and is led to the login
        assert (page.status, await page.frame()) == (200, {"event": "fresh", "data": "-"})
        await page.ended()
