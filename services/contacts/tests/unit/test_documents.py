import pytest
from crm_contacts.contacts.documents import (
    check_custom_fields,
    distinct_tags,
    merge_patch,
)
from service_kit.errors import InvalidError


class TestMergePatch:
    # The examples of RFC 7396, appendix A.
    @pytest.mark.parametrize(
        ("target", "patch", "merged"),
        [
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            (["a", "b"], ["c", "d"], ["c", "d"]),
            ({"a": "b"}, ["c"], ["c"]),
            ({"a": "foo"}, None, None),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_follows_the_rfc(self, target: object, patch: object, merged: object) -> None:
        assert merge_patch(target, patch) == merged


class TestDistinctTags:
    def test_keeps_the_first_spelling_and_the_order(self) -> None:
        assert distinct_tags(["VIP", "lead", "vip", "Lead"]) == ["VIP", "lead"]


class TestCheckCustomFields:
    def test_accepts_what_fits(self) -> None:
        assert check_custom_fields({"cpf": "1"}) == {"cpf": "1"}

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({str(i): i for i in range(65)}, "too_long"),
            ({"a": "x" * 16_400}, "too_large"),
            ({"a": 10**30}, "invalid_value"),
        ],
    )
    def test_refuses_what_does_not(self, fields: dict[str, object], code: str) -> None:
        with pytest.raises(InvalidError) as refused:
            check_custom_fields(fields)
        assert refused.value.problem.errors[0].code == code
