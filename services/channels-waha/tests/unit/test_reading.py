import pytest
from crm_channels_waha.waha.reading import UnreadableError, read_object


class TestReadObject:
    def test_drops_nul_but_not_a_written_escape(self) -> None:
        assert read_object(rb'{"a": ["x\u0000y", "\\u0000"]}') == {"a": ["xy", "\\u0000"]}

    def test_replaces_half_an_emoji(self) -> None:
        assert read_object(rb'{"a": "oi \ud83d"}') == {"a": "oi \ufffd"}

    @pytest.mark.parametrize(
        "body", [b'{"a": "oi \xf0\x9f\x91"}', b'\xef\xbb\xbf{"a": "oi \xf0\x9f\x91"}']
    )
    def test_replaces_bytes_that_are_no_text(self, body: bytes) -> None:
        assert read_object(body) == {"a": "oi \ufffd"}

    def test_takes_numbers_of_any_length(self) -> None:
        assert read_object(b'{"a": ' + b"1" * 5000 + b"}") == {"a": float("inf")}

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'{"a":' * 5000])
    def test_refuses_what_is_no_object(self, body: bytes) -> None:
        with pytest.raises(UnreadableError):
            read_object(body)
