"""Checking the signatures of our outbound webhooks, independently of the code that makes them."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

TOLERANCE_SECONDS = 300


def secret_bytes(secret: str) -> bytes:
    """Return the key of a `whsec_` secret; raises ValueError if it is empty or not base64."""
    encoded = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if not key:
        raise ValueError("a webhook secret must not be empty")
    return key


def standard_valid(key: bytes, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Say whether one `v1` signature of the Standard Webhooks headers is right and fresh.

    `headers` must be case-insensitive or lowercase; `now` is Unix seconds.
    """
    event_id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not event_id or not stamp.isdecimal() or abs(now - int(stamp)) > TOLERANCE_SECONDS:
        return False
    signed = b".".join((event_id.encode(), stamp.encode(), body))
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return any(
        version == "v1" and hmac.compare_digest(signature.encode(), expected.encode())
        for version, _, signature in (
            item.partition(",") for item in headers.get("webhook-signature", "").split()
        )
    )


def legacy_valid(key: bytes, headers: Mapping[str, str], body: bytes) -> bool:
    """Say whether `X-Webhook-Signature` is the hex HMAC-SHA256 of the body."""
    expected = hmac.new(key, body, hashlib.sha256).hexdigest()
    given = headers.get("x-webhook-signature", "")
    return hmac.compare_digest(given.encode(), expected.encode())
