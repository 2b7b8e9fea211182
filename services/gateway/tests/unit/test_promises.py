"""The table of promises names tests that are there."""

from pathlib import Path

from crm_testing.promises import unfounded


def test_each_promise_names_tests_that_are_there() -> None:
    assert not unfounded(Path(__file__).parents[1])
