"""Settings of the gateway."""

from pydantic import Field, SecretStr
from service_kit.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """What the gateway needs beside what every service needs."""

    jwt_secret: SecretStr = SecretStr("")
    jwt_secret_previous: SecretStr | None = None
    """Still verifies what it signed, so that a rotation logs nobody out."""
    jwt_ttl: int = Field(default=900, ge=30, le=86_400)
    """Seconds an access token lives; a role change takes effect within this time."""
    jwt_issuer: str = "ventros-crm"
    jwt_audience: str = "ventros-crm-api"
    refresh_ttl: int = Field(default=30 * 86_400, ge=60)
    """Seconds a refresh token lives."""
    ingress_master_key: SecretStr = SecretStr("")

    login_failures_per_account: int = Field(default=5, ge=1)
    login_failures_per_address: int = Field(default=50, ge=1)
    """Higher than the account's: a whole office may share one address."""
    login_window_seconds: int = Field(default=900, ge=1)

    def secrets(self) -> dict[str, SecretStr]:
        """What must be strong in production."""
        found = {"JWT_SECRET": self.jwt_secret, "INGRESS_MASTER_KEY": self.ingress_master_key}
        if self.jwt_secret_previous is not None:
            found["JWT_SECRET_PREVIOUS"] = self.jwt_secret_previous
        return found
