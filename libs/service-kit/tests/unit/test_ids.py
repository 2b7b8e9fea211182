from service_kit.ids import uuid7


class TestUuid7:
    def test_has_version_and_variant_and_is_unique(self) -> None:
        ids = {uuid7() for _ in range(1000)}
        assert len(ids) == 1000
        assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}

    def test_sorts_by_time(self) -> None:
        stamps = [uuid7().int >> 80 for _ in range(100)]
        assert stamps == sorted(stamps)
