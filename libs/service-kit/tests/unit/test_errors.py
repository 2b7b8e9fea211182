import pytest
from service_kit.errors import (
    ExpectedVersion,
    InvalidError,
    PreconditionFailedError,
    json_pointer,
)
from service_kit.request_client import told_versions


class TestJsonPointer:
    def test_escapes_as_rfc_6901_does(self) -> None:
        assert json_pointer("a/b", "m~n", 0, "") == "/a~1b/m~0n/0/"
        assert json_pointer("~1") == "/~01"
        assert json_pointer() == ""

    def test_of_a_field_is_as_written_or_made_of_its_parts(self) -> None:
        ours, theirs = (
            InvalidError.field(name, "wrong", "It is wrong.").problem.errors[0].pointer
            for name in ("waha/base_url", ("headers", "X/a~b"))
        )
        assert (ours, theirs) == ("/waha/base_url", "/headers/X~1a~0b")


class TestVersions:
    @pytest.mark.parametrize("expected", [None, 3, frozenset({3}), frozenset({1, 3})])
    def test_the_present_one_fits(self, expected: ExpectedVersion) -> None:
        PreconditionFailedError.check(expected, 3)

    @pytest.mark.parametrize("expected", [2, 0, frozenset({2}), frozenset({1, 2}), frozenset()])
    def test_no_other_does(self, expected: ExpectedVersion) -> None:
        with pytest.raises(PreconditionFailedError) as found:
            PreconditionFailedError.check(expected, 3)
        assert found.value.problem.extra == {"current_version": 3}

    def test_travel_as_one_that_services_of_before_know(self) -> None:
        assert told_versions(None) == (None, None)
        assert told_versions(3) == told_versions(frozenset({3})) == (3, None)
        assert told_versions(frozenset({9, 2, 7})) == (9, [2, 7, 9])
