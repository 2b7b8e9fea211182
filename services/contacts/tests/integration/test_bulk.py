"""Many contacts in one request: in order, each operation for itself, at the price of a few."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from service_kit.database import Transaction
from shared_events.contacts.bulk import MAX_OPERATIONS, BulkContacts
from shared_events.contacts.contact import CreateContact, DeleteContact, GetContact
from shared_events.contacts.pipeline import CreatePipeline, CreateStatus, ListStays
from shared_events.requests import Principal

ALL = ("contacts.*",)


async def bulk(
    company: Shop, *operations: dict[str, Any], permissions: tuple[str, ...] = ALL, **options: Any
) -> list[dict[str, Any]]:
    """What became of each."""
    who = Principal(tenant_id=company.id, user_id=company.user_id, permissions=permissions)
    request = BulkContacts.model_validate({"operations": operations})
    reply = await company.outside.client.call(
        request, principal=who, correlation_id=f"req-{uuid4()}", **options
    )
    assert reply.problem is None, reply.problem
    assert reply.value is not None
    items: list[dict[str, Any]] = reply.value["data"]
    assert reply.value["errors"] == sum(item["outcome"] == "refused" for item in items)
    return items


def codes(items: list[dict[str, Any]]) -> list[str]:
    """The outcome of each, or why it was refused."""
    return [
        (
            item["problem"]["errors"][0]["code"]
            if item["problem"]["errors"]
            else item["problem"]["code"]
        )
        if item["problem"]
        else item["outcome"]
        for item in items
    ]


async def made(company: Shop, **fields: Any) -> dict[str, Any]:
    return await company.value(CreateContact.model_validate({"name": "Maria", **fields}))


class TestOperations:
    async def test_create_change_tag_and_delete_in_order(
        self, company: Shop, other_company: Shop
    ) -> None:
        one, two, three = [await made(company, tags=["VIP"]) for _ in range(3)]
        theirs = await made(other_company)
        items = await bulk(
            company,
            {"op": "create", "name": "x" * 255, "phone": "11 98888-0001", "email": "A@B.com"},
            {"op": "update", "contact_id": one["id"], "version": 1, "email": "m@x.com"},
            {"op": "tag", "contact_id": one["id"], "add": ["lead", "LEAD"], "remove": ["vip"]},
            {"op": "tag", "contact_id": two["id"], "add": ["vip"]},
            {"op": "delete", "contact_id": three["id"], "version": 1},
            {"op": "update", "contact_id": three["id"], "name": "too late"},
            {"op": "update", "contact_id": theirs["id"], "name": "not mine"},
            {"op": "create", "name": "again", "phone": "+5511988880001"},
            {"op": "delete", "contact_id": str(uuid4())},
            {"op": "update", "contact_id": two["id"], "version": 7, "name": "stale"},
        )
        assert codes(items) == [
            *("created", "updated", "updated", "unchanged", "deleted", "contact_not_found"),
            *("contact_not_found", "contact_exists", "contact_not_found", "stale_version"),
        ]
        new = items[0]["contact"]
        assert (new["phone"], new["email"], new["version"]) == ("+5511988880001", "a@b.com", 1)
        assert items[7]["problem"]["extra"]["existing_id"] == new["id"]
        changed = items[1]["contact"]
        assert changed == items[2]["contact"]
        assert (changed["email"], changed["tags"], changed["version"]) == ("m@x.com", ["lead"], 2)
        assert items[3]["contact"]["version"] == 1
        assert items[4]["contact"] is None
        for shown in (new, changed):
            assert await company.value(GetContact(contact_id=UUID(shown["id"]))) == shown
        gone = await company.refusal(GetContact(contact_id=UUID(three["id"])))
        assert gone == ("not_found", "contact_not_found")
        assert await other_company.value(GetContact(contact_id=UUID(theirs["id"]))) == theirs
        (told,) = await company.told("contact.updated")
        assert (told["contact"], told["changed"]) == (changed, ["email", "tags"])
        assert [one["contact_id"] for one in await company.told("contact.deleted")] == [three["id"]]

    async def test_need_the_permission_of_their_own_routes(self, company: Shop) -> None:
        one = await made(company)
        operations = (
            {"op": "create", "name": "n"},
            {"op": "update", "contact_id": one["id"], "name": "m"},
            {"op": "tag", "contact_id": one["id"], "add": ["t"]},
            {"op": "delete", "contact_id": one["id"]},
        )
        no = "permission_missing"
        agent = await bulk(company, *operations, permissions=("contacts.read", "contacts.update"))
        assert codes(agent) == [no, "updated", "updated", no]
        assert agent[0]["problem"]["kind"] == "forbidden"
        maker = await bulk(company, *operations, permissions=("contacts.create",))
        assert codes(maker) == ["created", no, no, no]

    async def test_obey_the_rules_of_contacts(self, company: Shop) -> None:
        one = await made(company, custom_fields={"a": 1, "b": {"c": 2}}, tags=["old"])
        tags = [f"t{n}" for n in range(50)]
        items = await bulk(
            company,
            {"op": "create", "name": "n", "phone": "not one"},
            {"op": "create", "name": "n", "custom_fields": {"big": "x" * 17_000}},
            {"op": "create", "name": "n", "pipeline_id": str(uuid4())},
            {"op": "update", "contact_id": one["id"], "name": None},
            {"op": "update", "contact_id": one["id"], "pipeline_status_id": str(uuid4())},
            {"op": "tag", "contact_id": one["id"], "add": tags},
            {"op": "update", "contact_id": one["id"], "custom_fields": {"a": None, "b": {"d": 3}}},
        )
        assert codes(items) == [
            *("invalid_phone", "too_large", "unknown_pipeline", "required"),
            *("status_not_in_pipeline", "too_long", "updated"),
        ]
        assert items[-1]["contact"]["custom_fields"] == {"b": {"c": 2, "d": 3}}
        cleared = await bulk(
            company, {"op": "update", "contact_id": one["id"], "custom_fields": None, "tags": []}
        )
        assert cleared[0]["contact"]["custom_fields"] == {}
        assert cleared[0]["contact"]["tags"] == []

    async def test_bring_back_who_was_deleted_with_the_same_phone(self, company: Shop) -> None:
        before = await made(company, phone="+5511988880002", email="a@b.com")
        await company.value(DeleteContact(contact_id=UUID(before["id"])))
        new = {"op": "create", "name": "Back", "phone": "+5511988880002"}
        items = await bulk(company, new, new)
        assert codes(items) == ["created", "contact_exists"]
        back = items[0]["contact"]
        assert (back["id"], back["name"], back["email"]) == (before["id"], "Back", None)
        assert len(await company.told("contact.restored")) == 1
        again = await bulk(company, {"op": "delete", "contact_id": back["id"]}, new)
        assert codes(again) == ["deleted", "contact_exists"]

    async def test_move_contacts_and_take_them_out(self, company: Shop) -> None:
        pipeline = await company.value(CreatePipeline(name="Vendas"))
        pipeline_id = UUID(pipeline["id"])
        status = await company.value(CreateStatus(pipeline_id=pipeline_id, name="Novo"))
        one, two = await made(company), await made(company)
        items = await bulk(
            company,
            {"op": "create", "name": "n", "pipeline_status_id": status["id"]},
            {"op": "update", "contact_id": one["id"], "pipeline_status_id": status["id"]},
            {"op": "update", "contact_id": two["id"], "pipeline_id": pipeline["id"]},
        )
        assert codes(items) == ["created", "updated", "updated"]
        assert [item["contact"]["pipeline_id"] for item in items] == [pipeline["id"]] * 3
        assert [item["contact"]["pipeline_status_id"] for item in items] == [
            *(status["id"], status["id"], None)
        ]
        told = await company.told("contact.pipeline_status_changed")
        assert sorted(str(one["after"]["status_id"]) for one in told) == sorted(
            [str(status["id"])] * 2 + ["None"]
        )
        ids = [item["contact"]["id"] for item in items]
        gone = await bulk(
            company,
            {"op": "update", "contact_id": ids[0], "pipeline_id": None},
            {"op": "delete", "contact_id": ids[1]},
        )
        assert codes(gone) == ["updated", "deleted"]
        assert gone[0]["contact"]["pipeline_status_id"] is None
        stays = await company.value(ListStays(contact_id=UUID(ids[0])))
        assert [stay["left_at"] is not None for stay in stays["data"]] == [True]
        open_stays = await company.rows(
            "SELECT contact_id FROM contact_pipeline_statuses WHERE left_at IS NULL"
        )
        assert [str(stay["contact_id"]) for stay in open_stays] == [ids[2]]


class TestRequest:
    async def test_is_carried_out_once(self, company: Shop) -> None:
        operation = {"op": "create", "name": "Once"}
        first = await bulk(company, operation, idempotency_key="k")
        assert await bulk(company, operation, idempotency_key="k") == first
        assert len(await company.told("contact.created")) == 1

    async def test_costs_no_more_statements_for_many(
        self, company: Shop, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        counted: list[str] = []
        fetch, execute = Transaction.fetch, Transaction.execute

        async def fetches(tx: Transaction, statement: Any, *values: Any) -> Any:
            counted.append(str(statement))
            return await fetch(tx, statement, *values)

        async def executes(tx: Transaction, statement: Any, *values: Any) -> Any:
            counted.append(str(statement))
            return await execute(tx, statement, *values)

        monkeypatch.setattr(Transaction, "fetch", fetches)
        monkeypatch.setattr(Transaction, "execute", executes)

        async def cost(count: int, prefix: str) -> int:
            people = await bulk(
                company,
                *(
                    {"op": "create", "name": "n", "phone": f"+55119{prefix}{n:06}"}
                    for n in range(count)
                ),
            )
            ids = [item["contact"]["id"] for item in people]
            counted.clear()
            kinds: list[dict[str, Any]] = [
                {"op": "update", "name": "m"},
                {"op": "tag", "add": ["t"]},
                {"op": "delete"},
            ]
            items = await bulk(
                company,
                *({**kinds[n % 3], "contact_id": id_} for n, id_ in enumerate(ids)),
            )
            assert "refused" not in codes(items)
            return len(counted)

        few = await cost(3, "10")
        assert (
            await cost(MAX_OPERATIONS, "11") <= few + 20
        )  # what goes on beside it is counted, too
