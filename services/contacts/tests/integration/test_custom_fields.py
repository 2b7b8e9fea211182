"""Definitions of custom fields and the contacts they are rules for, over the bus."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from crm_testing.scenes.contacts import Shop
from shared_events.contacts.contact import CreateContact, GetContact, PatchContact, ReplaceContact
from shared_events.contacts.custom_field import (
    MAX_CUSTOM_FIELDS,
    CreateCustomField,
    DeleteCustomField,
    GetCustomField,
    ListCustomFields,
    PatchCustomField,
    ReplaceCustomField,
)
from shared_events.requests import Request

LONGEST: dict[str, Any] = {
    "key": "k" * 64,
    "label": "ã" * 255,
    "type": "multi_select",
    "required": False,
    "options": [f"{n:03}" + "é" * 252 for n in range(100)],
    "position": 10_000,
}


def define(key: str, kind: str = "text", **fields: Any) -> CreateCustomField:
    return CreateCustomField.model_validate({"key": key, "label": key, "type": kind, **fields})


async def wrong(company: Shop, request: Request[Any]) -> dict[str, str]:
    """What is wrong with a request, by JSON pointer."""
    problem = await company.problem(request)
    assert problem.kind == "invalid"
    return {error.pointer: error.code for error in problem.errors}


class TestDefinitions:
    async def test_are_written_changed_and_removed(self, company: Shop) -> None:
        made = await company.value(CreateCustomField.model_validate(LONGEST))
        assert {name: made[name] for name in LONGEST} == LONGEST
        one = UUID(made["id"])
        assert await company.value(GetCustomField(field_id=one)) == made
        patched = await company.value(PatchCustomField(field_id=one, label="B", required=True))
        assert (patched["label"], patched["required"], patched["version"]) == ("B", True, 2)
        assert patched["options"] == LONGEST["options"]
        assert await company.value(PatchCustomField(field_id=one, label="B")) == patched
        replaced = await company.value(ReplaceCustomField(field_id=one, label="C", options=["x"]))
        assert (replaced["required"], replaced["options"], replaced["position"]) == (
            False,
            ["x"],
            0,
        )
        for stale in (
            PatchCustomField(field_id=one, label="x"),
            ReplaceCustomField(field_id=one, label="x", options=["x"]),
            DeleteCustomField(field_id=one),
        ):
            refusal = await company.refusal(stale, expected_version=2)
            assert refusal == ("precondition_failed", "stale_version")
        await company.value(DeleteCustomField(field_id=one), expected_version=3)
        refusal = await company.refusal(GetCustomField(field_id=one))
        assert refusal == ("not_found", "custom_field_not_found")

    async def test_have_keys_of_their_own_and_are_listed_by_position(
        self, company: Shop, other_company: Shop
    ) -> None:
        theirs = await other_company.value(define("cpf"))
        await company.value(define("late", position=9))
        made = await company.value(define("cpf"))
        problem = await company.problem(define("cpf", "number"))
        assert (problem.kind, problem.code) == ("conflict", "custom_field_exists")
        assert problem.extra == {"existing_id": made["id"]}
        page = await company.value(ListCustomFields(limit=1))
        assert page["data"] == [made]
        rest = await company.value(ListCustomFields(cursor=page["next_cursor"]))
        assert [one["key"] for one in rest["data"]] == ["late"]
        here = {"field_id": UUID(theirs["id"])}
        for request in (
            GetCustomField(**here),
            PatchCustomField(**here, label="x"),
            ReplaceCustomField(**here, label="x"),
            DeleteCustomField(**here),
        ):
            refusal = await company.refusal(request)
            assert refusal == ("not_found", "custom_field_not_found"), request
        assert await other_company.value(GetCustomField(**here)) == theirs

    async def test_offer_options_where_something_is_selected(self, company: Shop) -> None:
        assert await wrong(company, define("a", "select")) == {"/options": "too_short"}
        assert await wrong(company, define("a", options=["x"])) == {"/options": "not_a_select"}
        twice = define("a", "select", options=["x", "x"])
        assert await wrong(company, twice) == {"/options": "repeated_option"}
        made = await company.value(define("a", "select", options=["x"]))
        emptied = PatchCustomField(field_id=made["id"], options=[])
        assert await wrong(company, emptied) == {"/options": "too_short"}

    async def test_are_not_more_than_a_contact_has_room_for(self, company: Shop) -> None:
        async with company.database.tenant(company.id) as tx:
            await tx.execute(
                "INSERT INTO custom_fields SELECT gen_random_uuid(), $1, 'k' || n, 'x', 'text',"
                " false, '{}', 0, 1, now(), now() FROM generate_series(1, $2) AS n",
                company.id,
                MAX_CUSTOM_FIELDS,
            )
        refusal = await company.refusal(define("one_more"))
        assert refusal == ("conflict", "too_many_custom_fields")

    @pytest.mark.parametrize(
        "given",
        [
            {"key": ""},
            {"key": "1a"},
            {"key": "a/b"},
            {"key": "k" * 65},
            {"type": "colour"},
            {"label": ""},
            {"label": "x" * 256},
            {"options": ["x" * 256]},
            {"options": [""]},
            {"options": [str(n) for n in range(101)]},
            {"position": -1},
        ],
    )
    def test_are_bounded(self, given: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="validation error"):
            CreateCustomField.model_validate({"key": "a", "label": "a", "type": "text", **given})


class TestContacts:
    async def test_are_held_to_the_definitions_of_their_company(
        self, company: Shop, other_company: Shop
    ) -> None:
        free = {"plan": "anything", "age": "x"}
        before = await company.value(CreateContact(name="Before", custom_fields=free))
        plan = await company.value(define("plan", "select", options=["a", "b"], required=True))
        await company.value(define("age", "number"))
        assert await other_company.value(CreateContact(name="Z", custom_fields=free))
        assert (await company.value(GetContact(contact_id=before["id"]))) == before

        both = {"/custom_fields/plan": "unknown_option", "/custom_fields/age": "invalid_number"}
        missing = {"/custom_fields/plan": "required"}
        here = {"contact_id": UUID(before["id"])}
        assert await wrong(company, CreateContact(name="A", custom_fields=free)) == both
        assert await wrong(company, CreateContact(name="A")) == missing
        assert await wrong(company, ReplaceContact(**here, name="A", custom_fields=free)) == both
        assert await wrong(company, ReplaceContact(**here, name="A")) == missing

        # What a patch does not touch is let be, however wrong it has become.
        renamed = await company.value(PatchContact(**here, name="A"))
        assert renamed["custom_fields"] == free
        patched = await company.value(PatchContact(**here, custom_fields={"age": 7, "free": [1]}))
        assert patched["custom_fields"] == {"plan": "anything", "age": 7, "free": [1]}
        for removed in ({"plan": None}, None):
            patch = PatchContact.model_validate({**here, "custom_fields": removed})
            assert await wrong(company, patch) == missing
        assert await wrong(company, PatchContact(**here, custom_fields={"age": True})) == {
            "/custom_fields/age": "invalid_number"
        }
        await company.value(DeleteCustomField(field_id=plan["id"]))
        emptied = await company.value(ReplaceContact(**here, name="A", custom_fields={"plan": 1}))
        assert emptied["custom_fields"] == {"plan": 1}

    async def test_of_somebody_else_know_nothing_of_them(self, company: Shop) -> None:
        refusal = await company.refusal(
            PatchContact(contact_id=uuid4(), custom_fields={"age": "anything"})
        )
        assert refusal == ("not_found", "contact_not_found")
