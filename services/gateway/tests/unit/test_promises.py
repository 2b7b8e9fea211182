"""The table of promises names tests that are there."""

from pathlib import Path

from crm_testing.promises import assert_shown

TESTS = Path(__file__).parents[1]


def test_each_promise_names_tests_that_are_there() -> None:
    assert_shown(TESTS / "README.md", TESTS.parents[2] / "Makefile", 34)
