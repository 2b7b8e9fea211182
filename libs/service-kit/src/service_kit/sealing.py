"""Secrets of others at rest: sealed under ENCRYPTION_KEY, opened when used."""

from typing import Annotated, TypeVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import AfterValidator, SecretStr

_KEY_LENGTH = 44  # base64 of 32 bytes
Sealed = TypeVar("Sealed", str, bytes)


def _split(keys: SecretStr) -> list[str]:
    return [key.strip() for key in keys.get_secret_value().split(",")]


def _checked(keys: SecretStr) -> SecretStr:
    """Says what is wrong, not what the key is. Fernet itself reads no further than one key."""
    for key in _split(keys):
        if len(key) != _KEY_LENGTH:
            raise ValueError(f"each key has {_KEY_LENGTH} characters; a comma separates two")
        Fernet(key)
    return keys


EncryptionKeys = Annotated[SecretStr, AfterValidator(_checked)]
"""A setting: Fernet keys, comma-separated, newest first."""


class WrongKeyError(Exception):
    """None of our keys opens it: the key it was sealed under is gone, or it was never sealed."""

    def __init__(self) -> None:
        super().__init__("no ENCRYPTION_KEY opens this secret")


class Seal:
    """Seals under the newest key, opens under any, so that a new key can be put in front."""

    def __init__(self, keys: SecretStr) -> None:
        fernets = [Fernet(key) for key in _split(keys)]
        self._newest, self._fernet = fernets[0], MultiFernet(fernets)

    def seal(self, secret: bytes) -> bytes:
        """The secret as it may be stored."""
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """The secret; raises WrongKeyError."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise WrongKeyError from None

    def seal_text(self, secret: str) -> str:
        """As `seal`, for columns of text."""
        return self.seal(secret.encode()).decode()

    def open_text(self, sealed: str) -> str:
        """As `open`, for columns of text."""
        return self.open(sealed.encode()).decode()

    def renewed(self, sealed: Sealed) -> Sealed:
        """As it is where the newest key sealed it, else sealed anew; raises WrongKeyError."""
        given = sealed.encode() if isinstance(sealed, str) else sealed
        try:
            self._newest.decrypt(given)
        except InvalidToken:
            anew = self.seal(self.open(given))
            return anew.decode() if isinstance(sealed, str) else anew
        return sealed
