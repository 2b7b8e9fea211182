"""Who is on a list is told to bulk sends that ask, page by page."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_contacts.contact_lists import members, telling
from crm_testing.scenes.contacts import Shop
from crm_testing.services import eventually
from shared_events.contacts.contact import CreateContact, DeleteContact
from shared_events.contacts.contact_list import CreateContactList, PutOnList
from shared_events.messaging.bulk_send import BulkRecipientsWanted

from services.contacts.tests.integration.test_contact_lists import LONGEST


async def page(company: Shop, list_id: UUID, cursor: str | None = None) -> dict[str, Any]:
    """Ask for a page, as messaging does, and be told it."""
    wanted = BulkRecipientsWanted(bulk_send_id=uuid4(), list_id=list_id, cursor=cursor)
    await company.publish(wanted)

    async def told() -> Any:
        found = await company.told("list.page_read")
        return [one for one in found if one["bulk_send_id"] == str(wanted.bulk_send_id)]

    (one,) = await eventually(told)
    assert one["cursor"] == cursor
    found: dict[str, Any] = one
    return found


async def walk(company: Shop, list_id: UUID) -> list[list[str]]:
    """All pages."""
    pages, cursor = [], None
    while True:
        one = await page(company, list_id, cursor)
        assert one["failure"] is None
        pages.append(one["contact_ids"])
        cursor = one["next_cursor"]
        if cursor is None:
            return pages


@pytest.fixture
def pages_of_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PAGE_CONTACTS", 2)


@pytest.mark.usefixtures("pages_of_two")
async def test_lists_of_both_kinds_are_told_in_pages(company: Shop, other_company: Shop) -> None:
    people = [
        (await company.value(CreateContact(name=f"{n}", tags=["vip"])))["id"] for n in range(5)
    ]
    static = await company.value(CreateContactList(name="static"))
    put = PutOnList(list_id=UUID(static["id"]), contact_ids=[UUID(one) for one in people])
    await company.value(put)
    await company.value(DeleteContact(contact_id=UUID(people[0])))
    rule = {"field": "tags", "operator": "contains", "value": "vip"}
    dynamic = CreateContactList.model_validate(
        {"name": "vip", "kind": "dynamic", "filter": {"groups": [{"rules": [rule]}]}}
    )
    await other_company.value(CreateContact(name="theirs", tags=["vip"]))
    for made in (static, await company.value(dynamic)):
        pages = await walk(company, UUID(made["id"]))
        assert [len(one) for one in pages] == [2, 2]
        assert sorted(one for of_page in pages for one in of_page) == sorted(people[1:])
        theirs = await page(other_company, UUID(made["id"]))
        assert theirs["failure"]["code"] == "contact_list_not_found"


async def test_why_there_is_no_page_is_told(company: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = await page(company, uuid4())
    assert gone["failure"]["code"] == "contact_list_not_found"
    assert (gone["contact_ids"], gone["next_cursor"]) == ([], None)
    made = await company.value(CreateContactList(name="static"))
    forged = await page(company, UUID(made["id"]), "forged")
    assert forged["failure"]["code"] == "invalid_cursor"
    longest = CreateContactList.model_validate(LONGEST)
    slow_id = UUID((await company.value(longest))["id"])
    monkeypatch.setattr(members, "EVALUATION_MS", 1)
    async with company.database.tenant("somebody") as tx:
        await tx.execute("LOCK TABLE contacts")  # so that it takes as long as this holds
        slow = await page(company, slow_id)
    assert slow["failure"]["code"] == "filter_too_slow"
