"""Signatures of what we send: Standard Webhooks, and a plain one for older receivers.

The signed bytes are the stored bytes; nothing is serialised again.
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from crm_webhooks.endpoints.secrets import SigningKey


def standard_signature(
    keys: Sequence[SigningKey], event_id: str, timestamp: int, body: bytes
) -> str:
    """`webhook-signature`: one for every live key, so that rotation cuts nobody.

    `v1,<base64>` is the HMAC-SHA256 by a shared secret, `v1a,<base64>` ed25519 by a private key.
    """
    signed = b"%s.%d.%s" % (event_id.encode(), timestamp, body)
    return " ".join(_signature(key, signed) for key in keys)


def _signature(key: SigningKey, signed: bytes) -> str:
    if isinstance(key, bytes):
        return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return "v1a," + base64.b64encode(key.sign(signed)).decode()


def body_signature(key: bytes, body: bytes) -> str:
    """`X-Webhook-Signature`: hex HMAC-SHA256 of the body alone. It cannot tell a replay."""
    return hmac.digest(key, body, hashlib.sha256).hex()
