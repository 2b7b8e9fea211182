import pytest
from crm_gateway.rest.headers import entity_tag, expected_version, idempotency_key, unchanged
from service_kit.errors import ExpectedVersion, MalformedError, PreconditionFailedError
from shared_events.requests import MAX_EXPECTED_VERSIONS


class TestExpectedVersion:
    @pytest.mark.parametrize(
        ("value", "versions"),
        [
            (None, None),
            ("", None),
            ("*", None),
            ('"3"', frozenset({3})),
            (entity_tag(7, b"shown"), frozenset({7})),
            ('"1", "2"', frozenset({1, 2})),
            ('"1","2"\t,  "1"', frozenset({1, 2})),
            (', "1",, "2",', frozenset({1, 2})),
            # A comma within a tag parts nothing, and other tags are in nobody's way.
            ('"a,b", "4", W/"5", "", "x"', frozenset({4})),
            (f"{entity_tag(7, b'shown')}, {entity_tag(9, b'shown')}", frozenset({7, 9})),
        ],
    )
    def test_reads_a_list_of_entity_tags(
        self, value: str | None, versions: ExpectedVersion
    ) -> None:
        assert expected_version(value) == versions

    @pytest.mark.parametrize(
        "value",
        [
            *["3", '"x"', '"1-x"', "garbage", '"1" "2"', '"1"; "2"', '"1', "1, 2", ",", '*, "1"'],
            # Weak ones fit none: what is changed is compared strongly.
            *['W/"12"', 'W/"1", W/"2"', 'w/"1"'],
        ],
    )
    def test_what_is_no_version_matches_nothing(self, value: str) -> None:
        with pytest.raises(PreconditionFailedError):
            expected_version(value)

    def test_so_many_are_read(self) -> None:
        tags = [f'"{version}"' for version in range(MAX_EXPECTED_VERSIONS + 1)]
        assert expected_version(", ".join(tags[1:])) == frozenset(range(1, len(tags)))
        with pytest.raises(MalformedError):
            expected_version(", ".join(tags))

    def test_nobody_is_kept_waiting_by_a_long_one(self) -> None:
        """Lists are read in one go, whatever is wrong at their end."""
        long = '"' + "a" * 100_000 + '"'
        for value in (", ".join(['"x"'] * 20_000) + "!", ", " * 60_000 + "!", f"{long}, {long}!"):
            with pytest.raises(PreconditionFailedError):
                expected_version(value)


class TestEntityTag:
    def test_is_of_the_version_and_of_what_is_shown(self) -> None:
        tags = {entity_tag(1, b"a"), entity_tag(2, b"a"), entity_tag(1, b"b")}
        assert len(tags) == 3
        assert entity_tag(1, b"a") in tags


class TestUnchanged:
    @pytest.mark.parametrize("value", ['"3"', 'W/"3"', '"1", "3"', '"a,b" ,W/"3"', " * "])
    def test_the_caller_has_it(self, value: str) -> None:
        assert unchanged(value, '"3"')

    @pytest.mark.parametrize("value", [None, "", '"4"', "3", '"a,"3""', '"3" garbage', '*, "3"'])
    def test_the_caller_has_it_not(self, value: str | None) -> None:
        assert not unchanged(value, '"3"')


class TestIdempotencyKey:
    @pytest.mark.parametrize("value", ["", "a b", "x" * 256])
    def test_an_unfit_key_is_refused(self, value: str) -> None:
        with pytest.raises(MalformedError):
            idempotency_key(value)

    def test_no_key_is_fine(self) -> None:
        assert idempotency_key(None) is None
        assert idempotency_key("x" * 255) == "x" * 255
