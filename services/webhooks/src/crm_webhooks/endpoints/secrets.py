"""Signing secrets and customers' headers: made here, kept encrypted, shown once."""

import base64
import secrets

import orjson
from service_kit.sealing import Seal

PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret as the customer gets it: `whsec_` and base64 of 32 random bytes."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


class Vault:
    """What the database holds for us, sealed. Opening raises WrongKeyError when our keys do not."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def seal(self, secret: str) -> bytes:
        """Seal the bytes of a `whsec_` secret."""
        return self._seal.seal(base64.b64decode(secret.removeprefix(PREFIX), validate=True))

    def open(self, sealed: bytes) -> bytes:
        """The bytes that sign."""
        return self._seal.open(sealed)

    def seal_headers(self, headers: dict[str, str]) -> bytes:
        """Seal headers."""
        return self._seal.seal(orjson.dumps(headers))

    def open_headers(self, sealed: bytes) -> dict[str, str]:
        """The headers as the customer gave them."""
        opened: dict[str, str] = orjson.loads(self._seal.open(sealed))
        return opened
