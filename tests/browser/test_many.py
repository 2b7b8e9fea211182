"""A large inbox: what is measured is printed, and decides nothing."""

from collections.abc import Callable

import asyncpg
import pytest
from playwright.async_api import expect

from browser.people import Company

MANY = 10_000
FEW = 50
"""Rows of a page of the list."""
TURNS = 20
"""Pages of the list that the console shows at most."""

_GROUPS = """
    INSERT INTO messaging.conversations
        (id, tenant_id, channel_id, is_group, chat_id, subject, unread_count, last_message_at)
    SELECT gen_random_uuid(), $1, $2, true, n || '@g.us', 'Grupo ' || n, n % 3,
           now() - interval '1 day' - n * interval '1 second'
    FROM generate_series(1, $3) AS n
"""

_LONGEST_FRAME = """async () => {
    const list = document.getElementById("list");
    let longest = 0, before = performance.now();
    while (list.scrollTop + list.clientHeight < list.scrollHeight - 1) {
        list.scrollTop += 800;
        const now = await new Promise(requestAnimationFrame);
        longest = Math.max(longest, now - before);
        before = now;
    }
    return longest;
}"""

_FIRST_VIEW = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const [paint] = performance.getEntriesByName("first-contentful-paint");
    return [page.responseEnd, paint ? paint.startTime : 0, page.loadEventEnd];
}"""


@pytest.mark.timeout(600)
async def test_ten_thousand_conversations_are_scrolled_and_searched(
    company: Company, say: Callable[[str], None]
) -> None:
    database = await asyncpg.connect(company.platform.state["database_url"])
    try:
        await database.execute(_GROUPS, company.tenant.id, company.channel["id"], MANY)
    finally:
        await database.close()
    desk = await company.desk()
    rows = desk.locator(".rows li")
    await desk.goto(company.console)
    await expect(rows).to_have_count(FEW)
    html, paint, loaded = await desk.evaluate(_FIRST_VIEW)
    say(f"inbox of {MANY}: HTML {html:.0f} ms, first paint {paint:.0f} ms, loaded {loaded:.0f} ms")

    for turn in range(2, TURNS + 1):
        await desk.locator("#list .more").click()
        await expect(rows).to_have_count(FEW * turn)
    await expect(desk.locator("#list .more")).to_have_count(0)
    longest = await desk.evaluate(_LONGEST_FRAME)
    say(f"{FEW * TURNS} rows scrolled to their end; longest frame {longest:.0f} ms")
    await expect(rows.last).to_be_in_viewport()

    # The list follows what happens, however long it is, and its end stays where it is.
    await company.written_by("5511988880001", "Maria", "Bom dia!")
    await expect(rows.first).to_contain_text("Bom dia!")
    await expect(rows).to_have_count(FEW * TURNS)

    await desk.get_by_role("searchbox").fill("mari")
    await desk.get_by_role("searchbox").press("Enter")
    await expect(rows).to_have_count(1)
    await expect(rows.first).to_contain_text("Maria")
