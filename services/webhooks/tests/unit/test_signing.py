"""The Standard Webhooks project's own vectors, and two of ours for text beyond ASCII and none."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from crm_webhooks.deliveries.signing import body_signature, standard_signature
from crm_webhooks.endpoints.secrets import SigningSecret
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks.webhooks import Webhook

FIRST = (
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1614265330,
)
SECOND = ("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553)


def key_of(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


@pytest.mark.parametrize(
    ("given", "body", "signature"),
    [
        (FIRST, b'{"test": 2432232314}', "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (
            SECOND,
            b'{"email":"test@example.com","username":"test_user"}',
            "tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
        ),
        (FIRST, b"a" * 1_048_576, "txpEUxqWZJ5nteTnymUVa+7C4NHpBeXJ6CsBAW0c3/A="),
        (FIRST, b"a" * 262_144, "Mw4Pe2WgApuT7NSqnSq0PQPV9gbLdggCl9B865x5Xh0="),
        (FIRST, b"a" * 262_143, "NTItnqyWMoFhk2Bbe5V/BMdcFRWgcSQaTgqLHX7FC7c="),
        (SECOND, '{"text":"olá ☕"}'.encode(), "AAOKL16UGmGDFyRkubC+JEk4J0rSU+Gc0teVBhO3tU4="),
        (FIRST, b"", "v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A="),
    ],
)
class TestStandardSignature:
    def test_matches_the_vector(
        self, given: tuple[str, str, int], body: bytes, signature: str
    ) -> None:
        secret, event_id, timestamp = given
        assert standard_signature([key_of(secret)], event_id, timestamp, body) == f"v1,{signature}"


PRIVATE = (
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="
)


class TestEd25519:
    def test_matches_the_vector(self) -> None:
        seed = base64.b64decode(PRIVATE.removeprefix("whsk_"))[:32]
        _, event_id, timestamp = FIRST
        private = Ed25519PrivateKey.from_private_bytes(seed)
        assert standard_signature([private], event_id, timestamp, b'{"test": 2432232314}') == (
            "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg=="
        )
        secret = SigningSecret("ed25519", seed)
        assert secret.public_key == "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="
        assert secret.secret is None


class TestRotation:
    def test_every_live_secret_verifies(self) -> None:
        old, new = (SigningSecret.new("hmac").secret or "" for _ in range(2))
        now = int(datetime.now(UTC).timestamp())
        signature = standard_signature([key_of(new), key_of(old)], "id", now, b"{}")
        headers = {
            "webhook-id": "id",
            "webhook-timestamp": str(now),
            "webhook-signature": signature,
        }
        for secret in (old, new):
            Webhook(secret).verify(b"{}", headers)


class TestBodySignature:
    def test_is_the_hex_hmac_of_the_body(self) -> None:
        assert (
            body_signature(b"key", b"body") == hmac.new(b"key", b"body", hashlib.sha256).hexdigest()
        )
