"""What counts as an answer to a challenge."""

import pytest
from crm_webhooks.challenges.job import answers


@pytest.mark.parametrize(
    "said", ["abc", " abc\n", '{"challenge": "abc"}', '{"ok": true, "challenge": "abc"}', '"abc"']
)
def test_the_challenge_is_one(said: str) -> None:
    assert answers(said, "abc")


@pytest.mark.parametrize(
    "said",
    [
        None,
        "",
        "xabc",
        "abcx",
        '{"data": {"challenge": "abc"}}',
        '["abc"]',
        '{"challenge": ["abc"]}',
    ],
)
def test_anything_around_it_is_none(said: str | None) -> None:
    assert not answers(said, "abc")


def test_digits_are_no_number() -> None:
    assert answers("123", "123")
