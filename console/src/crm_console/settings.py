"""What the console is told by its environment."""

from urllib.parse import urlsplit

from cryptography.fernet import Fernet, MultiFernet
from pydantic import Field, SecretStr
from service_kit.environment import ProcessSettings


class ConsoleSettings(ProcessSettings):
    """The console's settings: where the gateway is, and what its cookies are sealed with."""

    server_port: int = Field(default=8097, ge=0, le=65535, description="HTTP: pages and health")
    gateway_url: str = Field(
        default="http://127.0.0.1:8080", description="where the console reaches the gateway"
    )
    media_base_url: str = Field(
        default="",
        description="where browsers fetch files, as the gateway's setting of this name says;"
        " unset: `GATEWAY_URL`",
    )
    cookie_key: SecretStr = Field(
        default=SecretStr(""),
        description="seals logins in their cookies, a Fernet key; unset outside production: drawn"
        " at each start, which ends every login",
    )
    cookie_key_previous: SecretStr | None = Field(
        default=None, description="still opens what it sealed, so that a rotation logs nobody out"
    )

    def secrets(self) -> dict[str, SecretStr]:
        """The keys of cookies."""
        previous = self.cookie_key_previous
        return {
            "COOKIE_KEY": self.cookie_key,
            **({} if previous is None else {"COOKIE_KEY_PREVIOUS": previous}),
        }

    def problems(self) -> list[str]:
        """Beside weak secrets: keys that are none."""
        found = super().problems()
        return found or [
            f"{name} must be a Fernet key: 32 bytes in URL-safe base64"
            for name, secret in self.secrets().items()
            if not _is_key(secret)
        ]

    @property
    def seal(self) -> MultiFernet:
        """Seals with the key, opens with either."""
        key = self.cookie_key.get_secret_value().encode() or Fernet.generate_key()
        previous = self.cookie_key_previous
        keys = [key, *([previous.get_secret_value().encode()] if previous else [])]
        return MultiFernet([Fernet(each) for each in keys])

    @property
    def files_origin(self) -> str:
        """Scheme, host and port from which browsers load files."""
        parts = urlsplit(self.media_base_url or self.gateway_url)
        return f"{parts.scheme}://{parts.netloc}"


def _is_key(secret: SecretStr) -> bool:
    try:
        Fernet(secret.get_secret_value().encode())
    except ValueError:
        return False
    return True
