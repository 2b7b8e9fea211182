"""Signatures of what we send: Standard Webhooks, and a plain one for older receivers.

The signed bytes are the stored bytes; nothing is serialised again.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence


def standard_signature(keys: Sequence[bytes], event_id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature`: one `v1,<base64>` for every live key, so that rotation cuts nobody."""
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    return " ".join(
        "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode() for key in keys
    )


def body_signature(key: bytes, body: bytes) -> str:
    """`X-Webhook-Signature`: hex HMAC-SHA256 of the body alone. It cannot tell a replay."""
    return hmac.digest(key, body, hashlib.sha256).hex()
