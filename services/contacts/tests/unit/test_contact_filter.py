from typing import Any
from uuid import uuid4

import pytest
from shared_events.contacts.contact_filter import MAX_GROUPS, MAX_RULES, MAX_VALUES, Filter, Rule


class TestRules:
    @pytest.mark.parametrize(
        "rule",
        [
            {"field": "name", "operator": "eq", "value": "ã" * 255},
            {"field": "name", "operator": "in", "values": ["ã" * 255] * MAX_VALUES},
            {"field": "tags", "operator": "contains", "value": "vip"},
            {"field": "pipeline_id", "operator": "ne", "value": str(uuid4())},
            {"field": "created_at", "operator": "gt", "value": "2026-01-31T12:00:00Z"},
            {"field": "created_at", "operator": "lte", "days_ago": 0},
            {"field": "email", "operator": "is_null"},
            {"field": "custom_fields.a", "operator": "gte", "value": -1.5},
            {"field": "custom_fields.a", "operator": "eq", "value": False},
            {"field": "custom_fields.a", "operator": "in", "values": [1, "x", True]},
        ],
    )
    def test_that_say_something_stay_as_they_are(self, rule: dict[str, Any]) -> None:
        kept = Rule.model_validate(rule).model_dump(mode="json", exclude_unset=True)
        assert kept == rule
        assert [type(v) for v in kept.values()] == [type(v) for v in rule.values()]

    @pytest.mark.parametrize(
        "rule",
        [
            {"field": "nickname", "operator": "eq", "value": "x"},
            {"field": "custom_fields.", "operator": "eq", "value": "x"},
            {"field": "tenant_id", "operator": "eq", "value": "x"},
            {"field": "custom_fields." + "k" * 242, "operator": "eq", "value": "x"},
            {"field": "name", "operator": "gt", "value": "x"},
            {"field": "name", "operator": "like", "value": "x"},
            {"field": "name", "operator": "eq", "value": ""},
            {"field": "name", "operator": "eq", "value": "x" * 256},
            {"field": "name", "operator": "eq", "value": 1},
            {"field": "name", "operator": "eq"},
            {"field": "name", "operator": "eq", "value": "x", "values": ["y"]},
            {"field": "name", "operator": "eq", "days_ago": 1},
            {"field": "name", "operator": "in", "value": "x"},
            {"field": "name", "operator": "in", "values": []},
            {"field": "name", "operator": "in", "values": ["x"] * (MAX_VALUES + 1)},
            {"field": "name", "operator": "is_null", "value": "x"},
            {"field": "tags", "operator": "eq", "value": "x"},
            {"field": "pipeline_id", "operator": "eq", "value": "x"},
            {"field": "pipeline_id", "operator": "in", "values": [str(uuid4()), "x"]},
            {"field": "created_at", "operator": "gt", "value": "2026"},
            {"field": "created_at", "operator": "gt", "value": "yesterday-"},
            {"field": "created_at", "operator": "gt", "days_ago": -1},
            {"field": "created_at", "operator": "gt", "value": "2026-01-31", "days_ago": 1},
            {"field": "custom_fields.a", "operator": "gt", "value": True},
            {"field": "custom_fields.a", "operator": "contains", "value": 1},
            {"field": "custom_fields.a", "operator": "eq", "value": {"a": 1}},
            {"field": "custom_fields.a", "operator": "eq", "value": float("inf")},
            {"field": "custom_fields.a", "operator": "eq", "value": 10**15 + 1},
            {"field": "name", "operator": "eq", "value": "x", "sql": "1=1"},
        ],
    )
    def test_that_do_not_are_refused(self, rule: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match="validation error"):
            Rule.model_validate(rule)


class TestFilters:
    def test_are_bounded(self) -> None:
        rule = {"field": "email", "operator": "is_null"}
        full = {"rules": [rule] * MAX_RULES}
        assert Filter.model_validate({"groups": [full] * MAX_GROUPS})
        refused: list[list[Any]] = [
            [],
            [{"rules": []}],
            [full] * (MAX_GROUPS + 1),
            [{"rules": [rule] * 21}],
        ]
        for groups in refused:
            with pytest.raises(ValueError, match="validation error"):
                Filter.model_validate({"groups": groups})
