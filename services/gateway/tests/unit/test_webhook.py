import hashlib
import hmac
from uuid import uuid4

import pytest
from crm_gateway.ingress.webhook import Sources, check_signature, event_name, read_webhook
from service_kit.errors import MalformedError, UnauthenticatedError
from shared_events.channels import ingress

MASTER = "a-master-key-0123456789-0123456789"
ADDRESS = ingress.ChannelAddress(uuid4(), uuid4())
BODY = b'{"event":"message","payload":{}}'
HMAC_KEY = ingress.webhook_hmac_key(MASTER, ADDRESS)
SIGNATURE = hmac.new(HMAC_KEY.encode(), BODY, hashlib.sha512).hexdigest()


class TestSources:
    def test_reads_what_channels_made(self) -> None:
        source = Sources(MASTER).find(ingress.channel_token(MASTER, ADDRESS))
        assert source.address == ADDRESS
        assert source.hmac_key == ingress.webhook_hmac_key(MASTER, ADDRESS)

    @pytest.mark.parametrize("token", ["", "x", "A" * 66])
    def test_refuses_what_nobody_made(self, token: str) -> None:
        with pytest.raises(UnauthenticatedError, match="invalid_token"):
            Sources(MASTER).find(token)

    def test_refuses_a_token_of_another_installation(self) -> None:
        with pytest.raises(UnauthenticatedError):
            Sources(MASTER).find(ingress.channel_token("another-master-key", ADDRESS))

    def test_knows_the_tokens_of_both_keys_while_they_are_turned(self) -> None:
        sources = Sources("the-next-key", MASTER)
        for key in ("the-next-key", MASTER):
            source = sources.find(ingress.channel_token(key, ADDRESS))
            assert (source.address, source.hmac_key) == (
                ADDRESS,
                ingress.webhook_hmac_key(key, ADDRESS),
            )


class TestWhatEnginesWrite:
    @pytest.mark.parametrize(
        "body",
        [
            b'{"event":"message.any","payload":{"body":"oi \\ud83d"}}',
            b'{"event":"message.any","payload":{"body":"oi \\u0000"}}',
            b'{"event":"message.any","payload":{"body":"oi \xf0\x9f\x91"}}',
            b'\xef\xbb\xbf{"event":"message.any"}',
            b'{"event":"message.any","payload":{"timestamp":' + b"1" * 5000 + b"}}",
            b'{"event":"message.any","payload":{"timestamp":NaN}}',
            b'{"event":"message","event":"message.any"}',
        ],
    )
    def test_is_json(self, body: bytes) -> None:
        webhook = read_webhook(ADDRESS, body, request_id="r", trace={})
        assert (webhook.event, webhook.body) == ("message.any", body)


class TestCheckSignature:
    @pytest.mark.parametrize("algorithm", ["sha512", None])
    def test_accepts_the_channels_signature(self, algorithm: str | None) -> None:
        check_signature(HMAC_KEY, BODY, signature=SIGNATURE, algorithm=algorithm)

    @pytest.mark.parametrize(
        ("body", "signature", "algorithm"),
        [
            (BODY, None, "sha512"),
            (BODY, "", "sha512"),
            (BODY, "é", "sha512"),
            (BODY + b" ", SIGNATURE, "sha512"),
            (BODY, SIGNATURE[:-1], "sha512"),
            (BODY, SIGNATURE, "sha256"),
        ],
    )
    def test_refuses_everything_else(
        self, body: bytes, signature: str | None, algorithm: str
    ) -> None:
        with pytest.raises(UnauthenticatedError, match="invalid_signature"):
            check_signature(HMAC_KEY, body, signature=signature, algorithm=algorithm)


class TestReadWebhook:
    def test_carries_the_raw_bytes_and_whose_they_are(self) -> None:
        webhook = read_webhook(ADDRESS, BODY, request_id="r1", trace={"traceparent": "00-a"})
        assert webhook.body is BODY
        assert webhook.event == "message"
        assert webhook.headers.keys() == {
            "ingress_id",
            "tenant_id",
            "channel_id",
            "waha_event",
            "received_at",
            "x-request-id",
            "traceparent",
        }

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"x"', b"\xff"])
    def test_refuses_what_is_no_object(self, body: bytes) -> None:
        with pytest.raises(MalformedError):
            read_webhook(ADDRESS, body, request_id="r1", trace={})


class TestEventName:
    @pytest.mark.parametrize(
        ("event", "name"),
        [
            ("message.any", "message.any"),
            ("a b#*", "ab"),
            ("", "unknown"),
            (None, "unknown"),
            (7, "unknown"),
            ("x" * 300, "x" * 100),
        ],
    )
    def test_is_fit_for_a_routing_key(self, event: object, name: str) -> None:
        assert event_name(event) == name
