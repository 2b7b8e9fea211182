import pytest
from crm_gateway.rest.headers import entity_tag, expected_version, idempotency_key, unchanged
from service_kit.errors import MalformedError, PreconditionFailedError


class TestExpectedVersion:
    @pytest.mark.parametrize(
        ("value", "version"),
        [
            *[(None, None), ("", None), ("*", None), ('"3"', 3), ('W/"12"', 12)],
            (entity_tag(7, b"shown"), 7),
        ],
    )
    def test_reads_an_entity_tag(self, value: str | None, version: int | None) -> None:
        assert expected_version(value) == version

    @pytest.mark.parametrize("value", ["3", '"x"', '"1", "2"', '"1-x"', "garbage"])
    def test_what_is_no_version_matches_nothing(self, value: str) -> None:
        with pytest.raises(PreconditionFailedError):
            expected_version(value)


class TestEntityTag:
    def test_is_of_the_version_and_of_what_is_shown(self) -> None:
        tags = {entity_tag(1, b"a"), entity_tag(2, b"a"), entity_tag(1, b"b")}
        assert len(tags) == 3
        assert entity_tag(1, b"a") in tags


class TestUnchanged:
    @pytest.mark.parametrize("value", ['"3"', 'W/"3"', '"1", "3"', "*"])
    def test_the_caller_has_it(self, value: str) -> None:
        assert unchanged(value, '"3"')

    @pytest.mark.parametrize("value", [None, "", '"4"', "3"])
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
