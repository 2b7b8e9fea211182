import pytest
from crm_webhooks.deliveries.excerpt import MAX_BODY_BYTES, excerpt

SENT = {
    "Authorization": 'Bearer s3cr3t-"tok',
    "X-Team": "abc",
    "Content-Type": "application/json",
    "webhook-id": "01a21131-5a7f",
    "webhook-signature": "v1,c2lnbmF0dXJl v1,b3RoZXJzaWc=",
    "X-Webhook-Signature": "0123456789abcdef",
}


def kept(body: str, *, delivered: bool = False) -> str | None:
    return excerpt(body.encode(), SENT, delivered=delivered)


class TestExcerpt:
    def test_is_the_beginning_longer_for_a_failure(self) -> None:
        assert kept("x" * 9000) == "x" * 8192
        assert kept("x" * 9000, delivered=True) == "x" * 256
        assert kept("") is None

    @pytest.mark.parametrize(
        "echo",
        [
            'Authorization: Bearer s3cr3t-"tok',
            'unknown token s3cr3t-"tok!',
            '{"authorization": "Bearer s3cr3t-\\"tok"}',
            "signature v1,c2lnbmF0dXJl does not match",
            "signature b3RoZXJzaWc= does not match",
            "expected fedcba, got 0123456789abcdef",
        ],
    )
    def test_does_not_show_what_was_sent_in_confidence(self, echo: str) -> None:
        text = kept(echo) or ""
        assert "[hidden]" in text
        for secret in ("s3cr3t", "c2lnbmF0dXJl", "b3RoZXJzaWc", "0123456789abcdef"):
            assert secret not in text

    def test_what_is_no_secret_stays(self) -> None:
        text = "abc: no application/json for 01a21131-5a7f"
        assert kept(text) == text

    def test_a_secret_the_limit_cuts_through_is_not_shown(self) -> None:
        secret = "k" * 1000
        body = (secret * 70).encode()[:MAX_BODY_BYTES]
        text = excerpt(body, {"X-Key": secret}, delivered=False) or ""
        assert "kkkk" not in text
