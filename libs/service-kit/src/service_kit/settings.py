"""The settings every service has, from the environment (`service_kit.environment`)."""

from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from pydantic import AliasChoices, Field, SecretStr
from shared_events import topology

# Whoever reads a service's settings needs these with them.
from service_kit.environment import WELL_KNOWN_SECRETS, ProcessSettings, SpareSecret, weak
from service_kit.environment import ConfigurationError as ConfigurationError
from service_kit.environment import listed as listed
from service_kit.environment import load as load
from service_kit.signing import Signatures

MIN_PASSWORD_LENGTH = 12


class ServiceSettings(ProcessSettings):
    """What every service needs."""

    database_url: SecretStr | None = Field(
        default=None, description="PostgreSQL, as the service's runtime role; instead of `DB_*`"
    )
    db_host: str = Field(default="localhost", description="PostgreSQL's host")
    db_port: int = Field(default=5432, description="its port")
    db_user: str = Field(default="", description="the runtime role")
    db_password: SecretStr = Field(default=SecretStr(""), description="its password")
    db_name: str = Field(default="ventros_crm", description="the database")
    db_sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = Field(
        default="prefer", description="how far TLS to PostgreSQL must go"
    )
    db_pool_size: int = Field(
        default=4,
        ge=1,
        le=100,
        description="connections of a process for each purpose: requests, events, all else",
    )

    rabbitmq_url: SecretStr | None = Field(
        default=None, description="RabbitMQ, as `amqp://` or `amqps://`; instead of `RABBITMQ_*`"
    )
    rabbitmq_host: str = Field(default="localhost", description="RabbitMQ's host")
    rabbitmq_port: int = Field(default=5672, description="its port")
    rabbitmq_user: str = Field(default="guest", description="the user")
    rabbitmq_password: SecretStr = Field(default=SecretStr("guest"), description="its password")

    request_signing_key: SecretStr = Field(
        default=SecretStr("development"),
        description="signs what is asked on the bus; the same in every service",
    )
    request_signing_key_previous: SpareSecret = Field(
        default=None, description="is still believed, while the key is turned"
    )

    temporal_address: str | None = Field(
        default=None,
        validation_alias=AliasChoices("temporal_address", "temporal_host"),
        description="Temporal's `host:port`; unset: sessions are ended by the sweep, outboxes"
        " drained by the relays alone",
    )
    temporal_namespace: str = Field(default="default", description="Temporal's namespace")
    temporal_tls: bool = Field(
        default=False, description="speak TLS with Temporal; an API key or certificate implies it"
    )
    temporal_api_key: SecretStr | None = Field(
        default=None, description="API key for Temporal, such as Temporal Cloud's"
    )
    temporal_tls_ca: str | None = Field(
        default=None, description="certificate of Temporal's authority, PEM, unless a public one"
    )
    temporal_tls_cert: str | None = Field(
        default=None, description="our certificate for Temporal, PEM"
    )
    temporal_tls_key: SecretStr | None = Field(default=None, description="its private key, PEM")

    otel_exporter_otlp_endpoint: str | None = Field(
        default=None, description="where traces are exported to, by OTLP over HTTP"
    )

    outbox_batch_size: int = Field(
        default=100, ge=1, le=1000, description="events the relay takes at once"
    )
    outbox_bundles: bool = Field(
        default=False,
        description="events of bulk work travel together: once every service reads bundles",
    )
    outbox_poll_seconds: float = Field(
        default=1.0, description="the relay looks this often when nobody wakes it"
    )
    outbox_retry_backoff_seconds: float = Field(
        default=30.0,
        description="at most, before an event that no queue took is tried again",
    )
    outbox_max_retries: int = Field(default=5, description="then such an event is parked")
    outbox_drain_window_seconds: float = Field(
        default=60.0, gt=0, description="how long one activity of the outbox workflow drains"
    )
    outbox_retention_days: float = Field(default=7.0, description="published events are kept")
    inbox_retention_days: float = Field(
        default=30.0, description="which events were applied is remembered"
    )
    erasure_settle_seconds: float = Field(
        default=1200.0,
        ge=0,
        description="an erasure ends so long after its start at the earliest: longer than delays",
    )
    consumer_retry_delays_seconds: tuple[float, ...] = Field(
        default=(30, 60, 120, 240, 480),
        description="between attempts of an event that fails; then it is a dead letter",
    )
    consumer_batch_size: int = Field(
        default=100, ge=1, le=1000, description="events applied in one transaction at most"
    )
    bus_partitions: int = Field(
        default=topology.PARTITIONS,
        ge=1,
        le=64,
        description="queues that each split event queue consists of; the same in every service",
    )
    drain_seconds: float = Field(
        default=0.0,
        ge=0,
        le=60,
        description="a process told to stop says so at `/health/ready` for so long, and serves on",
    )
    shutdown_grace_seconds: float = Field(
        default=15.0, description="what is in hand may take to finish at a stop"
    )

    @property
    def postgres_dsn(self) -> str:
        """Where the runtime role connects. Never log it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        user, password = quote(self.db_user, ""), quote(self.db_password.get_secret_value(), "")
        return (
            f"postgresql://{user}:{password}@{self.db_host}:{self.db_port}/{quote(self.db_name)}"
            f"?sslmode={self.db_sslmode}"
        )

    @property
    def amqp_url(self) -> str:
        """Where the broker is; a dead peer is noticed within about 30 s. Never log it."""
        if self.rabbitmq_url is not None:
            url = self.rabbitmq_url.get_secret_value()
        else:
            user = quote(self.rabbitmq_user, "")
            password = quote(self.rabbitmq_password.get_secret_value(), "")
            url = f"amqp://{user}:{password}@{self.rabbitmq_host}:{self.rabbitmq_port}/"
        return url if "heartbeat=" in url else f"{url}{'&' if '?' in url else '?'}heartbeat=10"

    @property
    def signatures(self) -> Signatures:
        """Signs and proves requests."""
        previous = self.request_signing_key_previous
        return Signatures(
            self.request_signing_key.get_secret_value(),
            None if previous is None else previous.get_secret_value(),
        )

    def problems(self) -> list[str]:
        """What makes these settings unfit for production; a service adds its own."""
        secrets = {"REQUEST_SIGNING_KEY": self.request_signing_key, **self.secrets()}
        if self.request_signing_key_previous is not None:
            secrets["REQUEST_SIGNING_KEY_PREVIOUS"] = self.request_signing_key_previous
        found = weak(secrets)
        for name, url in (("database", self.postgres_dsn), ("RabbitMQ", self.amqp_url)):
            password = unquote(urlsplit(url).password or "")
            if password.lower() in WELL_KNOWN_SECRETS:
                found.append(f"the {name} password is missing or a well-known default")
            elif len(password) < MIN_PASSWORD_LENGTH:
                found.append(f"the {name} password needs {MIN_PASSWORD_LENGTH} characters or more")
        parts = urlsplit(self.postgres_dsn)
        local = parts.hostname in {"localhost", "127.0.0.1", "::1", None}
        if "sslmode=disable" in parts.query and not local:
            found.append("DB_SSLMODE=disable is only for a database on this host")
        return found
