"""Requests are signed by who asks and believed by who answers (docs/adr/0016).

Whoever can put a message into a request queue could otherwise act as anybody. Signed is all that
decides what is done, for whom, and where the answer goes: HMAC-SHA256 (RFC 2104) over the parts as
netstrings (https://cr.yp.to/proto/netstrings.txt), so that no part can pass for two.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import NamedTuple

HEADER = "x-signature"
GOOD_FOR = timedelta(minutes=5)
"""Past its deadline: what clocks may differ by. Nobody carries an older request out."""


class Signed(NamedTuple):
    """What a signature covers. Principal and deadline are in the body."""

    key: str
    message_id: str
    correlation_id: str
    reply_to: str
    body: bytes


class Signatures:
    """Signs with a key; believes that one and, while keys are turned, the one before."""

    def __init__(self, key: str, previous: str | None = None) -> None:
        self._key = key.encode()
        self._keys = (self._key,) if previous is None else (self._key, previous.encode())

    def sign(self, request: Signed) -> str:
        """The signature, for the header."""
        return _signature(self._key, request)

    def prove(self, request: Signed, signature: object) -> bool:
        """Whether one of the keys made the signature for just this."""
        return isinstance(signature, str) and any(
            hmac.compare_digest(_signature(key, request).encode(), signature.encode())
            for key in self._keys
        )


def _signature(key: bytes, request: Signed) -> str:
    mac = hmac.new(key, digestmod=hashlib.sha256)
    for part in request:
        given = part if isinstance(part, bytes) else part.encode()
        mac.update(b"%d:%b," % (len(given), given))
    return mac.hexdigest()
