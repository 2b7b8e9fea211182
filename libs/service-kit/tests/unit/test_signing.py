import pytest
from service_kit.signing import Signatures, Signed

REQUEST = Signed("contacts.contact.get", "m-1", "c-1", "replies.1|crm.replies", b'{"a":1}')


class TestSignature:
    def test_is_believed_by_who_has_the_key(self) -> None:
        signature = Signatures("one key").sign(REQUEST)
        assert Signatures("one key").prove(REQUEST, signature)
        assert not Signatures("another").prove(REQUEST, signature)

    @pytest.mark.parametrize(
        "altered",
        [
            REQUEST._replace(key="contacts.contact.delete"),
            REQUEST._replace(message_id="m-2"),
            REQUEST._replace(correlation_id="c-2"),
            REQUEST._replace(reply_to="replies.2|crm.replies"),
            REQUEST._replace(body=b'{"a":2}'),
        ],
    )
    def test_covers_every_part(self, altered: Signed) -> None:
        signatures = Signatures("one key")
        assert not signatures.prove(altered, signatures.sign(REQUEST))

    def test_tells_where_one_part_ends(self) -> None:
        signatures = Signatures("one key")
        shifted = REQUEST._replace(message_id="m-", correlation_id="1c-1")
        assert not signatures.prove(shifted, signatures.sign(REQUEST))

    def test_of_the_previous_key_is_believed_while_keys_are_turned(self) -> None:
        old, turned = Signatures("old"), Signatures("new", previous="old")
        assert turned.prove(REQUEST, old.sign(REQUEST))
        assert not old.prove(REQUEST, turned.sign(REQUEST))

    @pytest.mark.parametrize("nothing", [None, "", b"x", 5, "ü"])
    def test_must_be_one(self, nothing: object) -> None:
        assert not Signatures("one key").prove(REQUEST, nothing)

    def test_is_hmac_sha256_of_netstrings(self) -> None:
        """Computed by `printf '1:k,0:,0:,0:,2:{},' | openssl dgst -sha256 -hmac key`."""
        signature = Signatures("key").sign(Signed("k", "", "", "", b"{}"))
        assert signature == "ea8ce6ff6644625aeae5d66246ea9a1499edcb07c7c3275066cf40270a804d0e"
