"""Settings of the webhooks service."""

from typing import Annotated

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode
from service_kit.egress import AllowedNetworks
from service_kit.media_links import MediaLinkSettings
from service_kit.sealing import EncryptionKeys
from service_kit.settings import listed

_MINUTE, _HOUR = 60.0, 3600.0
STANDARD_DELAYS_SECONDS: tuple[float, ...] = (
    5,
    30,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""Standard Webhooks' schedule, with a step that outlasts a rolling deploy."""


class WebhooksSettings(MediaLinkSettings):
    """Times are seconds. A lease must outlast two attempts, so that none is sent by two."""

    encryption_key: EncryptionKeys = Field(
        description="Fernet keys for secrets and customers' headers, comma-separated, newest first"
    )
    webhook_allowed_networks: AllowedNetworks = Field(
        default=None,
        description="CIDRs, comma-separated, that may be dialled although they are not public;"
        " outside production loopback unless set",
    )
    retry_schedule_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        default=STANDARD_DELAYS_SECONDS,
        description="between attempts, comma-separated, each spread by 20 %",
    )
    webhook_timeout_seconds: float = Field(
        default=10.0, gt=0, le=60, description="deadline of one attempt"
    )
    webhook_lease_seconds: float = Field(
        default=60.0, gt=0, description="a process may hold a delivery; at least twice the timeout"
    )
    webhook_slow_seconds: float = Field(
        default=2.0, gt=0, description="an attempt longer than this makes its endpoint slow"
    )
    webhook_concurrency: int = Field(default=200, ge=4, description="attempts in flight, in all")
    webhook_endpoint_concurrency: int = Field(
        default=8, ge=1, description="attempts in flight per endpoint"
    )
    webhook_backlog: int = Field(
        default=2000, ge=1, description="deliveries held in memory; the rest waits in PostgreSQL"
    )
    webhook_retention_days: float = Field(
        default=30.0,
        gt=0,
        description="settled deliveries, attempts and the event log are kept, unless a company"
        " says otherwise (`event_retention_days`)",
    )

    _schedule = field_validator("retry_schedule_seconds", mode="before")(listed)

    @model_validator(mode="after")
    def _lease_outlasts_attempts(self) -> "WebhooksSettings":
        if self.webhook_lease_seconds < 2 * self.webhook_timeout_seconds:
            raise ValueError("WEBHOOK_LEASE_SECONDS must be twice WEBHOOK_TIMEOUT_SECONDS or more")
        return self

    @property
    def plain_http(self) -> bool:
        """Whether endpoints without TLS are accepted."""
        return not self.is_production

    def secrets(self) -> dict[str, SecretStr]:
        """What must be a strong secret in production."""
        return {"ENCRYPTION_KEY": self.encryption_key}
