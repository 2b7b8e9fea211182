"""The table of acceptance checks names tests that are there."""

from crm_testing.promises import assert_shown

from deploy.manifests import ROOT


def test_each_check_names_tests_that_are_there() -> None:
    assert_shown(ROOT / "tests" / "deploy" / "README.md", ROOT / "Makefile", 20)
