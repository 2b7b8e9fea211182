"""Tags: one by one, by several agents at once, and counted."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from crm_testing.scenes.contacts import Shop
from shared_events.contacts.contact import CreateContact, DeleteContact, GetContact
from shared_events.contacts.tag import AddTags, ListTags, RemoveTag


async def tags(company: Shop, contact_id: UUID) -> list[str]:
    found: list[str] = (await company.value(GetContact(contact_id=contact_id)))["tags"]
    return found


class TestTagsOfAContact:
    async def test_are_put_on_and_taken_off_without_case(self, company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria", tags=["VIP"]))
        one = UUID(created["id"])
        tagged = await company.value(AddTags(contact_id=one, tags=["vip", "Lead", "LEAD"]))
        assert (tagged["tags"], tagged["version"]) == (["VIP", "Lead"], 2)
        again = await company.value(AddTags(contact_id=one, tags=["lead"]), expected_version=2)
        assert again == tagged
        await company.value(RemoveTag(contact_id=one, tag="vip"))
        await company.value(RemoveTag(contact_id=one, tag="unknown"))
        assert await tags(company, one) == ["Lead"]
        told = await company.told("contact.updated")
        assert [(t["contact"]["tags"], t["changed"]) for t in told] == [
            (["VIP", "Lead"], ["tags"]),
            (["Lead"], ["tags"]),
        ]
        for stale in (AddTags(contact_id=one, tags=["x"]), RemoveTag(contact_id=one, tag="Lead")):
            refusal = await company.refusal(stale, expected_version=1)
            assert refusal == ("precondition_failed", "stale_version")

    async def test_of_many_agents_at_once_are_not_lost(self, company: Shop) -> None:
        before = [f"old{n}" for n in range(8)]
        created = await company.value(CreateContact(name="Maria", tags=before))
        one = UUID(created["id"])
        asks: list[Any] = [AddTags(contact_id=one, tags=[f"new{n}"]) for n in range(8)]
        asks += [RemoveTag(contact_id=one, tag=tag) for tag in before]
        await asyncio.gather(*map(company.value, asks))
        assert sorted(await tags(company, one)) == [f"new{n}" for n in range(8)]

    async def test_are_at_most_fifty(self, company: Shop) -> None:
        full = [f"{n:02}" + "x" * 62 for n in range(50)]
        created = await company.value(CreateContact(name="Maria", tags=full))
        one = UUID(created["id"])
        refusal = await company.refusal(AddTags(contact_id=one, tags=["one more"]))
        assert refusal == ("invalid", "too_long")
        assert (await company.value(AddTags(contact_id=one, tags=full)))["version"] == 1

    async def test_are_nobody_elses(self, company: Shop, other_company: Shop) -> None:
        created = await company.value(CreateContact(name="Maria", tags=["a"]))
        one = UUID(created["id"])
        for request in (AddTags(contact_id=one, tags=["b"]), RemoveTag(contact_id=one, tag="a")):
            refusal = await other_company.refusal(request)
            assert refusal == ("not_found", "contact_not_found")
        assert await tags(company, one) == ["a"]


class TestListTags:
    async def test_counts_them_the_most_frequent_first(
        self, company: Shop, other_company: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await other_company.value(CreateContact(name="x", tags=["theirs", "vip"]))
        oldest = ["VIP", "rare"]
        for given in (oldest, ["vip", "lead"], ["Lead", "b"], ["lead"], ["gone"]):
            last = await company.value(CreateContact(name="x", tags=given))
        await company.value(DeleteContact(contact_id=last["id"]))

        async def listed(**query: int) -> tuple[list[tuple[str, int]], bool]:
            page = await company.value(ListTags(**query))
            return [(one["tag"], one["contacts"]) for one in page["data"]], page["has_more"]

        assert await listed() == ([("lead", 3), ("vip", 2), ("b", 1), ("rare", 1)], False)
        assert await listed(limit=1, offset=1) == ([("vip", 2)], True)
        monkeypatch.setattr("crm_contacts.tags.requests.MAX_COUNTED", 3)
        assert await listed() == ([("lead", 3), ("b", 1), ("vip", 1)], False)
