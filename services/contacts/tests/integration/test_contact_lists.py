"""Contact lists and who is on them, over the bus as the gateway asks."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_contacts.contact_lists import members
from crm_testing.scenes.contacts import Shop
from shared_events.contacts.contact import CreateContact, DeleteContact
from shared_events.contacts.contact_list import (
    MAX_AT_ONCE,
    MAX_LISTS,
    CountListed,
    CreateContactList,
    DeleteContactList,
    GetContactList,
    ListContactLists,
    ListListed,
    PatchContactList,
    PreviewContacts,
    PutOnList,
    ReplaceContactList,
    TakeOffList,
)
from shared_events.requests import Request

LONGEST: dict[str, Any] = {
    "name": "ã" * 255,
    "description": "é" * 1000,
    "kind": "dynamic",
    "filter": {
        "match": "any",
        "groups": [
            {
                "match": "all",
                "rules": [
                    {
                        "field": "custom_fields." + "k" * 241,
                        "operator": "in",
                        "value": None,
                        "values": ["ã" * 255, 1.5, 10**15, False] * 25,
                        "days_ago": None,
                    }
                ]
                * 20,
            }
        ]
        * 10,
    },
}
NOT_FOUND = ("not_found", "contact_list_not_found")


def tagged(tag: str) -> dict[str, Any]:
    return {"groups": [{"rules": [{"field": "tags", "operator": "contains", "value": tag}]}]}


def a_list(name: str = "A", **fields: Any) -> CreateContactList:
    return CreateContactList.model_validate({"name": name, **fields})


async def contact(company: Shop, name: str, *tags: str) -> UUID:
    return UUID((await company.value(CreateContact(name=name, tags=list(tags))))["id"])


async def wrong(company: Shop, request: Request[Any]) -> dict[str, str]:
    problem = await company.problem(request)
    assert problem.kind == "invalid"
    return {error.pointer: error.code for error in problem.errors}


async def names(company: Shop, list_id: UUID) -> list[str]:
    return [c["name"] for c in (await company.value(ListListed(list_id=list_id)))["data"]]


class TestLists:
    async def test_are_written_changed_and_removed(self, company: Shop) -> None:
        made = await company.value(a_list(**LONGEST))
        assert {name: made[name] for name in LONGEST} == LONGEST
        one = UUID(made["id"])
        assert await company.value(GetContactList(list_id=one)) == made
        patched = await company.value(PatchContactList(list_id=one, name="B", description=None))
        assert (patched["name"], patched["description"], patched["version"]) == ("B", None, 2)
        assert patched["filter"] == LONGEST["filter"]
        assert await company.value(PatchContactList(list_id=one, name="B")) == patched
        other = {"list_id": one, "name": "C", "filter": tagged("vip")}
        replaced = await company.value(ReplaceContactList.model_validate(other))
        assert replaced["filter"]["groups"][0]["rules"][0]["value"] == "vip"
        for stale in (
            PatchContactList(list_id=one, name="x"),
            ReplaceContactList.model_validate(other),
            DeleteContactList(list_id=one),
        ):
            refusal = await company.refusal(stale, expected_version=2)
            assert refusal == ("precondition_failed", "stale_version")
        await company.value(DeleteContactList(list_id=one), expected_version=3)
        assert await company.refusal(GetContactList(list_id=one)) == NOT_FOUND

    async def test_have_a_filter_where_they_are_dynamic(self, company: Shop) -> None:
        assert await wrong(company, a_list(kind="dynamic")) == {"/filter": "required"}
        assert await wrong(company, a_list(filter=tagged("a"))) == {"/filter": "static_list"}
        made = await company.value(a_list())
        assert (made["kind"], made["filter"]) == ("static", None)
        patch = {"list_id": made["id"], "filter": tagged("a")}
        assert await wrong(company, PatchContactList.model_validate(patch)) == {
            "/filter": "static_list"
        }
        made = await company.value(a_list(kind="dynamic", filter=tagged("a")))
        emptied = ReplaceContactList(list_id=made["id"], name="A")
        assert await wrong(company, emptied) == {"/filter": "required"}
        kept = PatchContactList.model_validate({"list_id": made["id"], "filter": None})
        assert await company.value(kept) == made

    async def test_are_listed_newest_first_and_not_too_many(
        self, company: Shop, other_company: Shop
    ) -> None:
        await other_company.value(a_list("theirs"))
        for name in ("a", "b", "c"):
            await company.value(a_list(name))
        page = await company.value(ListContactLists(limit=2))
        rest = await company.value(ListContactLists(limit=2, cursor=page["next_cursor"]))
        assert [x["name"] for x in (*page["data"], *rest["data"])] == ["c", "b", "a"]
        async with company.database.tenant(company.id) as tx:
            await tx.execute(
                "INSERT INTO contact_lists SELECT gen_random_uuid(), $1, 'x', NULL, 'static', NULL,"
                " 1, now(), now() FROM generate_series(1, $2)",
                company.id,
                MAX_LISTS - 3,
            )
        assert await company.refusal(a_list()) == ("conflict", "too_many_contact_lists")


class TestStaticLists:
    async def test_hold_who_is_put_there_once(self, company: Shop, other_company: Shop) -> None:
        ana, bia, caio = [await contact(company, name) for name in ("Ana", "Bia", "Caio")]
        theirs = await contact(other_company, "Z")
        listed = UUID((await company.value(a_list()))["id"])
        other = UUID((await company.value(a_list("other")))["id"])
        await company.value(PutOnList(list_id=other, contact_ids=[caio]))

        put = PutOnList(list_id=listed, contact_ids=[bia, ana, bia])
        assert (await company.value(put))["added"] == 2
        assert (await company.value(put))["added"] == 0
        gone = await contact(company, "Gone")
        await company.value(DeleteContact(contact_id=gone))
        strangers = PutOnList(list_id=listed, contact_ids=[caio, theirs, gone, uuid4()])
        unknown = {f"/contact_ids/{n}": "unknown_contact" for n in (1, 2, 3)}
        assert await wrong(company, strangers) == unknown
        assert sorted(await names(company, listed)) == ["Ana", "Bia"]

        page = await company.value(ListListed(list_id=listed, limit=1))
        rest = await company.value(ListListed(list_id=listed, cursor=page["next_cursor"]))
        shown = [UUID(c["id"]) for c in (*page["data"], *rest["data"])]
        assert (shown, rest["has_more"]) == (sorted([ana, bia]), False)

        await company.value(DeleteContact(contact_id=ana))
        assert await names(company, listed) == ["Bia"]
        assert (await company.value(CountListed(list_id=listed))) == {"count": 1, "has_more": False}
        take = TakeOffList(list_id=listed, contact_ids=[bia, caio, uuid4()])
        await company.value(take)
        await company.value(take)
        assert await names(company, listed) == []
        for request in (put, take):
            refusal = await company.refusal(request, expected_version=2)
            assert refusal == ("precondition_failed", "stale_version")
        await company.value(DeleteContactList(list_id=other))
        assert (
            await company.rows("SELECT 1 FROM contact_list_members WHERE list_id = $1", other) == []
        )

    async def test_take_many_at_once(self, company: Shop) -> None:
        listed = UUID((await company.value(a_list()))["id"])
        made = await company.rows(
            "INSERT INTO contacts (id, tenant_id, name, source, version, search_text, sort_name,"
            " created_at, updated_at) SELECT gen_random_uuid(), $1, 'x', 'api', 1, '', 'x', now(),"
            " now() FROM generate_series(1, $2) RETURNING id",
            company.id,
            MAX_AT_ONCE,
        )
        ids = [row["id"] for row in made]
        assert (await company.value(PutOnList(list_id=listed, contact_ids=ids)))["added"] == 1000
        with pytest.raises(ValueError, match="at most 1000"):
            PutOnList(list_id=listed, contact_ids=[*ids, uuid4()])


class TestDynamicLists:
    async def test_find_who_fits_now(
        self, company: Shop, other_company: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await contact(other_company, "Z", "vip")
        for name, *tags in (("Ana", "vip"), ("Bia",), ("Caio", "VIP"), ("Davi", "vip")):
            await contact(company, name, *tags)
        preview = PreviewContacts.model_validate({"filter": tagged("Vip"), "limit": 2})
        seen = await company.value(preview)
        assert (seen["count"], seen["has_more"]) == (3, False)
        assert [c["name"] for c in seen["data"]] == ["Davi", "Caio"]

        listed = UUID((await company.value(a_list(kind="dynamic", filter=tagged("vip"))))["id"])
        page = await company.value(ListListed(list_id=listed, limit=2))
        rest = await company.value(ListListed(list_id=listed, cursor=page["next_cursor"]))
        shown = [c["name"] for c in (*page["data"], *rest["data"])]
        assert (shown, rest["has_more"]) == (["Davi", "Caio", "Ana"], False)
        await company.value(DeleteContact(contact_id=UUID(page["data"][0]["id"])))
        await contact(company, "Edu", "vip")
        assert await names(company, listed) == ["Edu", "Caio", "Ana"]

        ana = UUID(rest["data"][0]["id"])
        for request in (
            PutOnList(list_id=listed, contact_ids=[ana]),
            TakeOffList(list_id=listed, contact_ids=[ana]),
        ):
            assert await company.refusal(request) == ("conflict", "dynamic_list")
        monkeypatch.setattr(members, "MAX_COUNTED", 2)
        counted = {"count": 2, "has_more": True}
        assert await company.value(CountListed(list_id=listed)) == counted
        assert (await company.value(preview)).items() >= counted.items()
        # The longest filter there may be is one that PostgreSQL takes.
        await company.value(PreviewContacts(filter=LONGEST["filter"]))

    async def test_look_only_so_long(self, company: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
        listed = (await company.value(a_list(kind="dynamic", filter=LONGEST["filter"])))["id"]
        monkeypatch.setattr(members, "EVALUATION_MS", 1)
        slow = ("invalid", "filter_too_slow")
        async with company.database.tenant("somebody") as tx:
            await tx.execute("LOCK TABLE contacts")  # so that it takes as long as this holds
            assert await company.refusal(PreviewContacts(filter=LONGEST["filter"])) == slow
            assert await company.refusal(CountListed(list_id=listed)) == slow
            assert await company.refusal(ListListed(list_id=listed)) == slow


class TestNobodyElse:
    async def test_sees_or_changes_a_list_of_ours(self, company: Shop, other_company: Shop) -> None:
        ours = await contact(company, "Ana")
        made = await company.value(a_list())
        here = {"list_id": UUID(made["id"])}
        await company.value(PutOnList(**here, contact_ids=[ours]))
        theirs = await contact(other_company, "Z")
        asked: list[Request[Any]] = [
            GetContactList(**here),
            PatchContactList(**here, name="x"),
            ReplaceContactList(**here, name="x"),
            DeleteContactList(**here),
            CountListed(**here),
            ListListed(**here),
            PutOnList(**here, contact_ids=[theirs]),
            TakeOffList(**here, contact_ids=[ours]),
        ]
        for request in asked:
            assert await other_company.refusal(request) == NOT_FOUND, request
        assert await company.value(GetContactList(**here)) == made
        assert await names(company, here["list_id"]) == ["Ana"]
