"""Signing secrets and customers' headers: made here, kept encrypted, shown once."""

import base64
import secrets

import orjson
from cryptography.fernet import Fernet

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as the customer gets it: `whsec_` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


class Vault:
    """Encrypts what the database holds for us, under ENCRYPTION_KEY."""

    def __init__(self, encryption_key: str) -> None:
        self._fernet = Fernet(encryption_key)

    def seal(self, secret: str) -> bytes:
        """Encrypt the bytes of a `whsec_` secret."""
        return self._fernet.encrypt(base64.b64decode(secret.removeprefix(PREFIX), validate=True))

    def open(self, sealed: bytes) -> bytes:
        """The bytes that sign; raises InvalidToken when it was sealed under another key."""
        return self._fernet.decrypt(sealed)

    def seal_headers(self, headers: dict[str, str]) -> bytes:
        """Encrypt headers."""
        return self._fernet.encrypt(orjson.dumps(headers))

    def open_headers(self, sealed: bytes) -> dict[str, str]:
        """The headers as the customer gave them."""
        opened: dict[str, str] = orjson.loads(self._fernet.decrypt(sealed))
        return opened
