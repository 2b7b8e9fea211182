from service_kit.text import without_nul


class TestWithoutNul:
    def test_cleans_texts_at_every_depth(self) -> None:
        assert without_nul({"a\x00": ["b\x00", {"c": "\x00d"}], "e": 1}) == {
            "a": ["b", {"c": "d"}],
            "e": 1,
        }
