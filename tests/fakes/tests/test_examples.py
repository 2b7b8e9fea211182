import hmac

import pytest
from crm_fakes import examples


class TestExamples:
    def test_all_45_are_there_with_their_expected_results(self) -> None:
        loaded = examples.load()
        assert len(loaded) == 45
        assert all(example.expected["action"] for example in loaded)

    @pytest.mark.parametrize("example", examples.load(), ids=lambda e: str(e.name))
    def test_stored_signature_is_that_of_the_compact_body(self, example: examples.Example) -> None:
        _, headers = example.signed(examples.EXAMPLES_KEY)
        assert headers == example.headers

    def test_signs_again_with_any_key(self) -> None:
        body, headers = examples.by_name("call_received_gows").signed("another")
        expected = hmac.new(b"another", body, "sha512").hexdigest()
        assert headers["X-Webhook-Hmac"] == expected
        assert headers["X-Webhook-Hmac-Algorithm"] == "sha512"

    def test_moves_to_another_session_without_touching_the_original(self) -> None:
        example = examples.by_name("call_received_gows")
        assert example.with_session("outra").body["session"] == "outra"
        assert examples.by_name("call_received_gows").body["session"] == "loja-exemplo"

    def test_unknown_name_lists_the_known(self) -> None:
        with pytest.raises(KeyError, match="call_received_gows"):
            examples.by_name("nothing")


def test_hmac_vector_of_the_contract() -> None:
    body = b'{"event":"message","session":"default","engine":"WEBJS"}'
    assert examples.waha_hmac("my-secret-key", body) == (
        "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8"
        "097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89"
    )
