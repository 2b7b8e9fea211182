from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from crm_contacts.contacts.phone import parse_phone
from crm_contacts.custom_fields.models import CustomField
from crm_contacts.custom_fields.values import check
from service_kit.errors import InvalidError


def field(kind: str, key: str = "a", **fields: Any) -> CustomField:
    now = datetime.now(UTC)
    options = ["x", "y"] if kind.endswith("select") else []
    known = {"label": key, "required": False, "options": options, "position": 0, **fields}
    return CustomField(
        **known, id=uuid4(), tenant_id="t", key=key, type=kind, created_at=now, updated_at=now
    )


def refused(values: dict[str, Any], *fields: CustomField, **only: Any) -> dict[str, str]:
    """What is wrong, by JSON pointer."""
    try:
        check(values, fields, lambda typed: parse_phone(typed, "BR"), **only)
    except InvalidError as error:
        return {one.pointer: one.code for one in error.problem.errors}
    return {}


class TestValues:
    @pytest.mark.parametrize(
        ("kind", "fitting", "wrong"),
        [
            ("text", ["", "ã" * 5000], [1, True, ["a"], {}]),
            ("number", [0, -1.5, 10**15], ["1", True, [1], float("inf")]),
            ("boolean", [True, False], [0, 1, "true"]),
            ("date", ["2024-02-29"], ["2023-02-29", "20240229", "2024-W05-6", "2024-1-1", 2024]),
            ("select", ["x", "y"], ["z", "X", ["x"], 1, ""]),
            ("multi_select", [[], ["x"], ["y", "x"]], ["x", ["z"], ["x", "x"], [["x"]], {"x": 1}]),
            ("url", ["https://example.com/a?b=1"], ["example.com", "javascript:alert(1)", 1]),
            ("email", ["ana@example.com"], ["ana@", "ana", 1, ""]),
            ("phone", ["11 98888-0001", "+1 202 555 0123"], ["123", "abc", 11988880001, ""]),
        ],
    )
    def test_are_what_the_type_says(self, kind: str, fitting: list[Any], wrong: list[Any]) -> None:
        for value in fitting:
            assert refused({"a": value}, field(kind)) == {}, value
        code = "unknown_option" if kind.endswith("select") else f"invalid_{kind}"
        for value in wrong:
            assert refused({"a": value}, field(kind)) == {"/custom_fields/a": code}, value

    def test_that_are_required_are_there(self) -> None:
        needed = field("text", required=True)
        for values in ({}, {"a": None}, {"a": ""}):
            assert refused(values, needed) == {"/custom_fields/a": "required"}
        assert refused({"a": []}, field("multi_select", required=True)) == {
            "/custom_fields/a": "required"
        }
        assert refused({"a": False}, field("boolean", required=True)) == {}
        assert refused({"a": 0}, field("number", required=True)) == {}
        for values in ({}, {"a": None}):
            assert refused(values, field("text")) == {}

    def test_are_all_named_when_wrong(self) -> None:
        fields = [field("number", "a"), field("text", "b", required=True), field("date", "c")]
        assert refused({"a": "x", "c": "2024-01-01", "free": object()}, *fields) == {
            "/custom_fields/a": "invalid_number",
            "/custom_fields/b": "required",
        }

    def test_that_were_not_touched_are_let_be(self) -> None:
        fields = [field("number", "a"), field("number", "b")]
        wrong = {"a": "x", "b": "x"}
        assert refused(wrong, *fields, only={"b"}) == {"/custom_fields/b": "invalid_number"}
        assert refused(wrong, *fields, only=()) == {}
