"""Signing secrets and customers' headers: made here, kept encrypted, shown once."""

import base64
import secrets
from dataclasses import dataclass
from typing import Self

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from service_kit.sealing import Seal
from shared_events.webhooks.endpoint import Signing

PREFIX, _PUBLIC_PREFIX = "whsec_", "whpk_"
_SECRET_BYTES = 32

SigningKey = bytes | Ed25519PrivateKey
"""What signs: the bytes of a shared secret, or a private key."""


@dataclass(frozen=True, slots=True)
class SigningSecret:
    """32 bytes that sign: a shared secret, or a private key."""

    signing: Signing
    material: bytes

    @classmethod
    def new(cls, signing: Signing) -> Self:
        """A random one."""
        return cls(signing, secrets.token_bytes(_SECRET_BYTES))

    @property
    def secret(self) -> str | None:
        """`whsec_` and base64, as the customer gets it once; None for a key that never leaves."""
        return PREFIX + _base64(self.material) if self.signing == "hmac" else None

    @property
    def public_key(self) -> str | None:
        """`whpk_` and base64 of what verifies; None for a shared secret."""
        if self.signing == "hmac":
            return None
        private = Ed25519PrivateKey.from_private_bytes(self.material)
        return _PUBLIC_PREFIX + _base64(private.public_key().public_bytes_raw())


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


class Vault:
    """What the database holds for us, sealed. Opening raises WrongKeyError when our keys do not."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def seal(self, secret: SigningSecret) -> bytes:
        """Seal the bytes that sign."""
        return self._seal.seal(secret.material)

    def open(self, sealed: bytes, signing: str) -> SigningKey:
        """What signs, of this kind."""
        material = self._seal.open(sealed)
        return material if signing == "hmac" else Ed25519PrivateKey.from_private_bytes(material)

    def seal_headers(self, headers: dict[str, str]) -> bytes:
        """Seal headers."""
        return self._seal.seal(orjson.dumps(headers))

    def open_headers(self, sealed: bytes) -> dict[str, str]:
        """The headers as the customer gave them."""
        opened: dict[str, str] = orjson.loads(self._seal.open(sealed))
        return opened
