"""Settings of this service."""

from pydantic import Field, SecretStr
from service_kit.egress import AllowedNetworks
from service_kit.sealing import EncryptionKeys
from service_kit.settings import ServiceSettings

_PRODUCTION_SEND_INTERVAL = 0.5


class ChannelsSettings(ServiceSettings):
    """All times in seconds.

    `waha_unknown_wait_seconds` is how long a send whose outcome is unknown waits for its echo
    before WAHA is asked about it.
    """

    server_port: int = Field(default=8083, ge=0, le=65535)
    ingress_master_key: SecretStr
    encryption_key: EncryptionKeys
    public_base_url: str = Field(pattern=r"^https?://")
    waha_allowed_networks: AllowedNetworks = None

    waha_send_interval_seconds: float | None = Field(default=None, ge=0)
    waha_text_timeout_seconds: float = 30.0
    waha_media_timeout_seconds: float = 60.0
    waha_control_timeout_seconds: float = 4.0
    waha_unknown_wait_seconds: float = 30.0
    waha_retry_seconds: float = 1.0
    waha_retry_max_seconds: float = 60.0
    waha_give_up_seconds: float = 86_400.0
    waha_degraded_after_seconds: float = 60.0
    waha_stop_grace_seconds: float = 5.0
    raw_event_retention_days: float = 30.0

    @property
    def send_interval_seconds(self) -> float:
        """The mean pause between two sends of one channel."""
        if self.waha_send_interval_seconds is not None:
            return self.waha_send_interval_seconds
        return _PRODUCTION_SEND_INTERVAL if self.is_production else 0.0

    def secrets(self) -> dict[str, SecretStr]:
        """What must be strong in production."""
        return {
            "INGRESS_MASTER_KEY": self.ingress_master_key,
            "ENCRYPTION_KEY": self.encryption_key,
        }
