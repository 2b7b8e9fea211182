import pytest
from pydantic import TypeAdapter, ValidationError
from shared_events.requests import Name

_NAME = TypeAdapter[str](Name)


class TestName:
    @pytest.mark.parametrize(
        "name", ["", "\u3164\u3164", "\u200b\u2060", "\u2800", "\u0301", "\u202e"]
    )
    def test_of_which_nothing_can_be_seen_is_refused(self, name: str) -> None:
        with pytest.raises(ValidationError) as refused:
            _NAME.validate_python(name)
        assert refused.value.errors()[0]["type"] == "string_too_short"

    @pytest.mark.parametrize("name", ["A", "👋", "\u3164x", "מיכל", "😀" * 255])
    def test_of_which_something_can_is_kept_as_it_is(self, name: str) -> None:
        assert _NAME.validate_python(name) == name
