"""WAHA API keys at rest (design section 8)."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import SecretStr


class ApiKeySeal:
    """Seals and opens API keys; the first of several comma-separated keys seals, all open."""

    def __init__(self, encryption_key: SecretStr) -> None:
        keys = encryption_key.get_secret_value().split(",")
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, api_key: str) -> str:
        """The key as it may be stored."""
        return self._fernet.encrypt(api_key.encode()).decode()

    def open(self, sealed: str) -> str:
        """The plain key; LookupError when none of our keys sealed it."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise LookupError("no ENCRYPTION_KEY opens this API key") from None
