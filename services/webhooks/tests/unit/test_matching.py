import pytest
from crm_webhooks.deliveries.matching import wants


class TestWants:
    @pytest.mark.parametrize(
        ("patterns", "wanted"),
        [
            (["*"], True),
            (["message.*"], True),
            (["message.received"], True),
            (["contact.*", "message.received"], True),
            (["message.sent"], False),
            (["messages.*"], False),
            (["message.receive"], False),
            ([], False),
        ],
    )
    def test_covers_by_star_family_or_name(self, patterns: list[str], wanted: bool) -> None:
        assert wants(patterns, "message.received") is wanted
